"""Small trees without a walk: a table says for each interval of a column which leaves are left.

A column's thresholds, in order, cut it into intervals. The table has a row for each interval of
each column, with a word of bits for each tree: which of its leaves a value in that interval can
still reach. The words of a row's columns, and-ed, leave one bit in each tree: the leaf. Pure.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine

_WORDS = tuple(np.dtype(kind) for kind in (np.uint8, np.uint16, np.uint32, np.uint64))
_EXPONENT_BIT, _EXPONENT_OF_ONE = 52, 1023
_AT_ONCE_ROWS = 8


class Table:
    """Immutable, safe from any thread.

    Args:
        columns: Which columns are looked at.
        cuts: Their thresholds as (place of the column, threshold), ascending; the last of each
            column is infinite.
        words: Shape (cuts + columns, trees); the last rows are for NaN in each column.
        leaves: Where the leaves of each tree begin among all of them, in the order of bits.
    """

    def __init__(
        self,
        columns: NDArray[np.int64],
        cuts: NDArray[np.complex128],
        words: NDArray[Any],
        leaves: NDArray[np.int64],
    ) -> None:
        self._columns = columns
        self._places = np.arange(columns.size, dtype=np.float64)[:, None]
        self._cuts = cuts
        self._words = words
        self._leaves = leaves

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the leaves of rows: shape (trees, rows), counted over the bits of all trees."""
        codes = self._find_intervals(rows)
        if len(rows) <= _AT_ONCE_ROWS:
            left = np.bitwise_and.reduce(self._words.take(codes, axis=0, mode="clip"), axis=0)
        else:
            left = self._words.take(codes[0], axis=0, mode="clip")
            for code in codes[1:]:
                left &= self._words.take(code, axis=0, mode="clip")
        bits = left.astype(np.float64).view(np.int64)
        bits >>= _EXPONENT_BIT
        bits -= _EXPONENT_OF_ONE
        bits += self._leaves
        return np.ascontiguousarray(bits.T)

    def _find_intervals(self, rows: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the row of the table for each column and row: one search for all of them."""
        values = rows.T.take(self._columns, axis=0, mode="clip")
        keys = np.empty(values.shape, np.complex128)
        keys.real = self._places
        keys.imag = values
        codes = self._cuts.searchsorted(keys.reshape(-1)).reshape(values.shape)
        is_missing = np.isnan(values)
        if is_missing.any():
            lost = self._cuts.size + np.arange(self._columns.size)[:, None]
            codes = np.where(is_missing, lost, codes)
        return codes


def check_table(
    columns: NDArray[Any],
    cuts: NDArray[Any],
    words: NDArray[Any],
    leaves: NDArray[Any],
    width: int,
) -> None:
    """Refuse what is no table.

    Raises:
        BadEngine: A type, shape or order is wrong.
    """
    types = (columns.dtype, cuts.dtype, leaves.dtype)
    if types != (np.dtype(np.int64), np.dtype(np.complex128), np.dtype(np.int64)):
        raise BadEngine("The table has other types.")
    shapes = (columns.ndim, cuts.ndim, words.ndim, leaves.ndim)
    if shapes != (1, 1, 2, 1) or words.dtype not in _WORDS or not columns.size:
        raise BadEngine("The table has other shapes.")
    if words.shape != (cuts.size + columns.size, leaves.size):
        raise BadEngine("The table has not a row for each interval, or a word for each tree.")
    if (columns < 0).any() or (columns >= width).any():
        raise BadEngine("The table looks at a column that there is not.")
    if (np.diff(cuts.real) < 0).any() or np.isnan(cuts.imag).any():
        raise BadEngine("The intervals of the table are not in order.")
