"""Columns of a table as one matrix of numbers: a text becomes its place in a list of words. Pure.

For models that take columns by name. What the matrix cannot hold exactly is left to the model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine, Wording
from registry.tensors import Batch

UNKNOWN = -1.0
"""Stands for a text that is not in the list of words."""

_LARGEST_WHOLE = 1 << 53
_MAX_WORDS = 1 << 20
_FLOATS = frozenset(np.dtype(kind) for kind in ("<f8", "<f4"))
_WHOLE = frozenset(np.dtype(kind) for kind in ("<i8", "<i4"))


class Cells:
    """Immutable, safe from any thread.

    Args:
        names: Of all columns, in order.
        used: Places of those that are looked at.
        wordings: Of those that hold text.
        takes_missing: Whether a text may be missing.
    """

    def __init__(
        self,
        names: Sequence[str],
        used: Sequence[int],
        wordings: Sequence[Wording],
        *,
        takes_missing: bool,
    ) -> None:
        places: dict[int, Mapping[str | None, float]] = {
            wording.column: _places(wording.words, takes_missing=takes_missing)
            for wording in wordings
        }
        self._width = len(names)
        self._used = tuple((at, names[at], places.get(at)) for at in used)
        self.has_text = bool(places)

    def fill(self, batch: Batch) -> NDArray[Any] | None:
        """Return a batch of columns as a matrix, or ``None`` when that is left to the model."""
        if not batch.rows:
            return None
        given = dict(zip(batch.names, batch.arrays, strict=True))
        cells: dict[int, NDArray[Any]] = {}
        for at, name, places in self._used:
            column = given.get(name)
            if column is None or column.ndim != 1:
                return None
            found = _numbers(column) if places is None else _words(column, places)
            if found is None:
                return None
            cells[at] = found
        types = {cells[at].dtype for at, _, places in self._used if places is None}
        if len(types) > 1:
            return None
        rows = np.zeros((batch.rows, self._width), types.pop() if types else np.float64)
        for at, found in cells.items():
            rows[:, at] = found
        return rows


def check_wordings(wordings: Sequence[Wording], width: int) -> None:
    """Refuse lists of words that are none.

    Raises:
        BadEngine: A column is not there, or has two lists.
    """
    columns = [wording.column for wording in wordings]
    if len(set(columns)) < len(columns) or not all(0 <= column < width for column in columns):
        raise BadEngine("There are words for a column that there is not, or twice for one.")
    if any(len(wording.words) > _MAX_WORDS for wording in wordings):
        raise BadEngine("There are too many words for a column.")


def _places(words: Sequence[str], *, takes_missing: bool) -> Mapping[str | None, float]:
    places: dict[str | None, float] = {word: float(at) for at, word in enumerate(words)}
    return places | {None: np.nan} if takes_missing else places


def _words(column: NDArray[Any], places: Mapping[str | None, float]) -> NDArray[Any] | None:
    texts = column.tolist()
    if not all(type(text) is str or (text is None and None in places) for text in texts):
        return None
    return np.array([places.get(text, UNKNOWN) for text in texts])


def _numbers(column: NDArray[Any]) -> NDArray[Any] | None:
    """Return numbers as the libraries take them in: float32 as it is, all else as float64."""
    if column.dtype in _WHOLE:
        if column.size and max(-int(column.min()), int(column.max())) > _LARGEST_WHOLE:
            return None
        return column.astype(np.float64)
    if column.dtype == np.bool_:
        return column.astype(np.float64)
    return column if column.dtype in _FLOATS else None
