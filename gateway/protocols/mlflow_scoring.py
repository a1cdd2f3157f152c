"""MLflow scoring: the bodies of ``/invocations``, their answers and errors. Pure.

Called by ``gateway/predict.py`` on the event loop. ``decode`` parses into typed numbers in one pass
where the signature is one numeric matrix; anything else, or wrong, goes through ``conform.py``.
Other formats are read by ``csv_rows.py``, ``columnar.py`` and ``npy.py``.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.protocols.answers import plain_list
from gateway.protocols.arrays import conform_inputs, conform_table
from gateway.protocols.caps import check_body, check_depth, check_params, not_json
from gateway.protocols.columnar import read_columns
from gateway.protocols.conform import as_columns, conform_columns, conform_records, conform_rows
from gateway.protocols.csv_rows import conform_csv
from gateway.protocols.documents import document_request
from gateway.protocols.large_matrix import LEAST_BYTES, large_matrix
from gateway.protocols.matrix import matrix_of_records, matrix_of_rows, matrix_of_table
from gateway.protocols.media import CSV, NPY, tabular_type
from gateway.protocols.npy import read_npy
from gateway.protocols.plan import Plan, plan_for
from gateway.protocols.refusals import mismatch
from gateway.protocols.tensors import conform_tensor
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import Batch, InferRequest, Prediction
from tracking.errors import InputMismatch, MalformedBody, ModelFailed

"""The type of every answer."""
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The ways to write rows; a body has exactly one."""
ROUTING_KEY = "routing_key"
"""The parameter that is a sticky key and not the model's."""

T = TypeVar("T")


class _Split(Struct, Generic[T], frozen=True, gc=False):
    columns: list[str]
    data: list[list[T]]
    index: list[int] | UnsetType = UNSET


class _Body(Struct, Generic[T], frozen=True, gc=False):
    """A body whose rows hold values of one type."""

    dataframe_split: _Split[T] | UnsetType = UNSET
    dataframe_records: list[dict[str, T]] | UnsetType = UNSET
    instances: list[list[T]] | UnsetType = UNSET
    inputs: list[list[T]] | UnsetType = UNSET
    params: Raw | UnsetType = UNSET


_DECODERS: Mapping[type, msgspec.json.Decoder[_Body[Any]]] = {
    float: msgspec.json.Decoder(_Body[float]),
    int: msgspec.json.Decoder(_Body[int]),
}
_ANY = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()
_RETRYABLE = frozenset({429, 503})


def decode(body: bytes, content_type: str | None, signature: Signature | None) -> InferRequest:
    """Read the rows of a scoring request.

    Args:
        body: The bytes, within the size limit.
        content_type: The header as it came; ``None`` if there was none.
        signature: What the model takes; ``None`` takes any rows.

    Raises:
        UnsupportedMedia: It is of no type that is served, or not in UTF-8.
        TooLarge: It holds too many values.
        MalformedBody: It is not what its type says, or, in JSON, not exactly one of ``FORMATS``
            with ``params``.
        InputMismatch: The rows do not fit the signature.
    """
    tabular = tabular_type(content_type)
    plan = plan_for(signature)
    if tabular is not None:
        return InferRequest(_decode_tabular(body, tabular, plan))
    check_body(body)
    if len(body) >= LEAST_BYTES and plan.json_type is float:
        batch = large_matrix(body, plan)
        if batch is not None:
            return InferRequest(batch)
    if plan.json_type is not None:
        request = _decode_matrix(body, plan, plan.json_type)
        if request is not None:
            return request
    return _decode_any(body, plan, signature)


def encode(prediction: Prediction, request: InferRequest, key: VersionKey | None = None) -> bytes:
    """Write an answer: a table as records, several outputs by name, one as it is.

    Numbers that are not finite become ``null``: JSON has no word for them.

    Args:
        prediction: What the model answered.
        request: Says whether it was a document, whose answer is not wrapped.
        key: Not looked at; protocols share one shape of ``encode``.

    Raises:
        ModelFailed: The model answered with something that JSON cannot hold.
    """
    del key
    try:
        told = _ENCODER.encode(_plain(prediction))
        return told if request.is_document else b'{"predictions":' + told + b"}"
    except (TypeError, ValueError, RecursionError) as error:
        message = "The model answered with values that JSON cannot hold; use another flavor."
        raise ModelFailed(message) from error


def render_error(status: int, code: str, message: str, request_id: str) -> bytes:
    """Write a refusal in the shape of MLflow's scoring server; ``retryable`` is ours beside it."""
    del request_id
    told: dict[str, object] = {"error_code": code, "message": message}
    return _ENCODER.encode(told | {"retryable": True} if status in _RETRYABLE else told)


def _decode_tabular(body: bytes, media_type: str, plan: Plan) -> Batch:
    if media_type == CSV:
        return conform_csv(body, plan)
    if media_type == NPY:
        return conform_inputs({"input": read_npy(body)}, plan)
    return conform_table(read_columns(body, media_type, plan), plan)


def _decode_matrix(body: bytes, plan: Plan, json_type: type) -> InferRequest | None:
    """Return the request if it is rows of plain numbers that fit; ``None`` to look again."""
    try:
        parsed = _DECODERS[json_type].decode(body)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise _malformed(error) from error
    batch = _matrix(parsed, plan)
    if batch is None:
        return None
    if parsed.params is UNSET:
        return InferRequest(batch)
    check_depth(body)
    return request_of(batch, _parse_params(parsed.params))


