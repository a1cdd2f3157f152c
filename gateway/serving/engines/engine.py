"""An engine: arrays that answer as the model they were made from. No library of models is needed.

Built from a description and arrays that a model's process wrote, so everything is checked first:
a bad engine is refused, and one that passed can give wrong numbers at worst, which its proof has
ruled out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.assembling import finisher_of, make_steps
from gateway.serving.engines.cells import Cells, check_wordings
from gateway.serving.engines.description import (
    TAKEN,
    BadEngine,
    Columns,
    Description,
)
from gateway.serving.engines.refusal import Refused, refusal
from registry.tensors import Batch, Prediction

Arrays = Mapping[str, NDArray[Any]]

_TAKEN = frozenset(np.dtype(kind) for kind in TAKEN)
_NAMES = ("output",)
_MATRIX = 2


class Engine:
    """Immutable, safe from any thread.

    Args:
        description: What it does.
        arrays: With what; checked here.

    Raises:
        BadEngine: They do not fit each other.
    """

    def __init__(self, description: Description, arrays: Arrays) -> None:
        self.description = description
        self.default_method = description.default_method
        self._width = description.width
        self._names = description.names
        _check_head(description)
        self._steps = make_steps(description.steps, arrays, description.width)
        self._cells = _make_cells(description)
        self._is_lenient = self._cells is not None or description.leaves_shapes
        self._dtypes = _TAKEN.intersection(map(np.dtype, description.dtypes))
        finisher = finisher_of(description.steps, description.finish, arrays.get("classes"))
        try:
            self._finish = {name: finisher.methods[name] for name in description.methods}
        except KeyError as error:
            raise BadEngine(f"There is no method {error.args[0]!r}.") from None

    def takes(self, method: object) -> bool:
        """Whether it answers for a method of the model."""
        return method in self._finish

    def arrange(self, batch: Batch) -> NDArray[Any] | None:
        """Return a batch as one matrix, or ``None`` for types that are left to the model itself.

        Raises:
            Refused: The model raises on rows of this shape or with these names.
        """
        arrays = batch.arrays
        if self._cells is not None and (self._cells.has_text or not batch.is_matrix):
            return None if batch.is_matrix else self._cells.fill(batch)
        if batch.is_matrix:
            rows = arrays[0]
        elif all(array.ndim == 1 and array.dtype in _TAKEN for array in arrays):
            rows = np.column_stack(arrays)
        else:
            return None
        if rows.dtype not in self._dtypes:
            return None
        if rows.ndim != _MATRIX or rows.shape[1] != self._width or not rows.shape[0]:
            self._complain(batch)
            return None
        if self._names is None or not batch.names or batch.names == self._names:
            return rows
        return self._reorder(rows, batch.names)

    def answer(self, rows: NDArray[Any], method: str) -> NDArray[Any]:
        """Return what a method of the model gives for rows, as arranged.

        Raises:
            Refused: The model raises on them.
        """
        scores = rows
        for step in self._steps:
            scores = step(scores)
        return self._finish[method](scores)

    def tell(self, answer: NDArray[Any]) -> Prediction:
        """Name an answer as the model's own process does."""
        return Prediction(_NAMES, (answer,))

    def sample(self, rows: int) -> NDArray[np.float64]:
        """Return so many rows that it takes, as arranged."""
        one = self.description.sample or (0.0,) * self._width
        return np.tile(np.array(one, np.float64), (rows, 1))

    def predict_batch(self, batch: Batch, method: str) -> Prediction | None:
        """Answer a batch from end to end; ``None`` leaves it to the model itself.

        Raises:
            ModelFailed: The model raises on it.
        """
        try:
            rows = self.arrange(batch)
            return None if rows is None else self.tell(self.answer(rows, method))
        except Refused as error:
            raise refusal(error, method, batch.rows) from error

    def _complain(self, batch: Batch) -> None:
        """Raise what a model raises on another shape: one with names looks for columns first."""
        if self._is_lenient:
            return
        is_by_name = self._names is not None and (
            not batch.names or set(batch.names) == set(self._names)
        )
        raise Refused("IndexError" if is_by_name else "ValueError")

    def _reorder(self, rows: NDArray[Any], names: tuple[str, ...]) -> NDArray[Any] | None:
        """Put columns in the order that the model was fitted with."""
        wanted = self._names or ()
        if set(names) != set(wanted) or len(names) != len(wanted):
            if self._is_lenient:
                return None
            raise Refused
        return rows[:, [names.index(name) for name in wanted]]


def _check_head(description: Description) -> None:
    names = description.names
    if description.width < 1 or (names is not None and len(names) != description.width):
        raise BadEngine("The names do not fit the columns.")
    if len(description.sample) not in (0, description.width):
        raise BadEngine("The sample does not fit the columns.")
    if not set(description.dtypes) <= set(TAKEN):
        raise BadEngine("It takes types that an engine does not.")
    if description.default_method not in description.methods:
        raise BadEngine("It does not answer the method that is asked for by default.")


def _make_cells(description: Description) -> Cells | None:
    """Return how columns become a matrix, for models that treat them apart by name."""
    first, wordings = description.steps[0], description.wordings
    if description.names is None:
        if wordings:
            raise BadEngine("There are words for columns without names.")
        return None
    if not isinstance(first, Columns) and not wordings:
        return None
    check_wordings(wordings, description.width)
    used = set(range(description.width))
    if isinstance(first, Columns):
        used = {column for block in first.blocks for column in block.columns}
    return Cells(
        description.names,
        sorted(used),
        wordings,
        takes_missing=description.takes_missing_text,
    )
