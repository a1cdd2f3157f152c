"""Where a model's numbers jump: rows a hair's breadth apart that it answers differently. Pure.

A graph that jumps a little elsewhere is far off there, and nowhere else, so that rows taken at
random seldom show it. Nothing needs to be known of the model: whatever jumps between two rows is
closed in by halving the way between them.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_WAYS = 96
_HALVINGS = 64
"""More than a float64 has bits: what is left are neighbours, but for numbers close to zero."""


def beside_jumps(
    answer: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    rows: NDArray[np.float64],
    chance: np.random.Generator,
) -> NDArray[np.float64]:
    """Return rows on both sides of the largest jumps on the ways between some rows.

    Args:
        answer: Returns the model's numbers for rows, one line for each.
        rows: Taken in pairs, shape (any, width); at least one.
        chance: Picks the pairs.
    """
    near, far = (rows[chance.integers(len(rows), size=_WAYS)] for _ in range(2))
    at_near, at_far = answer(near), answer(far)
    for _ in range(_HALVINGS):
        middle = near / 2 + far / 2
        at_middle = answer(middle)
        is_before = _apart(at_near, at_middle) >= _apart(at_middle, at_far)
        near, at_near = (
            np.where(is_before, one, two) for one, two in ((near, middle), (at_near, at_middle))
        )
        far, at_far = (
            np.where(is_before, two, one) for one, two in ((far, middle), (at_far, at_middle))
        )
    return np.concatenate([near, far])


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far lines of numbers are apart, shape (rows, 1)."""
    gaps = np.nan_to_num(np.abs(one - other)).reshape(len(one), -1)
    largest: NDArray[np.float64] = gaps.max(axis=1, keepdims=True)
    return largest
