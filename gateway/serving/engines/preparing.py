"""What is done with columns before scores: missing values, categories, blocks of columns. Pure.

Rows come as numbers; texts have become their places in a list (``cells``).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import (
    BadEngine,
    Columns,
    Encoding,
    Imputing,
    Preparing,
    Scaling,
    Splitting,
)
from gateway.serving.engines.refusal import Refused, all_numbers
from gateway.serving.engines.scaling import Step, make_scaler
from gateway.serving.engines.sides import make_sides

Arrays = Mapping[str, NDArray[Any]]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_MAX_WIDTH = 1 << 20


class Imputer:
    """Immutable, safe from any thread.

    Args:
        values: What stands in for NaN in each column.
    """

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._values = values

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the rows without NaN; what came stays as it is.

        Raises:
            Refused: An infinity.
        """
        filled = rows if rows.dtype in _FLOATS else rows.astype(np.float64)
        if all_numbers(filled):
            return filled
        if np.isinf(filled).any():
            raise Refused
        return np.where(np.isnan(filled), self._values.astype(filled.dtype), filled)


class Encoder:
    """Immutable, safe from any thread.

    Args:
        encoding: What is done.
        categories: Of all columns, as in ``Encoding``.
        counts: How many each column has.
        becomes: What each becomes.
    """

    def __init__(
        self,
        encoding: Encoding,
        categories: NDArray[np.float64],
        counts: NDArray[np.int64],
        becomes: NDArray[np.float64],
    ) -> None:
        self._encoding = encoding
        self._columns = np.arange(counts.size, dtype=np.float64)
        self._keys = np.empty(categories.size, np.complex128)
        self._keys.real = np.repeat(self._columns, counts)
        self._keys.imag = categories
        self._becomes = becomes
        self._places = np.nan_to_num(becomes).astype(np.intp)

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return the categories of rows as numbers.

        Raises:
            Refused: An infinity, or a value that is no category and is not taken.
        """
        at, is_known = self._find(rows)
        if not (self._encoding.takes_unknown or is_known.all()):
            raise Refused
        if not self._encoding.is_one_hot:
            unknown = self._encoding.unknown
            return np.where(is_known, self._becomes.take(at, mode="clip"), unknown)
        places = self._places.take(at, mode="clip")
        is_there = is_known & (places >= 0)
        width = self._encoding.width
        encoded = np.zeros(len(rows) * width)
        starts = np.arange(len(rows))[:, None] * width
        encoded[(places + starts)[is_there]] = 1.0
        return encoded.reshape(len(rows), width)

    def _find(self, rows: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return which category each cell is, and whether it is one: one search for all."""
        keys = np.empty(rows.shape, np.complex128)
        keys.real = self._columns
        keys.imag = rows
        if np.isinf(keys.imag).any():
            raise Refused
        is_missing = np.isnan(keys.imag)
        keys.imag[is_missing] = np.inf
        flat = keys.reshape(-1)
        at = self._keys.searchsorted(flat)
        is_known = self._keys.take(at, mode="clip") == flat
        return at.reshape(rows.shape), is_known.reshape(rows.shape)


class Blocks:
    """Immutable, safe from any thread.

    Args:
        blocks: Which columns each takes, and what is done with them.
    """

    def __init__(self, blocks: Sequence[tuple[NDArray[np.intp], Sequence[Step]]]) -> None:
        self._blocks = tuple(blocks)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return what comes out of all blocks, side by side.

        Raises:
            Refused: One of them refuses its columns.
        """
        parts = []
        for columns, steps in self._blocks:
            cells = rows.take(columns, axis=1)
            for step in steps:
                cells = step(cells)
            parts.append(cells)
        return np.concatenate(parts, axis=1)


def make_preparation(
    step: Preparing | Columns | Splitting, arrays: Arrays, width: int
) -> tuple[Step, int]:
    """Check the arrays of a step and return it, and how many columns come out.

    Raises:
        BadEngine: One has another shape or type than the step takes.
    """
    match step:
        case Columns():
            return _make_blocks(step, arrays, width)
        case Splitting():
            return make_sides(arrays, width)
        case Imputing():
            values = _take(arrays, "0", np.float64)
            if values.shape != (width,) or not np.isfinite(values).all():
                raise BadEngine("There is not one value for each column that may be missing.")
            return Imputer(values), width
        case Encoding():
            return _make_encoder(step, arrays, width), step.width
        case Scaling():
            ordered = [arrays[str(n)] for n in range(len(step.operations)) if str(n) in arrays]
            return make_scaler(step, ordered, width), width


def beneath(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with ``{prefix}.``, by the rest of their names."""
    return {
        name.removeprefix(f"{prefix}."): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix}.")
    }


def _make_blocks(step: Columns, arrays: Arrays, width: int) -> tuple[Blocks, int]:
    blocks, total = [], 0
    for at, block in enumerate(step.blocks):
        if not block.columns or not all(0 <= column < width for column in block.columns):
            raise BadEngine("A block looks at a column that there is not.")
        steps, cells = [], len(block.columns)
        for place, inner in enumerate(block.steps):
            made, cells = make_preparation(inner, beneath(arrays, f"{at}.{place}"), cells)
            steps.append(made)
        blocks.append((np.array(block.columns, np.intp), steps))
        total += cells
    if not blocks:
        raise BadEngine("There are no blocks of columns.")
    return Blocks(blocks), total


def _make_encoder(step: Encoding, arrays: Arrays, width: int) -> Encoder:
    categories = _take(arrays, "0", np.float64)
    counts, becomes = _take(arrays, "1", np.int64), _take(arrays, "2", np.float64)
    if counts.shape != (width,) or (counts < 1).any() or counts.sum() != categories.size:
        raise BadEngine("There are not as many categories as the columns have.")
    if categories.ndim != 1 or becomes.shape != categories.shape:
        raise BadEngine("The categories have another shape.")
    limits = np.cumsum(counts)[:-1]
    ascending = np.diff(categories) > 0
    ascending[limits - 1] = True
    if np.isnan(categories).any() or not ascending.all():
        raise BadEngine("The categories of a column are not in order.")
    if not 1 <= step.width <= _MAX_WIDTH or (not step.is_one_hot and step.width != width):
        raise BadEngine("The encoded row has another width.")
    if step.is_one_hot and not ((becomes >= -1) & (becomes < step.width)).all():
        raise BadEngine("A category has a place outside the row.")
    return Encoder(step, categories, counts, becomes)


def _take(arrays: Arrays, name: str, dtype: Any) -> NDArray[Any]:
    array = arrays.get(name)
    if array is None or array.dtype != np.dtype(dtype):
        raise BadEngine(f"The array {name!r} is missing, or has another type.")
    return array