def _matrix(parsed: _Body[Any], plan: Plan) -> Batch | None:
    split, records = parsed.dataframe_split, parsed.dataframe_records
    instances, inputs = parsed.instances, parsed.inputs
    given = (split is UNSET, records is UNSET, instances is UNSET, inputs is UNSET)
    if given.count(False) != 1:
        return None
    if instances is not UNSET:
        return matrix_of_rows(instances, plan)
    if split is not UNSET:
        if split.index is not UNSET and len(split.index) != len(split.data):
            return None
        return matrix_of_table(split.columns, split.data, plan)
    if records is not UNSET:
        return matrix_of_records(records, plan)
    return matrix_of_rows(inputs, plan) if inputs is not UNSET else None


def json_object(body: bytes, hint: str) -> dict[str, Any]:
    """Parse a JSON body that is an object, and has passed ``check_body``.

    Args:
        body: The bytes.
        hint: What to send instead of another value.

    Raises:
        MalformedBody: It is not JSON, or something else.
    """
    check_depth(body)
    try:
        parsed = _ANY.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    if not isinstance(parsed, dict):
        raise MalformedBody(f"The body is not a JSON object: {hint}.")
    return parsed


def _decode_any(body: bytes, plan: Plan, signature: Signature | None) -> InferRequest:
    parsed = json_object(body, _one_of())
    given = [name for name in FORMATS if name in parsed]
    document = None if given else document_request(parsed, plan, signature)
    if document is not None:
        return document
    if len(given) != 1:
        raise MalformedBody(f"The body has {' and '.join(given) or 'none'} of them: {_one_of()}.")
    params = parsed.get("params")
    return request_of(conformed(given[0], parsed[given[0]], plan), checked_params(params))


def conformed(name: str, data: Any, plan: Plan) -> Batch:
    """Turn what stands under one of ``FORMATS`` into a batch.

    Raises:
        MalformedBody: It has not the shape of that format.
        InputMismatch: The rows do not fit.
    """
    if name == "dataframe_split":
        return _conformed_split(data, plan)
    if isinstance(data, dict) and name == "inputs":
        return conform_columns(as_columns(data, plan), plan)
    if not isinstance(data, list):
        raise MalformedBody(f"{name!r} is not an array of rows.")
    if name == "dataframe_records" or (data and isinstance(data[0], dict)):
        return conform_records(data, plan)
    return _conformed_list(data, plan)


def _conformed_split(data: Any, plan: Plan) -> Batch:
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise MalformedBody("'dataframe_split' is not an object with 'columns' and 'data'.")
    _check_index(data.get("index"), len(data["data"]))
    names = data.get("columns")
    if names is None:
        return conform_rows(data["data"], None, plan)
    if not isinstance(names, list) or not {type(name) for name in names} <= {str, int}:
        raise MalformedBody("'columns' of 'dataframe_split' is not an array of names.")
    return conform_rows(data["data"], [str(name) for name in names], plan)


def _check_index(index: Any, rows: int) -> None:
    """Refuse an index that is not of these rows; else nothing is made of it."""
    if index is not None and not isinstance(index, list):
        raise MalformedBody("'index' of 'dataframe_split' is not an array.")
    if index is not None and len(index) != rows:
        raise mismatch(
            "'index' of 'dataframe_split'", f"one for each of {rows} rows", str(len(index))
        )


def _conformed_list(data: list[Any], plan: Plan) -> Batch:
    if plan.tensors:
        return conform_tensor(data, plan)
    if len(plan.columns) == 1 and data and not isinstance(data[0], list):
        return conform_rows([[value] for value in data], None, plan)
    if plan.columns or _is_mixed_table(data):
        return conform_rows(data, None, plan)
    return conform_tensor(data, plan)


def _is_mixed_table(data: list[Any]) -> bool:
    """Say whether rows without a signature hold more than numbers, so that columns differ."""
    first = data[0] if data else None
    return isinstance(first, list) and any(isinstance(value, str | bool) for value in first)


def request_of(batch: Batch, params: dict[str, Any]) -> InferRequest:
    """Return a request of rows and params, of which one may be a sticky key.

    Raises:
        InputMismatch: That is no text.
    """
    key = params.pop(ROUTING_KEY, None)
    if key is None:
        return InferRequest(batch, params)
    if not isinstance(key, str):
        raise InputMismatch(f"Parameter {ROUTING_KEY!r} is not a string.")
    return InferRequest(batch, params, routing_key=key)


def _parse_params(raw: Raw) -> dict[str, Any]:
    try:
        return checked_params(msgspec.json.decode(raw))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error


def checked_params(params: Any) -> dict[str, Any]:
    """Return the params that stand in a body.

    Raises:
        MalformedBody: They are none.
    """
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise MalformedBody("'params' is not an object of parameters.")
    check_params(params)
    return params


def _one_of() -> str:
    names = ", ".join(repr(name) for name in FORMATS)
    return f"send an object with exactly one of {names}, and 'params' if you like"


def _malformed(error: Exception) -> MalformedBody:
    """Say where parsing stopped; the parser's own words hold no values."""
    if isinstance(error, msgspec.DecodeError):
        return not_json(error)
    return MalformedBody("The body is not JSON that can be read: it nests too deep, or is broken.")


def _plain(prediction: Prediction) -> Any:
    """Return the answer as lists and dicts."""
    if prediction.is_whole:
        return rows_of(prediction)[0]
    if prediction.is_table:
        return rows_of(prediction)
    names, arrays = prediction.names, prediction.arrays
    if len(arrays) == 1:
        return plain_list(arrays[0])
    return {name: plain_list(array) for name, array in zip(names, arrays, strict=True)}


def rows_of(prediction: Prediction) -> list[Any]:
    """Return the answer row by row: single values, or objects where outputs go by name."""
    columns = [plain_list(array) for array in prediction.arrays]
    if len(columns) == 1 and not prediction.is_table:
        return columns[0]
    names = prediction.names
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
