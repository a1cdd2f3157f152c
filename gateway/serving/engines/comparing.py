"""Whether an engine and its model answered the same. In the model's process."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from registry.signature import Signature
from registry.tensors import Batch, Prediction
from tracking.errors import StagedoorError

TOLERANCE = 1e-12
"""How far numbers may be apart, relative to the larger."""
FLOOR = 1e-3
"""What a stated tolerance is relative to at least: smaller numbers may be as far apart as this."""


class Native(Protocol):
    """What proving needs of a loaded model."""

    native: Any

    @property
    def signature(self) -> Signature | None:
        """What it takes and gives, or none."""

    @property
    def flavor(self) -> str:
        """How it was loaded."""

    @property
    def default_method(self) -> str:
        """The method that is asked for by default."""

    def input_example(self) -> Batch | None:
        """Return the rows it was saved with, or ``None``."""

    def predict_batch(self, batch: Batch, params: Mapping[str, Any]) -> Prediction:
        """Answer one batch."""


def outcome(ask: Callable[[], Prediction | None]) -> Prediction | tuple[str, str] | None:
    """Return what is answered, or what is said instead."""
    try:
        return ask()
    except StagedoorError as error:
        return (error.code, error.message)


def same(expected: object, found: object, tolerance: float = 0.0) -> bool:
    """Whether two outcomes are the same: labels and refusals to the letter, numbers almost.

    Args:
        expected: What the model answers.
        found: What the engine answers.
        tolerance: A stated one; ``|found - expected| <= tolerance * max(|expected|, FLOOR)``.
            Without it ``TOLERANCE`` holds, and no floor.
    """
    if not isinstance(expected, Prediction) or not isinstance(found, Prediction):
        return expected == found
    if expected.names != found.names or len(expected.arrays) != len(found.arrays):
        return False
    return all(
        _alike(one, other, tolerance)
        for one, other in zip(expected.arrays, found.arrays, strict=True)
    )


def _alike(expected: NDArray[Any], found: NDArray[Any], tolerance: float) -> bool:
    if expected.dtype != found.dtype or expected.shape != found.shape:
        return False
    if expected.dtype.kind != "f":
        return bool((expected == found).all())
    if tolerance:
        nearby = np.isclose(found, expected, rtol=tolerance, atol=0.0, equal_nan=True)
        with np.errstate(invalid="ignore"):
            nearby |= np.abs(found - expected) <= tolerance * FLOOR
        return bool(nearby.all())
    return bool(np.isclose(found, expected, rtol=TOLERANCE, atol=0.0, equal_nan=True).all())
