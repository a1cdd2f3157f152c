from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.serving.engines.jumps import beside_jumps

ROWS = np.random.default_rng(0).normal(size=(40, 3))


def beside(answer: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    return beside_jumps(answer, ROWS, np.random.default_rng(1))


@pytest.mark.parametrize("threshold", [0.3, -0.7, 1.0])
def test_a_jump_is_closed_in_to_neighbouring_numbers(threshold: float) -> None:
    def answer(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(rows[:, 1:2] <= threshold, 0.0, 5.0) + rows[:, :1]

    found = beside(answer)[:, 1]

    next_one = np.nextafter(threshold, np.inf)
    assert {threshold, next_one} <= set(found.tolist())


def test_what_has_no_jump_or_is_no_number_gives_rows_all_the_same() -> None:
    smooth = beside(lambda rows: rows[:, :2])
    missing = beside(lambda rows: np.full((len(rows), 1), np.nan))

    assert smooth.shape == missing.shape == (192, 3)
    assert np.isfinite([smooth, missing]).all()
