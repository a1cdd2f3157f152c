"""Tensors as raw bytes: little-endian, row-major, no padding. Pure; both ways.

Called by ``v2_binary.py`` and ``v2_grpc.py``. BOOL is one byte a value, BYTES a length of four
bytes and then the bytes; BF16 comes in as raw bytes only and is widened to FP32.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.answers import no_tensor, plain_list
from gateway.protocols.caps import MAX_ELEMENTS
from gateway.protocols.datatypes import BYTES, ELEMENTS, datatype_of
from gateway.protocols.refusals import no_rows, shown
from gateway.protocols.tensors import MAX_AXES
from tracking.errors import InvalidRequest, MalformedBody, TooLarge

BF16 = "BF16"
"""A float of eight bits of exponent and seven of fraction: the upper half of an FP32."""

MISSING = "missing"
"""The parameter of an output whose BYTES are not all there: bytes have no word for it, and an
empty one is a text, too."""

_WITH_GAPS = "OM"
_LENGTH_BYTES = 4
_HALF_BITS = 16
_ON_THE_WIRE = {
    BF16: np.dtype("<u2"),
    **{label: e.dtype.newbyteorder("<") for label, e in ELEMENTS.items() if label != BYTES},
    "BOOL": np.dtype(np.uint8),
}


def read_raw(
    piece: memoryview, datatype: str, shape: tuple[int, ...], *, name: str
) -> NDArray[Any]:
    """Return the array that a tensor's bytes are; BYTES become an array of ``bytes``.

    Args:
        piece: All of the tensor's bytes, and nothing else.
        datatype: As the request names it.
        shape: As the request says it.
        name: Of the tensor, for refusals.

    Raises:
        InvalidRequest: The datatype or shape is none, or the bytes are not as many as they say.
        MalformedBody: The bytes are no values of the datatype.
        TooLarge: It holds more values than are taken.
        InputMismatch: It holds nothing.
    """
    count = checked_count(shape, name)
    if datatype == BYTES:
        return _read_texts(piece, count, name).reshape(shape)
    dtype = _dtype(datatype)
    if count * dtype.itemsize != len(piece):
        message = f"Input {shown(name)}: {count} values of {datatype} are not {len(piece)} bytes."
        raise InvalidRequest(message)
    array = np.frombuffer(piece, dtype).reshape(shape)
    if datatype == BF16:
        return (array.astype(np.uint32) << _HALF_BITS).view(np.float32)
    if datatype == "BOOL":
        return _booleans(array, name)
    return array.astype(dtype.newbyteorder("="))  # a copy: aligned, and the model may write to it


def write_raw(array: NDArray[Any], *, name: str) -> bytes:
    """Return an array's bytes; an element that is missing is empty.

    Raises:
        InvalidRequest: It holds what no tensor can.
        ModelFailed: Its type is none that a datatype can hold.
    """
    if datatype_of(array.dtype) == BYTES:
        return b"".join(_framed(value, name) for value in plain_list(array.reshape(-1)))
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def missing_in(array: NDArray[Any]) -> dict[str, str]:
    """Return the parameter that says which elements of an output are missing, if any are.

    Returns:
        Positions in row-major order, from 0, with commas between them.
    """
    if array.dtype.kind not in _WITH_GAPS:
        return {}
    values = plain_list(array.reshape(-1))
    if None not in values:
        return {}
    return {MISSING: ",".join(str(at) for at, value in enumerate(values) if value is None)}


def row_count(size_bytes: int, datatype: str, width: int) -> int:
    """Return how many rows of ``width`` values fill so many bytes exactly; 0 if none do."""
    row_bytes = _dtype(datatype).itemsize * width
    rows, rest = divmod(size_bytes, row_bytes)
    return 0 if rest else rows


def checked_count(shape: Sequence[int], name: str) -> int:
    """Return how many values a tensor of this shape has.

    Raises:
        InvalidRequest: It has no axis, too many, or a negative one.
        InputMismatch: It holds nothing.
    """
    if not 1 <= len(shape) <= MAX_AXES or min(shape) < 0:
        message = f"Input {shown(name)}: 'shape' needs 1 to {MAX_AXES} axes, none negative."
        raise InvalidRequest(message)
    count = math.prod(shape)
    if count == 0:
        raise no_rows()
    return count


def _dtype(datatype: str) -> np.dtype[Any]:
    dtype = _ON_THE_WIRE.get(datatype)
    if dtype is None:
        names = ", ".join((*ELEMENTS, BF16))
        raise InvalidRequest(f"{datatype[:32]!r} is no datatype: use one of {names}.")
    return dtype


def _booleans(array: NDArray[Any], name: str) -> NDArray[Any]:
    if int(array.max()) > 1:
        raise MalformedBody(f"Input {shown(name)}: a byte of BOOL is neither 0 nor 1.")
    return array.astype(np.bool_)


def _read_texts(piece: memoryview, count: int, name: str) -> NDArray[Any]:
    if count > MAX_ELEMENTS:
        raise TooLarge(f"Input {shown(name)} holds more than {MAX_ELEMENTS} values: send fewer.")
    if count * _LENGTH_BYTES > len(piece):
        raise _not_elements(name, count)
    values = np.empty(count, dtype=object)
    start = 0
    for index in range(count):
        ends = start + _LENGTH_BYTES
        start, begins = ends + int.from_bytes(piece[start:ends], "little"), ends
        if start > len(piece):
            raise _not_elements(name, count)
        values[index] = bytes(piece[begins:start])
    if start != len(piece):
        raise _not_elements(name, count)
    return values


def _not_elements(name: str, count: int) -> MalformedBody:
    message = f"Input {shown(name)}: its bytes are not {count} elements of BYTES"
    return MalformedBody(f"{message}, each a length of {_LENGTH_BYTES} bytes and the bytes.")


def _framed(value: object, name: str) -> bytes:
    match value:
        case str():
            content = value.encode("utf-8", "surrogatepass")
        case bytes():
            content = value
        case None:
            content = b""  # ``missing_in`` says which these are
        case _:
            raise no_tensor(name)
    return len(content).to_bytes(_LENGTH_BYTES, "little") + content
