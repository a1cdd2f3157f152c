"""Rows to try a model with: made from its signature, or several different ones from an example.

Pure. Called in the runner's process by ``warmup`` and ``merging``.
"""

import datetime as dt
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.input_example import column_array
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch

_DAY = dt.datetime(2026, 1, 1)  # noqa: DTZ001  columns of times have no zone
_COLUMNS: dict[str, list[Any]] = {
    "boolean": [True, False, True],
    "integer": [1, 2, 3],
    "long": [1, 2, 3],
    "float": [0.5, 1.0, 2.0],
    "double": [0.5, 1.0, 2.0],
    "string": ["a", "b", "c"],
    "binary": ["YQ==", "Yg==", "Yw=="],
    "datetime": [(_DAY + dt.timedelta(days=day)).isoformat() for day in range(3)],
}
_ROWS = 3
_MOST_CELLS = 1 << 20
_LEAST = 2
_LOOKED_AT = 64
_SHRINKING = (1.0, 0.5, 0.25)
"""Parts of a number: its sign and its zero stay, and no type is too small for it."""


def rows_of(signature: Signature | None) -> Batch | None:
    """Make rows that fit a signature; ``None`` where there is none to fit."""
    if signature is None or not signature.inputs:
        return None
    inputs = signature.inputs
    arrays = tuple(_column(spec, at) for at, spec in enumerate(inputs))
    found = tuple(array for array in arrays if array is not None)
    if len(found) < len(inputs):
        return None
    names = tuple(spec.name for spec in inputs if spec.name is not None)
    if isinstance(inputs[0], ColumnSpec):
        return _table(names, found)
    return Batch(names, found, is_matrix=not names)


def several(rows: Batch) -> Batch | None:
    """Return at least two different rows, the first of them again at the end; else ``None``.

    Args:
        rows: Such as a model takes, at least one. Numbers that are the same in all of them are made
            to differ: a model may look at these only.
    """
    first = _different(rows)[:_ROWS]
    first += [first[0]] * (_ROWS - len(first)) if len(first) < _LEAST else []
    rows = _vary(pick(rows, first))
    places = _different(rows)
    if len(places) < _LEAST:
        return None
    return pick(rows, [*places, places[0]])


def pick(rows: Batch, places: Iterable[int]) -> Batch:
    """Return some rows, in an order."""
    wanted = list(places)
    return Batch(rows.names, tuple(array[wanted] for array in rows.arrays), rows.is_matrix)


def _column(spec: ColumnSpec | TensorSpec, place: int) -> NDArray[Any] | None:
    if isinstance(spec, ColumnSpec):
        values = _COLUMNS.get(spec.type)
        if values is None:
            return None
        turn = place % _ROWS
        return column_array(values[turn:] + values[:turn], spec.type)
    shape = (_ROWS, *(1 if length < 0 else length for length in spec.shape[1:]))
    if math.prod(shape) > _MOST_CELLS:
        return None
    if spec.dtype.startswith(("object", "str", "bytes")):
        texts = np.array(["a", "b", "c"], dtype=object)
        return np.broadcast_to(texts.reshape(-1, *(1,) * (len(shape) - 1)), shape).copy()
    numbers: NDArray[Any] = np.linspace(0.5, 2.0, math.prod(shape)).reshape(shape)
    if np.dtype(spec.dtype).kind in "iu":
        numbers = np.arange(math.prod(shape)).reshape(shape) % 7 + 1
    return numbers.astype(spec.dtype)


def _table(names: tuple[str, ...], arrays: tuple[NDArray[Any], ...]) -> Batch | None:
    if len({array.dtype for array in arrays}) == 1 and arrays[0].dtype.kind in "iuf":
        return Batch(names, (np.column_stack(arrays),), is_matrix=True)
    return Batch(names, arrays, is_matrix=False) if names else None


def _different(rows: Batch) -> list[int]:
    """Return the places of rows of which no two are the same, the first of each."""
    first: dict[str, int] = {}
    for place in range(min(rows.rows, _LOOKED_AT)):
        first.setdefault(repr([array[place : place + 1].tolist() for array in rows.arrays]), place)
    return list(first.values())


def _vary(rows: Batch) -> Batch:
    """Make numbers differ that are the same in all rows: smaller from row to row, or above zero."""
    arrays = []
    for array in rows.arrays:
        some = array
        if array.dtype.kind in "iuf":
            parts = np.array(_SHRINKING[: len(array)]).reshape(-1, *(1,) * (array.ndim - 1))
            from_zero = (1.0 - parts) * parts * (1.0 if array.dtype.kind == "f" else 4.0)
            varied = np.where(array == 0, from_zero, array * parts).astype(array.dtype)
            some = np.where((array == array[:1]).all(axis=0), varied, array)
        arrays.append(some)
    return Batch(rows.names, tuple(arrays), rows.is_matrix)
