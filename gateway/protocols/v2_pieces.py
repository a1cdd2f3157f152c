"""Requests of a gRPC stream, and the pieces that answer them: ``ModelStreamInfer``. Pure.

Called by ``gateway/grpc_talks.py``. A piece is a ``ModelInferResponse`` with a tensor for each of
its values, and every response says whether it is the request's last, as Triton's do.
"""

from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.protocols.events import encode_piece
from gateway.protocols.plan import plan_for
from gateway.protocols.v2_binary import as_text
from gateway.protocols.v2_generate import TEXT
from gateway.protocols.v2_grpc import arrays_of, asked_of, encode, params_of
from gateway.protocols.v2_messages import STREAM, message
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import Batch, InferRequest, Prediction
from tracking.errors import InvalidRequest

PIECEWISE = "stream"
"""The parameter that asks for an answer in pieces; the last of them says that it is."""
EMPTY_LAST = "triton_enable_empty_final_response"
"""The parameter that asks for a last response without outputs: then no piece has to wait for the
next one to know whether it is the last. It asks for pieces, too."""
IS_LAST = "triton_final_response"
"""The parameter of a response that says whether it is the request's last."""

_OUTPUT = "output"
_RESPONSE = f"{STREAM}Response"
_NO_ROWS = Batch((), (), is_matrix=True)
_MAX_INT64 = (1 << 63) - 1


class Wish(Struct, frozen=True):
    """How a request of a stream wants to be answered.

    Args:
        request_id: The caller's own id, or empty.
        is_piecewise: Whether a model that talks should.
        has_empty_last: Whether a response without outputs should end the pieces.
    """

    request_id: str = ""
    is_piecewise: bool = False
    has_empty_last: bool = False


def wish_of(request: Any) -> Wish:
    """Read how a parsed request wants to be answered.

    Raises:
        InvalidRequest: The parameter that Triton's servers know has another type.
    """
    given = params_of(request.parameters) or {}
    has_empty_last = given.get(EMPTY_LAST, False)
    if not isinstance(has_empty_last, bool):
        raise InvalidRequest(f"Parameter {EMPTY_LAST!r} is no bool: send 'bool_param', or none.")
    return Wish(request.id, has_empty_last or given.get(PIECEWISE) is True, has_empty_last)


def read_document(request: Any) -> tuple[InferRequest, dict[str, Any]] | None:
    """Return the document that a parsed request is; ``None`` if it holds rows.

    One value in each tensor, and text among them, is a document: what the generate extension has as
    an object, with the parameters that are the model's under ``parameters``.

    Raises:
        StagedoorError: A tensor cannot be read, or a parameter is none.
    """
    arrays = as_text(arrays_of(request), plan_for(None))
    if any(array.size != 1 for array in arrays.values()):
        return None
    document: dict[str, Any] = {name: array.reshape(-1)[0] for name, array in arrays.items()}
    if not any(isinstance(value, str) for value in document.values()):
        return None
    asked = asked_of(request, _NO_ROWS, None)
    plain = {name: getattr(value, "item", lambda v=value: v)() for name, value in document.items()}
    return asked, plain | ({"parameters": dict(asked.params)} if asked.params else {})


def piece_body(
    piece: Any, request: InferRequest, key: VersionKey, signature: Signature | None
) -> bytes:
    """Write a piece as the bytes of a ``ModelInferResponse``; of an object, what is wanted of it.

    Args:
        piece: Plain values, as the runner sends them.
        request: What it answers.
        key: Who answers.
        signature: Names what is no object, where it has one output.
    """
    values = piece if isinstance(piece, dict) else {_name(piece, signature): piece}
    tensors = {
        name: _tensor(value)
        for name, value in values.items()
        if value is not None and (not request.outputs or name in request.outputs)
    }
    prediction = Prediction(tuple(tensors), tuple(tensors.values()))
    return encode(prediction, replace(request, outputs=(), params={}), key)


def empty_body(request_id: str, key: VersionKey) -> bytes:
    """Write the bytes of a ``ModelInferResponse`` without outputs."""
    return encode(Prediction((), ()), InferRequest(_NO_ROWS, request_id=request_id), key)


def response(body: bytes, *, is_last: bool) -> bytes:
    """Put the bytes of a ``ModelInferResponse`` into a response of the stream."""
    made = message(_RESPONSE)()
    made.infer_response.MergeFromString(body)
    made.infer_response.parameters[IS_LAST].bool_param = is_last
    written: bytes = made.SerializeToString()
    return written


def refusal(told: str, request_id: str) -> bytes:
    """Write why a request is not answered, or not to its end; it is the last it is told."""
    made = message(_RESPONSE)(error_message=told)
    made.infer_response.id = request_id
    made.infer_response.parameters[IS_LAST].bool_param = True
    written: bytes = made.SerializeToString()
    return written


def _name(piece: Any, signature: Signature | None) -> str:
    """Return what a piece that is no object is called: as the model's metadata say, if they do."""
    if signature is not None and len(signature.outputs) == 1:
        return signature.outputs[0].name or _OUTPUT
    return TEXT if isinstance(piece, str) else _OUTPUT


def _tensor(value: Any) -> NDArray[Any]:
    """Return a value as an array; one that is neither a number, nor text, nor an array is JSON."""
    try:
        return _plain_tensor(np.array(value if isinstance(value, list) else [value], dtype=object))
    except (ValueError, OverflowError):  # lists of several lengths, mixed types, huge numbers
        return np.array([encode_piece(value).decode()], dtype=object)


def _plain_tensor(array: NDArray[Any]) -> NDArray[Any]:
    kinds = {type(item) for item in array.flat}
    if kinds and kinds <= {str, bytes}:
        return array
    if kinds == {bool}:
        return array.astype(np.bool_)
    if kinds == {int}:
        return array.astype(np.int64 if array.max() <= _MAX_INT64 else np.uint64)
    if kinds - {type(None)} and kinds <= {int, float, type(None)}:
        return array.astype(np.float64)  # what is not finite came as none, and is NaN again
    raise ValueError(kinds)
