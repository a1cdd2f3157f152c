"""An engine: arrays that answer as the model they were made from. No library of models is needed.

Built from a description and arrays that a model's process wrote, so everything is checked first:
a bad engine is refused, and one that passed can give wrong numbers at worst, which its proof has
ruled out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines import scaling
from gateway.serving.engines.description import BadEngine, Description, Linear, Scaling, Trees
from gateway.serving.engines.finishing import make_finisher
from gateway.serving.engines.linear import make_linear
from gateway.serving.engines.refusal import Refused
from gateway.serving.engines.trees import make_forest
from registry.tensors import Batch, Prediction
from tracking.errors import ModelFailed

Arrays = Mapping[str, NDArray[Any]]

_TAKEN = frozenset(np.dtype(kind) for kind in ("<f8", "<f4", "<i8", "<i4"))
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
        self._steps = [_make_step(description, at, arrays) for at in range(len(description.steps))]
        last = description.steps[-1]
        trees = last.count if isinstance(last, Trees) else 1
        finisher = make_finisher(description.finish, arrays.get("classes"), trees)
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
        if batch.is_matrix:
            rows = arrays[0]
        elif all(array.ndim == 1 and array.dtype in _TAKEN for array in arrays):
            rows = np.column_stack(arrays)
        else:
            return None
        if rows.dtype not in _TAKEN:
            return None
        if rows.ndim != _MATRIX or rows.shape[1] != self._width or not rows.shape[0]:
            raise Refused(self._complaint(batch))
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

    def predict_batch(self, batch: Batch, method: str) -> Prediction | None:
        """Answer a batch from end to end; ``None`` leaves it to the model itself.

        Raises:
            ModelFailed: The model raises on it.
        """
        try:
            rows = self.arrange(batch)
            return None if rows is None else to_prediction(self.answer(rows, method))
        except Refused as error:
            raise refusal(error, method, batch.rows) from error

    def _complaint(self, batch: Batch) -> str:
        """Return what a model raises on another shape: one with names looks for columns first."""
        is_by_name = self._names is not None and (
            not batch.names or set(batch.names) == set(self._names)
        )
        return "IndexError" if is_by_name else "ValueError"

    def _reorder(self, rows: NDArray[Any], names: tuple[str, ...]) -> NDArray[Any]:
        """Put columns in the order that the model was fitted with."""
        wanted = self._names or ()
        if set(names) != set(wanted) or len(names) != len(wanted):
            raise Refused
        return rows[:, [names.index(name) for name in wanted]]


def to_prediction(answer: NDArray[Any]) -> Prediction:
    """Name an answer as the model's own process does."""
    return Prediction(_NAMES, (answer,))


def refusal(error: Refused, method: str, rows: int) -> ModelFailed:
    """Return the error that the model's own process answers with."""
    return ModelFailed(f"The model raised {error.kind} in {method!r} on these {rows} rows.")


def _check_head(description: Description) -> None:
    steps, names = description.steps, description.names
    if not steps or any(not isinstance(step, Scaling) for step in steps[:-1]):
        raise BadEngine("Only scalers come before the last step.")
    if isinstance(steps[-1], Scaling):
        raise BadEngine("The last step gives no scores.")
    if description.width < 1 or (names is not None and len(names) != description.width):
        raise BadEngine("The names do not fit the columns.")
    if description.default_method not in description.methods:
        raise BadEngine("It does not answer the method that is asked for by default.")


def _make_step(description: Description, at: int, arrays: Arrays) -> scaling.Step:
    prefix = f"{at}."
    mine = {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    match description.steps[at]:
        case Scaling() as step:
            ordered = [mine[str(n)] for n in range(len(step.operations)) if str(n) in mine]
            return scaling.make_scaler(step, ordered, description.width)
        case Linear():
            if mine.keys() != {"coef", "intercept"}:
                raise BadEngine("A linear model has a coefficient and an intercept array.")
            return make_linear(mine["coef"], mine["intercept"], description.width)
        case Trees() as step:
            return make_forest(step, mine, description.width)
