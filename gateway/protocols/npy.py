"""A ``.npy`` body to an array: numpy's own file format, without objects. Pure.

Called by ``mlflow_scoring.py``. The header is read by numpy; what it says is compared with the body
before anything of that size is made.
"""

import io
import math
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from gateway.parsing import PARSING
from gateway.protocols.moments import MOMENTS, moments_of
from gateway.protocols.refusals import no_rows
from gateway.protocols.tensors import MAX_AXES
from tracking.errors import InvalidRequest, MalformedBody

_KINDS = "biufUSM"
_EXTENDED = ("longdouble", "float96", "float128")  # of another size on each kind of machine
_MAX_HEADER_BYTES = 4096
_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


# What numpy's reader raises at one broken header or another: it parses them as Python.
_UNREADABLE = (
    ValueError, KeyError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError,
)  # fmt: skip


def read_npy(body: bytes) -> NDArray[Any]:
    """Return the array of a body; text becomes an array of objects.

    Raises:
        MalformedBody: It is not such a file, or not as long as it says.
        InvalidRequest: It holds values that no request can carry, or has no rows.
    """
    stream = io.BytesIO(body)
    shape, is_fortran, dtype = _read_header(stream)
    if dtype.kind not in _KINDS or dtype.itemsize == 0 or dtype.name in _EXTENDED:
        raise InvalidRequest("The array holds neither numbers nor text: send one of those.")
    if not 1 <= len(shape) <= MAX_AXES or min(shape) < 0:
        raise InvalidRequest(f"The array needs 1 to {MAX_AXES} axes.")
    if math.prod(shape) == 0:
        raise no_rows()
    if math.prod(shape) * dtype.itemsize != len(body) - stream.tell():
        raise MalformedBody("The body is not as long as the header of its .npy says.")
    flat = np.frombuffer(body, dtype, offset=stream.tell())
    return _plain(flat.reshape(shape, order="F" if is_fortran else "C"))


def _read_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        read = _HEADERS[npy_format.read_magic(stream)]
        with PARSING:
            shape, is_fortran, dtype = read(stream, max_header_size=_MAX_HEADER_BYTES)
    except _UNREADABLE as error:
        raise MalformedBody("The body is no .npy file of a version that is read here.") from error
    return shape, is_fortran, dtype


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind in "US":
        return array.astype(object)
    if array.dtype.kind == "M":
        moments = moments_of(array)
        if moments is None:
            raise InvalidRequest(f"The array: expected {MOMENTS}, got another.")
        return moments
    return array.astype(array.dtype.newbyteorder("="), order="C")
