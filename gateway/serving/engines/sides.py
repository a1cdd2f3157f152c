"""Numbered categories as what trees compare: on which side of each split a category lies. Pure.

A tree that sends a set of categories to the left is then a tree like any other: it looks at a
column that holds 0 for them and 1 for the rest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine
from gateway.serving.engines.scaling import Step

MAX_SPLITS = 1 << 12
"""Each makes a column of every row."""

_MOST_CATEGORIES = 256

_CELLS_AT_ONCE = 1 << 21
"""A thousand splits make a thousand times what came: never all of a large request at once."""


class Sides:
    """Immutable, safe from any thread.

    Args:
        tables: For each of the first columns, the sides of each category, shape (categories + 1,
            splits); the last line is for what is no category.
    """

    def __init__(self, tables: Sequence[NDArray[np.float64]]) -> None:
        self._tables = tuple(tables)

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return the other columns of the rows, and then the sides that each first one is on."""
        count = len(self._tables)
        parts = [rows[:, count:]]
        for codes, table in zip(rows.T, self._tables, strict=False):
            # NaN is not above anything, either.
            places = np.where(codes >= 0, codes, len(table) - 1).astype(np.intp)
            parts.append(table.take(places, axis=0, mode="clip"))
        return np.concatenate(parts, axis=1, dtype=np.float64)


class SidesThenTrees:
    """Immutable, safe from any thread.

    Args:
        sides: Makes rows as wide as there are splits.
        trees: Gives scores, one line a row.
        width: How wide those rows are.
    """

    def __init__(self, sides: Sides, trees: Step, width: int) -> None:
        self._sides = sides
        self._trees = trees
        self._rows_at_once = max(1, _CELLS_AT_ONCE // width)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return the scores of rows."""
        at_once = self._rows_at_once
        if len(rows) <= at_once:
            return self._trees(self._sides(rows))
        pieces = (rows[at : at + at_once] for at in range(0, len(rows), at_once))
        return np.concatenate([self._trees(self._sides(piece)) for piece in pieces])


def make_sides(arrays: Mapping[str, NDArray[Any]], width: int) -> tuple[Sides, int]:
    """Check the arrays of a step and return it, and how many columns come out.

    Raises:
        BadEngine: They do not fit each other, or the columns.
    """
    categories, splits, sides = (arrays.get(name) for name in ("0", "1", "2"))
    if categories is None or splits is None or sides is None or len(arrays) != 3:  # noqa: PLR2004
        raise BadEngine("An array of the splits by category is missing.")
    if not categories.dtype == splits.dtype == np.int64 or sides.dtype != np.bool_:
        raise BadEngine("The splits by category have other types.")
    if categories.ndim != 1 or categories.shape != splits.shape or sides.ndim != 1:
        raise BadEngine("The splits by category have other shapes.")
    if not 1 <= categories.size <= width or (categories > _MOST_CATEGORIES).any():
        raise BadEngine("There are splits by category of a column that there is not.")
    if (categories < 0).any() or (splits < 0).any() or (splits > MAX_SPLITS).any():
        raise BadEngine("There are too many splits by category.")
    sizes = categories * splits
    if splits.sum() > MAX_SPLITS or sizes.sum() != sides.size:
        raise BadEngine("There are not as many sides as categories and splits.")
    pieces = np.split(sides, np.cumsum(sizes)[:-1])
    tables = [
        np.vstack([piece.reshape(lines, cells), np.full((1, cells), np.nan)])
        for piece, lines, cells in zip(pieces, categories.tolist(), splits.tolist(), strict=True)
    ]
    return Sides(tables), width - len(tables) + int(splits.sum())
