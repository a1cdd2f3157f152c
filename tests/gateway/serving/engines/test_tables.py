"""Engines that treat columns apart, against their models, on tables that the proof did not see."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from gateway.serving.engines.engine import Engine
from gateway.serving.engines.proof import make_engine
from registry.tensors import Batch, Prediction
from tests.gateway.serving.engines.fitted import opened
from tests.gateway.serving.engines.tables import TABLES, WHOLE, Tabled, as_batch
from tests.gateway.serving.engines.test_parity import assert_alike, outcome

CHANCE = np.random.default_rng(11)


@cache
def made(kind: str) -> tuple[Tabled, Engine]:
    """Return a model and its engine, whose mapped files outlive their folder."""
    fit, rows = TABLES[kind]
    model = Tabled(fit(), rows)
    with TemporaryDirectory() as folder:
        assert make_engine(model, Path(folder)) == ""
        return model, opened(Path(folder))


def strange(rows: Any) -> Any:
    """Return rows with values that were never seen, and with gaps where the model may have them."""
    other = rows.sample(40, random_state=3, replace=True).reset_index(drop=True)
    for name in other.columns:
        where = CHANCE.random(len(other)) < 0.2
        if other[name].dtype.kind == "f":
            other.loc[where, name] = np.array(CHANCE.normal(size=where.sum()) * 1e4).astype(
                other[name].dtype
            )
        elif other[name].dtype.kind not in "biu":
            other.loc[where, name] = "Nowhere"
    return other


@pytest.mark.parametrize("kind", TABLES)
def test_an_engine_answers_tables_as_its_model(kind: str) -> None:
    model, engine = made(kind)
    rows = TABLES[kind][1]
    others = strange(rows)

    for some in (rows.iloc[:1], rows.iloc[7:40], rows, others.iloc[:1], others):
        assert_alike(model, engine, as_batch(some))
        assert_alike(model, engine, as_batch(some[some.columns[::-1]]))


@pytest.mark.parametrize(
    "kind", ["gaps filled, one-hot", "gaps as a category", "categories with gaps, histograms"]
)
def test_a_text_may_be_missing_alone_or_among_others(kind: str) -> None:
    """The answer to a row does not depend on which others come with it."""
    model, engine = made(kind)
    rows = TABLES[kind][1]
    gone = rows[rows["city"].isna()].head(3)

    for some in (gone.head(1), gone, rows.head(30)):
        assert_alike(model, engine, as_batch(some))
    together = outcome(engine, as_batch(rows.head(30)), "predict")[2]
    alone = [outcome(model, as_batch(rows.iloc[at : at + 1]), "predict")[2] for at in range(30)]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-12)


def changed(**columns: Any) -> Batch:
    return as_batch(WHOLE.head(2).assign(**columns))


LEFT = {
    "numbers where text was": changed(city=[1, 2]),
    "text where numbers were": changed(age=["a", "b"]),
    "mixed": changed(city=["Bonn", "Ulm"], age=np.array([1, None], object)),
    "wholes that no float holds": changed(age=[2**53 + 1, 1]),
    "other widths of numbers": changed(age=np.array([1, 2], np.float32)),
    "a column less": as_batch(WHOLE.head(2).drop(columns="plan")),
    "no names": Batch((), (np.zeros((2, 7)),), is_matrix=True),
    "no rows": as_batch(WHOLE.head(0)),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_it_cannot_hold_exactly_is_left_to_the_model(case: str) -> None:
    _, engine = made("scaled and one-hot, linear")

    assert engine.predict_batch(LEFT[case], "predict") is None


def test_columns_that_nothing_looks_at_may_hold_anything() -> None:
    model, engine = made("scaled and one-hot, linear")
    batch = changed(note=[3.5, 4.5], rooms=["x", None])

    assert isinstance(engine.predict_batch(batch, "predict"), Prediction)
    assert_alike(model, engine, batch)


class Twisted(Tabled):
    """A pipeline whose answers are changed for some tables."""

    def __init__(self, kind: str, concerns: Any) -> None:
        fit, rows = TABLES[kind]
        super().__init__(fit(), rows)
        self._concerns = concerns

    def predict_batch(self, batch: Batch, params: Any) -> Prediction:
        answer = super().predict_batch(batch, params)
        texts = [cell for array in batch.arrays if array.dtype == object for cell in array]
        if self._concerns(texts):
            answer.arrays[0][0] += 1
        return answer


def test_a_difference_for_words_never_seen_is_found(tmp_path: Path) -> None:
    twisted = Twisted("sparse, number", lambda texts: any("such" in (t or "") for t in texts))

    why = make_engine(twisted, tmp_path)

    assert "answered otherwise than it in 'predict' on a table of" in why
    assert list(tmp_path.iterdir()) == []


def test_a_difference_for_missing_texts_leaves_those_to_the_model(tmp_path: Path) -> None:
    twisted = Twisted("gaps as a category", lambda texts: None in texts)

    why = make_engine(twisted, tmp_path)
    engine = opened(tmp_path)

    assert why == ""
    assert not engine.description.takes_missing_text
    assert engine.predict_batch(changed(city=["Bonn", None]), "predict") is None
