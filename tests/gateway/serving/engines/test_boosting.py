"""What is special to boosting by other libraries; that they agree is shown in ``test_parity``."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.serving.engines import narrow
from gateway.serving.engines.proof import make_engine
from registry.tensors import Batch, Prediction
from tests.gateway.serving.engines import boosted, fitted
from tests.gateway.serving.engines.boosted import BOOSTED, WITHOUT
from tests.gateway.serving.engines.fitted import Saved, opened
from tests.gateway.serving.engines.test_parity import assert_alike


@pytest.mark.parametrize("case", WITHOUT)
def test_what_has_no_engine_says_why(case: str, tmp_path: Path) -> None:
    make, expected = WITHOUT[case]

    assert expected in make_engine(Saved(make()), tmp_path)


class Nudged(Saved):
    """A model whose last number is moved by the least that its type can tell apart."""

    def predict_batch(self, batch: Batch, params: Any) -> Prediction:
        answer = super().predict_batch(batch, params)
        numbers = answer.arrays[0]
        numbers[-1] = np.nextafter(numbers[-1], numbers.dtype.type(np.inf))
        return answer


def test_the_last_bit_of_float32_is_a_difference(tmp_path: Path) -> None:
    why = make_engine(Nudged(BOOSTED["xgb, number"](), fitted.ROWS[:5]), tmp_path)

    assert "answered otherwise than it in 'predict' on rows of float64" in why


def test_values_beside_zero_go_where_the_library_sends_them(tmp_path: Path) -> None:
    """LightGBM takes what is within 1e-35 of zero for zero, also beside a threshold there."""
    columns = np.where(np.random.default_rng(1).random((120, 6)) < 0.5, 0.0, fitted.ROWS)
    model = Saved(boosted.light(columns, columns.sum(axis=1)), columns[:5])
    assert make_engine(model, tmp_path) == ""
    engine = opened(tmp_path)
    near = float(np.float32(1e-35))
    tiny = [0.0, near, -near, np.nextafter(near, 1), np.nextafter(-near, -1), near / 2, -near / 2]
    rows = np.tile(columns[:20], (7, 1))
    rows[:, 1] = np.repeat(tiny, 20)

    for column in range(6):
        assert_alike(model, engine, Batch((), (np.roll(rows, column, axis=1),), is_matrix=True))


@pytest.mark.parametrize("kind", ["xgb", "xgb booster", "light", "light booster"])
def test_other_shapes_and_names_are_left_to_the_model(kind: str, tmp_path: Path) -> None:
    assert make_engine(Saved(BOOSTED[kind](), fitted.ROWS[:5]), tmp_path) == ""
    engine = opened(tmp_path)
    wide = np.zeros((2, fitted.WIDTH + 1))

    for rows in (wide, wide[:, :3], np.zeros(fitted.WIDTH), np.zeros((1, 2, fitted.WIDTH))):
        assert engine.predict_batch(Batch((), (rows,), is_matrix=True), "predict") is None
    names = ("x", *(engine.description.names or ())[1:])
    if len(names) == fitted.WIDTH:
        other = Batch(names, (wide[:, :-1],), is_matrix=True)
        assert engine.predict_batch(other, "predict") is None


def test_exponentials_are_those_of_the_c_library() -> None:
    scores = np.array([-200.0, -88.8, -1.5, -0.0, 1e-9, 3.25, 100.0], np.float32)

    exact = np.exp(scores.astype(np.float64))
    finite = exact < 3e38
    spacing = np.spacing(np.clip(exact, 1e-37, 3e38).astype(np.float32))

    found = narrow.exp(scores)
    assert found.dtype == np.float32
    assert (np.abs(found - exact)[finite] <= 0.51 * spacing[finite]).all()
    assert np.isinf(found[~finite]).all()
    assert narrow.expit(np.array([-500, 0, 500], np.float32)).tolist()[1:] == [0.5, 1.0]
    np.testing.assert_allclose(narrow.softmax(scores.reshape(1, -1)).sum(), 1.0, rtol=1e-6)
