"""Scalers: one operation after the other on all rows, in place, as the library does it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine, Operation, Scaling, Verb
from gateway.serving.engines.refusal import Refused, all_numbers

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_UFUNCS: Mapping[Verb, np.ufunc] = {
    Verb.SUBTRACT: np.subtract,
    Verb.DIVIDE: np.divide,
    Verb.MULTIPLY: np.multiply,
    Verb.ADD: np.add,
}

Step = Callable[[NDArray[Any]], NDArray[Any]]


class Scaler:
    """Immutable, safe from any thread.

    Args:
        scaling: Its operations.
        arrays: One for each of them.
    """

    def __init__(self, scaling: Scaling, arrays: Sequence[NDArray[Any]]) -> None:
        self._operations = tuple(zip(scaling.operations, arrays, strict=True))

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows, scaled; what came stays as it is.

        Raises:
            Refused: An infinity; NaN passes here.
        """
        scaled = rows.copy(order="K") if rows.dtype in _FLOATS else rows.astype(np.float64)
        if not all_numbers(scaled) and np.isinf(scaled).any():
            raise Refused
        for operation, array in self._operations:
            _apply(scaled, operation, array)
        return scaled


def make_scaler(scaling: Scaling, arrays: Sequence[NDArray[Any]], width: int) -> Scaler:
    """Check a scaler's arrays and return it.

    Raises:
        BadEngine: One has another shape or type than its operation takes.
    """
    if len(arrays) != len(scaling.operations):
        raise BadEngine("A scaler has not one array for each operation.")
    for operation, array in zip(scaling.operations, arrays, strict=True):
        wanted = (2,) if operation.verb is Verb.CLIP else (width,)
        if array.dtype not in _FLOATS or array.shape != wanted:
            raise BadEngine(f"The array of {operation.verb!r} has another shape or type.")
    return Scaler(scaling, arrays)


def _apply(rows: NDArray[Any], operation: Operation, array: NDArray[Any]) -> None:
    operand = array.astype(rows.dtype) if operation.is_narrowed else array
    if operation.verb is Verb.CLIP:
        np.clip(rows, operand[0], operand[1], out=rows)
    else:
        _UFUNCS[operation.verb](rows, operand, out=rows, casting="same_kind")
