"""What a hostile process may have written in place of encoders and imputers."""

from typing import Any

import numpy as np
import pytest

from gateway.serving.engines.cells import check_wordings
from gateway.serving.engines.description import (
    BadEngine,
    Block,
    Columns,
    Encoding,
    Imputing,
    Preparing,
    Wording,
)
from gateway.serving.engines.preparing import make_preparation
from gateway.serving.engines.refusal import Refused

ONE_HOT = Encoding(is_one_hot=True, width=3, takes_unknown=False)
NUMBERED = Encoding(is_one_hot=False, width=2, takes_unknown=True, unknown=-7.0)


def arrays(**changed: Any) -> dict[str, Any]:
    good = {
        "0": np.array([1.0, 2.0, 5.0, np.inf]),
        "1": np.array([2, 2]),
        "2": np.array([-1.0, 0.0, 1.0, 2.0]),
    }
    return good | {name.removeprefix("a"): array for name, array in changed.items()}


def test_categories_become_ones_at_their_places() -> None:
    step, width = make_preparation(ONE_HOT, arrays(), 2)

    assert width == 3
    assert step(np.array([[2.0, 5.0], [1.0, np.nan]])).tolist() == [[1, 1, 0], [0, 0, 1]]
    for odd in ([[3.0, 5.0]], [[2.0, np.inf]], [[5.0, 2.0]]):
        with pytest.raises(Refused):
            step(np.array(odd))


def test_categories_become_their_numbers() -> None:
    step, _ = make_preparation(NUMBERED, arrays(), 2)

    assert step(np.array([[2.0, 9.0], [8.0, np.nan]])).tolist() == [[0.0, -7.0], [-7.0, 2.0]]


def test_gaps_are_filled_and_the_rows_that_came_stay() -> None:
    step, _ = make_preparation(Imputing(), {"0": np.array([7.0, 8.0])}, 2)
    rows = np.array([[np.nan, 1.0]])

    assert step(rows).tolist() == [[7.0, 1.0]]
    assert np.isnan(rows[0, 0])
    with pytest.raises(Refused):
        step(np.array([[np.inf, 1.0]]))


BAD: dict[str, tuple[Preparing | Columns, dict[str, Any]]] = {
    "too few counts": (ONE_HOT, arrays(a1=np.array([4]))),
    "counts of nothing": (ONE_HOT, arrays(a1=np.array([0, 4]))),
    "other types": (ONE_HOT, arrays(a0=np.arange(4))),
    "out of order": (ONE_HOT, arrays(a0=np.array([2.0, 1.0, 5.0, 6.0]))),
    "no numbers": (ONE_HOT, arrays(a0=np.array([1.0, np.nan, 5.0, 6.0]))),
    "a place outside": (ONE_HOT, arrays(a2=np.array([0.0, 1.0, 2.0, 3.0]))),
    "no place": (ONE_HOT, arrays(a2=np.array([0.0, 1.0, 2.0, np.nan]))),
    "other shapes": (ONE_HOT, arrays(a2=np.zeros(3))),
    "nothing": (ONE_HOT, {}),
    "a wide row": (Encoding(is_one_hot=True, width=1 << 40, takes_unknown=True), arrays()),
    "another width": (Encoding(is_one_hot=False, width=3, takes_unknown=True), arrays()),
    "gaps for gaps": (Imputing(), {"0": np.array([np.nan, 1.0])}),
    "too few values": (Imputing(), {"0": np.array([1.0])}),
    "no blocks": (Columns(()), {}),
    "a column outside": (Columns((Block((0, 2), ()),)), {}),
    "a column before the first": (Columns((Block((-1,), ()),)), {}),
    "no columns": (Columns((Block((), ()),)), {}),
}


@pytest.mark.parametrize("case", BAD)
def test_what_fits_nothing_is_refused(case: str) -> None:
    step, its_arrays = BAD[case]

    with pytest.raises(BadEngine):
        make_preparation(step, its_arrays, 2)


@pytest.mark.parametrize(
    "wordings",
    [(Wording(2, ("a",)),), (Wording(-1, ("a",)),), (Wording(0, ("a",)), Wording(0, ("b",)))],
)
def test_words_of_no_column_are_refused(wordings: tuple[Wording, ...]) -> None:
    with pytest.raises(BadEngine, match="words for a column"):
        check_wordings(wordings, 2)
