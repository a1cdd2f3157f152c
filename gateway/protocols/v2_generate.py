"""The generate extension of v2: one request as a plain object, its answer as another. Pure.

Called by ``gateway/predict.py`` for ``…/generate``, and by ``gateway/talks.py`` for
``…/generate_stream``. The request's keys are the model's inputs; the others are parameters.
"""

from typing import Any

from gateway.protocols import v2_rest
from gateway.protocols.answers import plain_list
from gateway.protocols.caps import check_body, check_params
from gateway.protocols.conform import conform_records
from gateway.protocols.events import encode_piece
from gateway.protocols.media import check_json
from gateway.protocols.mlflow_scoring import json_object
from gateway.protocols.plan import Column, Tensor, plan_for
from gateway.protocols.v2_request import (
    RESERVED,
    RESERVED_PREFIX,
    ROUTING_KEY,
    TIMEOUT,
    timeout_us_of,
)
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import InferRequest, Prediction
from tracking.errors import MalformedBody, ModelFailed

TEXT = "text_output"
"""What a piece that is no object is called, as the extension's servers call it."""
_HINT = "send an object with a value for each of the model's inputs"

render_error = v2_rest.render_error
"""A refusal in the shape of the protocol."""


def decode(body: bytes, content_type: str | None, signature: Signature | None) -> InferRequest:
    """Read a request as one row.

    Raises:
        UnsupportedMedia: It is not JSON in UTF-8.
        TooLarge: It holds too many values.
        MalformedBody: It is not a JSON object, or its parameters are none.
        InvalidRequest: Its time is none.
        InputMismatch: The values do not fit the signature.
    """
    plan = plan_for(signature)
    given = read_object(body, content_type)
    request_id = _id(given)
    timeout_us = timeout_us_in(given)
    params = _parameters(given)
    items: tuple[Column | Tensor, ...] = (*plan.columns, *plan.tensors)
    names = [item.name for item in items]
    record = {name: value for name, value in given.items() if not names or name in names}
    params |= {name: value for name, value in given.items() if name not in record}
    key = params.pop(ROUTING_KEY, None)
    if key is not None and not isinstance(key, str):
        raise MalformedBody(f"Parameter {ROUTING_KEY!r} is not a string.")
    batch = conform_records([record], plan)
    return InferRequest(batch, params, request_id, routing_key=key, timeout_us=timeout_us)


def encode(prediction: Prediction, request: InferRequest, key: VersionKey) -> bytes:
    """Write an answer: each output under its name, of the one row.

    Raises:
        ModelFailed: The model answered with something that JSON cannot hold.
    """
    try:
        pairs = zip(prediction.names, prediction.arrays, strict=True)
        values = {name: plain_list(array)[0] for name, array in pairs}
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFailed("The model answered with values that JSON cannot hold.") from error
    return encode_value(values, key, request.request_id)


def encode_value(piece: Any, key: VersionKey, request_id: str | None = None) -> bytes:
    """Write a piece, or a whole answer to a document, with the caller's own id.

    Raises:
        ModelFailed: It holds what JSON cannot.
    """
    values = piece if isinstance(piece, dict) else {TEXT: piece}
    told = {"model_name": key.model, "model_version": str(key.version)}
    if request_id is not None:
        told["id"] = request_id
    return encode_piece(told | values)


def read_object(body: bytes, content_type: str | None) -> dict[str, Any]:
    """Read a request as the object that it is.

    Raises:
        UnsupportedMedia: It is not JSON in UTF-8.
        TooLarge: It holds too many values.
        MalformedBody: It is not a JSON object.
    """
    check_json(content_type)
    check_body(body)
    return json_object(body, _HINT)


def _id(given: dict[str, Any]) -> str | None:
    """Take the caller's own id out."""
    found = given.pop("id", None)
    if found is None or isinstance(found, str):
        return found
    raise MalformedBody("'id' is not a string.")


def id_in(document: dict[str, Any]) -> str | None:
    """Return the caller's own id in a document; another value there is the model's matter."""
    found = document.get("id")
    return found if isinstance(found, str) else None


def timeout_us_in(given: dict[str, Any]) -> int | None:
    """Return how many microseconds a request may take by its parameters, if they say.

    Raises:
        InvalidRequest: It is no whole number of them.
    """
    parameters = given.get("parameters")
    return timeout_us_of(parameters.get(TIMEOUT)) if isinstance(parameters, dict) else None


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Take ``parameters`` out, and return what of it is for the model."""
    parameters = given.pop("parameters", None) or {}
    if not isinstance(parameters, dict):
        raise MalformedBody("'parameters' is not an object.")
    check_params(parameters)
    return {
        name: value
        for name, value in parameters.items()
        if name not in RESERVED and not name.startswith(RESERVED_PREFIX)
    }
