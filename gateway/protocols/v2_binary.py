"""Open Inference Protocol v2 over REST with raw tensors: a JSON head, then their bytes. Pure.

Called by ``gateway/predict.py`` on the event loop for bodies with the header
``Inference-Header-Content-Length``, and for answers in which an output is wanted as raw bytes.
Tensors in JSON and raw ones may be mixed; a head of length 0 leaves one raw tensor.
"""

from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType
from numpy.typing import NDArray

from gateway.protocols.arrays import conform_arrays, conform_inputs
from gateway.protocols.caps import check_body, check_depth
from gateway.protocols.datatypes import BYTES, datatype_of
from gateway.protocols.elements import Kind
from gateway.protocols.media import check_v2
from gateway.protocols.plan import Column, Plan, Tensor, plan_for
from gateway.protocols.raw_tensors import missing_in, read_raw, row_count, write_raw
from gateway.protocols.refusals import no_rows, shown
from gateway.protocols.v2_request import Scalar, Wanted, check_served, request_of
from gateway.protocols.v2_rest import Input, Output, array_of, malformed, named, output_of, wanted
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import InferRequest, Prediction
from tracking.errors import InvalidRequest, MalformedBody

CONTENT_TYPE = b"application/octet-stream"
"""The type of an answer with raw tensors."""
HEAD_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are its JSON head."""
SIZE = "binary_data_size"
"""The parameter of a tensor that says how many raw bytes it has."""

_MAX_DIGITS = 18


class _Input(Struct, frozen=True, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, Scalar] | None = None


class _Head(Struct, frozen=True, gc=False):
    inputs: list[_Input]
    id: str | None = None
    parameters: dict[str, Scalar] | None = None
    outputs: list[Wanted] | None = None


class _RawOutput(Struct, frozen=True, gc=False):
    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: dict[str, int | str]


class _Answer(Struct, frozen=True, omit_defaults=True, gc=False):
    model_name: str
    model_version: str
    outputs: list[Output | _RawOutput]
    id: str | None = None


_HEADS = msgspec.json.Decoder(_Head)
_ENCODER = msgspec.json.Encoder()


def decode(
    body: bytes, content_type: str | None, head_length: str, signature: Signature | None
) -> InferRequest:
    """Read the tensors of a request with raw ones.

    Args:
        body: The bytes, within the size limit.
        content_type: The header as it came; ``None`` if there was none.
        head_length: The header ``Inference-Header-Content-Length`` as it came.
        signature: What the model takes; ``None`` takes any tensors.

    Raises:
        UnsupportedMedia: Its type is neither JSON nor octets.
        TooLarge: It holds too many values.
        MalformedBody: Lengths do not add up, or the head is not in the shape of the protocol.
        InvalidRequest: A datatype or shape is none.
        InputMismatch: The tensors do not fit the signature.
    """
    check_v2(content_type)
    plan = plan_for(signature)
    size = _checked_length(head_length, len(body))
    if size == 0:
        only = _only_tensor(memoryview(body), plan)
        return InferRequest(conform_arrays(only, plan), is_raw=True)
    head = _parsed(body[:size])
    if not head.inputs:
        raise no_rows()
    arrays = _arrays(head.inputs, memoryview(body)[size:])
    batch = conform_inputs(as_text(named(arrays), plan), plan)
    return request_of(batch, head.id, head.parameters, head.outputs, signature)


def encode(
    prediction: Prediction, request: InferRequest, key: VersionKey
) -> tuple[bytes, int | None]:
    """Write an answer in which outputs are raw where the request wants them so.

    Args:
        prediction: What the model answered.
        request: Says which outputs are wanted, how, and the id to echo.
        key: The version that answered.

    Returns:
        The answer, and the length of its JSON head; ``None`` if all of it is JSON.

    Raises:
        InvalidRequest: An output that is wanted does not exist, or cannot be written as wanted.
        ModelFailed: The model answered with something that no datatype can hold.
    """
    outputs: list[Output | _RawOutput] = []
    pieces: list[bytes] = []
    for name, array in wanted(prediction, request):
        if not request.raw_by_name.get(name, request.is_raw):
            outputs.append(output_of(name, array, allows_null=request.allows_null))
            continue
        piece = write_raw(array, name=name)
        datatype = datatype_of(array.dtype)
        outputs.append(
            _RawOutput(name, array.shape, datatype, {SIZE: len(piece), **missing_in(array)})
        )
        pieces.append(piece)
    head = _ENCODER.encode(_Answer(key.model, str(key.version), outputs, request.request_id))
    return b"".join((head, *pieces)), len(head) if pieces else None


def _checked_length(text: str, body_bytes: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise MalformedBody(f"The header {HEAD_LENGTH} is not a number of bytes.")
    size = int(text)
    if size > body_bytes:
        message = f"The header {HEAD_LENGTH} says {size} bytes, but the body has {body_bytes}."
        raise MalformedBody(message)
    return size


def _parsed(head: bytes) -> _Head:
    try:
        check_body(head)
        check_depth(head)
        return _HEADS.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(b"", error) from error


def _arrays(inputs: list[_Input], raw: memoryview) -> list[tuple[str, NDArray[Any]]]:
    sizes = [_raw_size(tensor) for tensor in inputs]
    told = sum(size or 0 for size in sizes)
    if told != len(raw):
        message = f"The sizes of the raw tensors add up to {told} bytes, but {len(raw)} follow"
        raise MalformedBody(f"{message} the JSON head.")
    arrays, start = [], 0
    for tensor, size in zip(inputs, sizes, strict=True):
        if size is None:
            data = [] if tensor.data is UNSET else tensor.data
            json_tensor = Input(tensor.name, tensor.shape, tensor.datatype, data)
            arrays.append((tensor.name, array_of(json_tensor)))
            continue
        piece = raw[start : start + size]
        start += size
        array = read_raw(piece, tensor.datatype, tuple(tensor.shape), name=tensor.name)
        arrays.append((tensor.name, array))
    return arrays


def _raw_size(tensor: _Input) -> int | None:
    """Return how many raw bytes a tensor has; ``None`` if its values stand in the JSON."""
    check_served(tensor.parameters, tensor.name)
    size = (tensor.parameters or {}).get(SIZE)
    if (size is None) == (tensor.data is UNSET):
        message = f"Input {shown(tensor.name)} needs either 'data' or the parameter {SIZE!r}."
        raise MalformedBody(message)
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise MalformedBody(f"Input {shown(tensor.name)}: {SIZE!r} is not a number of bytes.")
    return size


def _only_tensor(raw: memoryview, plan: Plan) -> dict[str, NDArray[Any]]:
    """Return the tensor of a body that is nothing else; the model says what it must be."""
    if not len(raw):
        raise no_rows()
    name, dtype, width, shape = _only_input(plan)
    if dtype.kind == "O":
        values = np.empty(1, dtype=object)
        values[0] = bytes(raw)
        return as_text({name: values.reshape(tuple(abs(axis) for axis in shape))}, plan)
    datatype = datatype_of(dtype)
    rows = row_count(len(raw), datatype, width)
    if not rows:
        message = f"The body is no whole number of rows of {width} values of {datatype}."
        raise InvalidRequest(message)
    return {name: read_raw(raw, datatype, (rows, *shape[1:]), name=name)}


def _only_input(plan: Plan) -> tuple[str, np.dtype[Any], int, tuple[int, ...]]:
    """Return name, type, values a row, and shape of the model's only input."""
    if len(plan.tensors) == 1:
        tensor = plan.tensors[0]
        name, dtype, shape = tensor.name, tensor.element.dtype, tensor.shape
    elif plan.matrix is not None and not plan.names:
        name, dtype, shape = "input", plan.matrix, (-1, plan.width)
    elif len(plan.columns) == 1:
        column = plan.columns[0]
        name, dtype, shape = column.name, column.element.dtype, (-1,)
    else:
        name, dtype, shape = "", np.dtype(object), ()
    width = int(np.prod(shape[1:], dtype=np.int64)) if shape else 0
    is_text = dtype.kind == "O"
    if not shape or shape[0] != -1 or width < 1 or (is_text and width > 1) or dtype.kind == "M":
        message = "A body without a JSON head is for models with one input of rows of known length"
        raise InvalidRequest(f"{message}: send a head.")
    return name, dtype, width, shape


def as_text(arrays: dict[str, NDArray[Any]], plan: Plan) -> dict[str, NDArray[Any]]:
    """Decode raw BYTES as UTF-8 where the model does not take bytes.

    Raises:
        MalformedBody: They are not UTF-8, or hold a NUL character.
    """
    items: tuple[Column | Tensor, ...] = (*plan.columns, *plan.tensors)
    binary = {item.name for item in items if item.element.kind is Kind.BINARY}
    if len(items) == len(arrays) == 1 and binary:
        return arrays  # a single one goes by any name
    return {
        name: _decoded(array, name) if array.dtype.kind == "O" and name not in binary else array
        for name, array in arrays.items()
    }


def _decoded(array: NDArray[Any], name: str) -> NDArray[Any]:
    texts = np.empty(array.size, dtype=object)
    for index, value in enumerate(array.flat):
        text = value
        if isinstance(value, bytes):
            try:
                text = value.decode()
            except UnicodeDecodeError as error:
                message = f"Input {shown(name)}, element {index}: {BYTES} that are not UTF-8."
                raise MalformedBody(message) from error
            if "\x00" in text:
                raise MalformedBody(f"Input {shown(name)}, element {index}: a NUL character.")
        texts[index] = text
    return texts.reshape(array.shape)
