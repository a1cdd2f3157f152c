"""Engines against the models they were made from, on rows that the proof did not see."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gateway.serving.engines.engine import Engine
from gateway.serving.engines.proof import make_engine
from registry.loading import LoadedModel
from registry.tensors import PREDICT_METHOD, Batch, Prediction
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.boosted import BOOSTED
from tests.gateway.serving.engines.fitted import ENSEMBLES, FITS, Saved, opened
from tracking.errors import ModelFailed

ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300, 3.5e38, 1e-310)


def engine_of(model: Saved, folder: Path) -> Engine:
    folder.mkdir(exist_ok=True)
    why = make_engine(model, folder)
    assert why == ""
    return opened(folder)


def outcome(model: LoadedModel | Engine, batch: Batch, method: str) -> Any:
    """Return what is answered, or what is said instead."""
    try:
        if isinstance(model, Engine):
            answer = model.predict_batch(batch, method)
        else:
            answer = model.predict_batch(batch, {PREDICT_METHOD: method})
    except ModelFailed as error:
        return error.message
    assert isinstance(answer, Prediction)
    return answer.names, answer.arrays[0].dtype, answer.arrays[0]


def assert_alike(model: LoadedModel, engine: Engine, batch: Batch) -> None:
    for method in engine.description.methods:
        expected, found = outcome(model, batch, method), outcome(engine, batch, method)
        if isinstance(expected, str) or isinstance(found, str):
            assert found == expected
            continue
        assert found[:2] == expected[:2]
        if expected[1].kind == "f":
            np.testing.assert_allclose(found[2], expected[2], rtol=1e-12, atol=0.0)
        else:
            assert found[2].tolist() == expected[2].tolist()


ALL = FITS | BOOSTED | ENSEMBLES


@pytest.mark.parametrize("kind", ALL)
def test_an_engine_answers_as_its_model(kind: str, tmp_path: Path) -> None:
    model = Saved(ALL[kind](), fitted.ROWS[:5])
    engine = engine_of(model, tmp_path / "engine")
    chance = np.random.default_rng(7)
    rows = chance.normal(size=(300, fitted.WIDTH)) * 10.0 ** chance.integers(-3, 4, (300, 1))
    gappy = np.where(chance.random(rows.shape) < 0.1, np.nan, rows)

    for some in (rows, rows[:1], rows[:9], gappy, rows.astype(np.float32), rows[:60] // 1):
        assert_alike(model, engine, Batch(engine.description.names or (), (some,), is_matrix=True))
    for value in ODD:
        odd = rows[:1].copy()
        odd[0, 2] = value
        assert_alike(model, engine, Batch((), (odd,), is_matrix=True))


@pytest.mark.parametrize("kind", ["forest", "histograms with gaps", "pipeline on a frame"])
def test_an_engine_refuses_shapes_as_its_model(kind: str, tmp_path: Path) -> None:
    model = Saved(FITS[kind](), fitted.ROWS[:5])
    engine = engine_of(model, tmp_path / "engine")
    wide = np.zeros((2, fitted.WIDTH + 1))

    for rows in (wide, wide[:, :3], np.zeros(fitted.WIDTH), np.zeros((1, 2, fitted.WIDTH))):
        assert_alike(model, engine, Batch((), (rows,), is_matrix=True))


def test_columns_go_by_name_where_the_model_has_names(tmp_path: Path) -> None:
    model = Saved(FITS["pipeline on a frame"](), fitted.PAIR[:5])
    engine = engine_of(model, tmp_path / "engine")
    names = engine.description.names or ()
    columns = tuple(np.ascontiguousarray(column) for column in fitted.PAIR[:40].T)

    assert_alike(model, engine, Batch(names, columns, is_matrix=False))
    assert_alike(model, engine, Batch(names[::-1], columns[::-1], is_matrix=False))
    assert_alike(model, engine, Batch(names[::-1], (fitted.PAIR[:40],), is_matrix=True))
    assert_alike(model, engine, Batch(("x", *names[1:]), (fitted.PAIR[:40],), is_matrix=True))
    whole = (columns[0].astype(np.int64), *columns[1:])
    assert_alike(model, engine, Batch(names, whole, is_matrix=False))


def test_types_that_are_no_plain_numbers_are_left_to_the_model(tmp_path: Path) -> None:
    engine = engine_of(Saved(FITS["forest"](), fitted.ROWS[:5]), tmp_path / "engine")
    text = np.array([["a"] * fitted.WIDTH], dtype=object)
    halves = np.zeros((1, fitted.WIDTH), np.float16)

    for rows in (text, halves):
        assert engine.predict_batch(Batch((), (rows,), is_matrix=True), "predict") is None


@pytest.mark.parametrize("kind", ["forest", "boosting, three", "histograms with gaps"])
def test_rows_of_any_size_and_number_agree(kind: str, tmp_path: Path) -> None:
    """Walk, table and pieces meet at numbers of rows that nobody thinks of."""
    model = Saved(FITS[kind](), fitted.ROWS[:5])
    engine = engine_of(model, tmp_path / "engine")

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        rows=st.integers(1, 30).flatmap(
            lambda count: arrays(
                np.float64, (count, fitted.WIDTH), elements=st.floats(-1e6, 1e6, width=32)
            )
        )
    )
    def agree(rows: NDArray[np.float64]) -> None:
        assert_alike(model, engine, Batch((), (rows,), is_matrix=True))

    agree()


def test_many_rows_are_answered_in_pieces(tmp_path: Path) -> None:
    model = Saved(FITS["forest, number"](), fitted.ROWS[:5])
    engine = engine_of(model, tmp_path / "engine")
    rows = np.random.default_rng(3).normal(size=(20_000, fitted.WIDTH))

    assert_alike(model, engine, Batch((), (rows,), is_matrix=True))
