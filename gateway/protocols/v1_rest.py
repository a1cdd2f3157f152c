"""TensorFlow Serving's REST: bodies of ``:predict``, answers and errors. Pure.

Called by ``gateway/predict.py`` on the event loop. Rows are read as MLflow's ``instances`` and
``inputs`` are; rows are answered with ``predictions``, columns with ``outputs``.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.protocols import v2_rest
from gateway.protocols.answers import plain_list
from gateway.protocols.caps import check_body
from gateway.protocols.elements import Kind
from gateway.protocols.media import check_json
from gateway.protocols.mlflow_scoring import (
    checked_params,
    conformed,
    json_object,
    request_of,
    rows_of,
)
from gateway.protocols.plan import Column, Plan, Tensor, plan_for
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import InferRequest, Prediction
from tracking.errors import InvalidRequest, MalformedBody, ModelFailed

SIGNATURE_NAME = "serving_default"
"""The one signature that a model has here."""
_FORMATS = ("instances", "inputs")
_HINT = "send an object with exactly one of 'instances' and 'inputs'"
_BYTES = "b64"
_ENCODER = msgspec.json.Encoder()

render_error = v2_rest.render_error
"""A refusal in the shape of the protocol: ``error``, and what we add beside it."""


def decode(body: bytes, content_type: str | None, signature: Signature | None) -> InferRequest:
    """Read the rows or columns of a request.

    Args:
        body: The bytes, within the size limit.
        content_type: The header as it came; none is taken for JSON.
        signature: What the model takes; ``None`` takes any rows.

    Raises:
        UnsupportedMedia: It is not JSON in UTF-8.
        TooLarge: It holds too many values.
        MalformedBody: It is not JSON, or has not exactly one of ``instances`` and ``inputs``.
        InvalidRequest: It names another signature than the one there is.
        InputMismatch: The rows do not fit the signature.
    """
    check_json(content_type)
    plan = plan_for(signature)
    check_body(body)
    parsed = json_object(body, _HINT)
    given = [name for name in _FORMATS if name in parsed]
    if len(given) != 1:
        raise MalformedBody(f"The body has {' and '.join(given) or 'neither'}: {_HINT}.")
    if parsed.get("signature_name", SIGNATURE_NAME) not in (SIGNATURE_NAME, ""):
        raise InvalidRequest(
            f"The model has one signature, {SIGNATURE_NAME!r}: leave the name out."
        )
    data = parsed[given[0]]
    if b'"b64"' in body:
        data = _without_b64(data, plan)
    params = checked_params(parsed.get("params"))
    request = request_of(conformed(given[0], data, plan), params)
    return replace(request, is_columnar=given[0] == "inputs")


def encode(prediction: Prediction, request: InferRequest, key: VersionKey | None = None) -> bytes:
    """Write an answer: rows for rows, columns for columns; several outputs go by name.

    Raises:
        ModelFailed: The model answered with something that JSON cannot hold.
    """
    del key
    try:
        if not request.is_columnar:
            return b'{"predictions":' + _ENCODER.encode(rows_of(prediction)) + b"}"
        return b'{"outputs":' + _ENCODER.encode(_columns_of(prediction)) + b"}"
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFailed("The model answered with values that JSON cannot hold.") from error


def _columns_of(prediction: Prediction) -> Any:
    names, arrays = prediction.names, prediction.arrays
    if len(arrays) == 1 and not prediction.is_table:
        return plain_list(arrays[0])
    return {name: plain_list(array) for name, array in zip(names, arrays, strict=True)}


def _without_b64(data: Any, plan: Plan) -> Any:
    """Return the data with ``{"b64": text}`` as just the text, which a column of bytes takes."""
    if isinstance(data, list):
        return [_without_b64(value, plan) for value in data]
    if not isinstance(data, dict):
        return data
    if data.keys() != {_BYTES}:
        return {name: _without_b64(value, plan) for name, value in data.items()}
    items: tuple[Column | Tensor, ...] = (*plan.columns, *plan.tensors)
    if not any(item.element.kind is Kind.BINARY for item in items):
        raise InvalidRequest(f"{_BYTES!r} is for inputs of bytes, and the model has none.")
    return data[_BYTES]
