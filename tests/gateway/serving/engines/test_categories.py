"""Histogram boosting that knows categories, and what a hostile process may write in its place."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    VotingRegressor,
)

from gateway.serving.engines.assembling import make_steps
from gateway.serving.engines.description import BadEngine, Linear, Scaling, Splitting, Step, Trees
from gateway.serving.engines.preparing import make_preparation
from gateway.serving.engines.proof import make_engine
from gateway.serving.engines.sides import Sides, SidesThenTrees
from registry.tensors import Batch, Prediction
from tests.gateway.serving.engines.fitted import Saved, opened

CHANCE = np.random.default_rng(7)
COUNT = 600
CODES = CHANCE.integers(0, 60, (COUNT, 2)).astype(float)
CODES[CHANCE.random(CODES.shape) < 0.05] = np.nan
ROWS = np.column_stack([CHANCE.normal(size=COUNT), CODES[:, 0], CODES[:, 1] - 5.5])
WORTH = CHANCE.normal(size=(2, 61))
NUMBERS = ROWS[:, 0] + sum(
    WORTH[at][np.nan_to_num(CODES[:, at], nan=60).astype(int)] for at in (0, 1)
)
ODD = (np.nan, -1.0, 1.5, 61.0, 255.0, 256.0, 1e9, 1e30, -0.0)


TREES = Trees(1, 1, 1, is_narrow=False, allows_missing=True, allows_infinite=True)


def regressor(**said: Any) -> Any:
    return HistGradientBoostingRegressor(
        max_iter=12, categorical_features=[1, 2], min_samples_leaf=3, **said
    ).fit(ROWS, NUMBERS)


def classifier() -> Any:
    return HistGradientBoostingClassifier(
        max_iter=4, categorical_features=[2], min_samples_leaf=3
    ).fit(ROWS, np.digitize(NUMBERS, [-1, 1]))


@pytest.mark.parametrize("fit", [regressor, classifier])
def test_known_and_unknown_categories_go_where_the_model_sends_them(
    fit: Any, tmp_path: Path
) -> None:
    model = fit()
    odd = ROWS[:90].copy()
    odd[:, 1] = np.resize(ODD, 90)
    odd[45:, 2] = np.resize(ODD, 45)

    why = make_engine(Saved(model, ROWS[:5]), tmp_path)

    assert why == ""
    for rows in (ROWS, ROWS[:1], odd, odd.astype(np.float32)):
        answer = opened(tmp_path).predict_batch(Batch((), (rows,), is_matrix=True), "predict")
        assert isinstance(answer, Prediction)
        assert answer.arrays[0].tolist() == model.predict(rows).tolist()


def test_one_category_on_another_side_is_found(tmp_path: Path) -> None:
    """The model answers by one bit of one split otherwise than what is converted."""
    native, other = regressor(), regressor()
    predictor = other._predictors[0][0]  # noqa: SLF001 - the fault
    at = int(np.flatnonzero(predictor.nodes["is_categorical"])[0])
    seen = predictor.nodes["bitset_idx"][at]
    predictor.raw_left_cat_bitsets[seen][0] ^= 1 << 7

    class Twisted(Saved):
        def predict_batch(self, batch: Batch, params: Any) -> Prediction:
            return Saved(other).predict_batch(batch, params)

    said = make_engine(Twisted(native, ROWS[:5]), tmp_path)

    assert "answered otherwise than it in 'predict'" in said
    assert list(tmp_path.iterdir()) == []


def test_as_a_member_of_others_it_stays_in_its_process(tmp_path: Path) -> None:
    model = VotingRegressor([("one", regressor()), ("two", regressor())]).fit(ROWS, NUMBERS)

    assert "has no engine" in make_engine(Saved(model, ROWS[:5]), tmp_path)


def arrays(**changed: Any) -> dict[str, Any]:
    """Return two columns, of two categories and one split, and of one and two."""
    good = {
        "0": np.array([2, 1]),
        "1": np.array([1, 2]),
        "2": np.array([False, True, True, False]),
    }
    return good | {name.removeprefix("a"): array for name, array in changed.items()}


def test_a_category_becomes_the_sides_that_it_is_on() -> None:
    step, width = make_preparation(Splitting(), arrays(), 3)

    rows = step(np.array([[1.0, 0.0, 7.0], [0.0, -1.0, np.inf], [np.nan, 0.0, np.nan]]))

    gone = np.nan
    assert width == 4
    np.testing.assert_array_equal(rows, [[7, 1, 1, 0], [np.inf, 0, gone, gone], [gone, gone, 1, 0]])


def test_a_large_request_is_never_wide_all_at_once() -> None:
    """Each of these rows becomes 32 kB."""
    splits = 4000
    sides = Sides([np.zeros((2, splits))])
    step = SidesThenTrees(sides, lambda rows: rows[:, :1] + rows[:, 1:2], splits + 1)
    rows = np.column_stack([np.zeros(5000), np.arange(5000.0)])
    tracemalloc.start()

    answer = step(rows)

    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.tolist() == rows[:, 1:].tolist()
    assert most_bytes < 5000 * splits * 8 / 3


@pytest.mark.parametrize(
    "steps",
    [
        (Splitting(), Linear()),
        (Splitting(), Splitting(), TREES),
        (Splitting(), Scaling(()), TREES),
    ],
)
def test_sides_come_right_before_trees(steps: tuple[Step, ...]) -> None:
    with pytest.raises(BadEngine, match="right before trees"):
        make_steps(steps, {}, 3)


@pytest.mark.parametrize(
    "changed",
    [
        {"a0": np.array([2])},
        {"a0": np.array([2, 2])},
        {"a0": np.array([-2, -1]), "a1": np.array([-1, -2])},
        {"a0": np.array([2, 257])},
        {"a0": np.array([2.0, 1.0])},
        {"a0": np.array([[2], [1]])},
        {"a0": np.array([], np.int64), "a1": np.array([], np.int64), "a2": np.array([], bool)},
        {"a0": np.array([0, 0]), "a1": np.array([1, 4096]), "a2": np.array([], bool)},
        {"a0": np.array([0, 0]), "a1": np.array([1, 2**62]), "a2": np.array([], bool)},
        {"a2": np.array([0, 1, 1, 0])},
        {"a2": np.array([[False, True], [True, False]])},
        {"a3": np.array([1])},
    ],
)
def test_sides_that_do_not_fit_are_no_engine(changed: dict[str, Any]) -> None:
    with pytest.raises(BadEngine):
        make_preparation(Splitting(), arrays(**changed), 3)


def test_more_columns_with_categories_than_there_are_are_no_engine() -> None:
    with pytest.raises(BadEngine):
        make_preparation(Splitting(), arrays(), 1)
