"""What an engine refuses, because the model does."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracking.errors import ModelFailed


class Refused(Exception):
    """The model raises on these rows: so does the engine.

    Args:
        kind: The class that the model raises, which its caller is told.
    """

    def __init__(self, kind: str = "ValueError") -> None:
        super().__init__(kind)
        self.kind = kind


def all_numbers(rows: NDArray[Any]) -> bool:
    """Whether there is neither NaN nor an infinity."""
    return bool(np.isfinite(rows).all())


def refusal(error: Refused, method: str, rows: int) -> ModelFailed:
    """Return the error that the model's own process answers with."""
    return ModelFailed(f"The model raised {error.kind} in {method!r} on these {rows} rows.")
