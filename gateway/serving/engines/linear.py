"""Linear models: one product and one sum, in the types and layout of the fitted arrays. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine
from gateway.serving.engines.description import Linear as Multiplying
from gateway.serving.engines.refusal import Refused, all_numbers

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_MATRIX = 2


class Linear:
    """Immutable, safe from any thread.

    Args:
        coef: Shape (columns,) or (scores, columns).
        intercept: A value, or one for each score.
        is_in_order: Whether products are added up one column after the other.
    """

    def __init__(
        self, coef: NDArray[Any], intercept: NDArray[Any], *, is_in_order: bool = False
    ) -> None:
        self._coef = coef.T if coef.ndim == _MATRIX else coef
        self._is_in_order = is_in_order
        self._intercept = intercept[0] if intercept.shape == (1,) else intercept

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return scores of shape (rows,) or (rows, scores).

        Raises:
            Refused: NaN or an infinity.
        """
        if not all_numbers(rows):
            raise Refused
        products = self._add_in_order(rows) if self._is_in_order else rows @ self._coef
        scores: NDArray[Any] = products + self._intercept
        return scores

    def _add_in_order(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Multiply as with sparse rows: no column is added before the one to its left."""
        coef = self._coef.reshape(len(self._coef), 1, -1)
        terms = (rows.T[:, :, None] * coef).reshape(len(coef), -1)
        # A single sum would be added up pairwise.
        total = np.add.accumulate(terms)[-1] if terms.shape[1] == 1 else np.add.reduce(terms)
        scores: NDArray[Any] = total.reshape(len(rows), *self._coef.shape[1:])
        return scores


def make_linear(
    step: Multiplying, coef: NDArray[Any], intercept: NDArray[Any], width: int
) -> Linear:
    """Check the arrays and return the step.

    Raises:
        BadEngine: They have another shape or type.
    """
    if coef.dtype not in _FLOATS or intercept.dtype not in _FLOATS:
        raise BadEngine("A linear model is not made of floating numbers.")
    if coef.ndim not in (1, _MATRIX) or coef.shape[-1] != width or not coef.size:
        raise BadEngine("The coefficients do not fit the columns.")
    scores = 1 if coef.ndim == 1 else coef.shape[0]
    if intercept.shape not in ((), (1,), (scores,)):
        raise BadEngine("The intercepts do not fit the scores.")
    return Linear(coef, intercept, is_in_order=step.is_in_order)
