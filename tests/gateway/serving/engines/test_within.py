"""Graphs made of scikit-learn models, which answer within a stated tolerance."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from gateway.serving.engines.comparing import same
from gateway.serving.engines.converted_graph import ConvertedGraphEngine
from gateway.serving.engines.description import TAKEN, BadEngine
from gateway.serving.engines.folder import read_engine
from gateway.serving.engines.proof import make_engine
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import PREDICT_METHOD, Batch, Prediction
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.fitted import Saved

TOLERANCE = 1e-6


class Signed(Saved):
    """One that says that it takes numbers, and has some rows of them."""

    def __init__(self, native: Any) -> None:
        super().__init__(native, fitted.THREE[:4])

    @property
    def signature(self) -> Signature | None:
        return Signature(inputs=(TensorSpec("float64", (-1, fitted.WIDTH)),))


class Texts(Signed):
    """One that says that it takes texts."""

    @property
    def signature(self) -> Signature | None:
        return Signature(inputs=(ColumnSpec("string", "name"),))


class Nudged(Signed):
    """One whose numbers are a little off from those of what is converted."""

    def predict_batch(self, batch: Batch, params: Any) -> Prediction:
        answer = super().predict_batch(batch, params)
        return Prediction(answer.names, tuple(array * (1 + 1e-5) for array in answer.arrays))


class Swapped(Signed):
    """One that says another label for one row of many."""

    def predict_batch(self, batch: Batch, params: Any) -> Prediction:
        answer = super().predict_batch(batch, params)
        labels = answer.arrays[0].copy()
        if len(labels) > 30 and labels.dtype.kind != "f":
            labels[17] = (labels[17] + 1) % 3
        return Prediction(answer.names, (labels,))


def classifier(labels: Any = fitted.THREE_LABELS, rows: Any = fitted.THREE) -> Any:
    return MLPClassifier([4], max_iter=20, random_state=0).fit(rows, labels)


def regressor() -> Any:
    return MLPRegressor(hidden_layer_sizes=[4], max_iter=20, random_state=0).fit(
        fitted.ROWS, fitted.NUMBERS
    )


def bayes(labels: Any) -> Any:
    return GaussianNB().fit(fitted.THREE, labels)


def neighbours() -> Any:
    return KNeighborsClassifier().fit(fitted.THREE, fitted.THREE_LABELS)


def jumping() -> Any:
    """Return one that rounds what its graph does not: most rows are far from where that tells."""
    return make_pipeline(PCA(3), DecisionTreeRegressor(random_state=0)).fit(
        fitted.ROWS, fitted.NUMBERS
    )


def opened(folder: Path, model: Any) -> ConvertedGraphEngine:
    assert make_engine(Signed(model), folder, TOLERANCE) == ""
    engine = read_engine(folder)
    assert isinstance(engine, ConvertedGraphEngine)
    return engine


@pytest.mark.parametrize("kind", [classifier, bayes])
@pytest.mark.parametrize("labels", [fitted.THREE_LABELS, fitted.NAMES[fitted.THREE_LABELS]])
def test_a_graph_answers_each_method_within_its_tolerance(
    tmp_path: Path, kind: Any, labels: Any
) -> None:
    model = kind(labels)
    batch = Batch((), (fitted.THREE,), is_matrix=True)

    engine = opened(tmp_path, model)

    for method in ("predict", "predict_proba"):
        expected = Signed(model).predict_batch(batch, {PREDICT_METHOD: method})
        assert same(expected, engine.predict_batch(batch, method), TOLERANCE)
    assert engine.description.tolerance == TOLERANCE
    assert engine.description.dtypes == TAKEN


def test_columns_are_taken_by_the_names_that_the_model_was_fitted_with(tmp_path: Path) -> None:
    names = tuple(f"c{n}" for n in range(fitted.WIDTH))
    columns = tuple(fitted.THREE.T)

    engine = opened(tmp_path, classifier(rows=fitted.frame(fitted.THREE)))

    assert engine.arrange(Batch(names, columns, is_matrix=False)) is not None
    assert engine.arrange(Batch(names[::-1], columns, is_matrix=False)) is None


def test_a_model_that_answers_float32_in_float32_gets_no_such_rows(tmp_path: Path) -> None:
    engine = opened(tmp_path, PLSRegression(2).fit(fitted.ROWS, fitted.NUMBERS))

    rows = fitted.ROWS.astype(np.float32)

    assert engine.predict_batch(Batch((), (rows,), is_matrix=True), "predict") is None


def test_steps_that_exist_in_float32_alone_do_where_the_tolerance_allows_it(tmp_path: Path) -> None:
    model = SVR().fit(fitted.ROWS, fitted.NUMBERS)
    batch = Batch((), (fitted.ROWS,), is_matrix=True)

    engine = opened(tmp_path, model)

    answer = engine.predict_batch(batch, "predict")
    assert same(Signed(model).predict_batch(batch, {}), answer, TOLERANCE)
    assert not same(Signed(model).predict_batch(batch, {}), answer)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e15, -(2**63)])
def test_what_nothing_was_proved_of_is_left_to_the_model(tmp_path: Path, value: float) -> None:
    engine = opened(tmp_path, regressor())

    rows = np.full((2, fitted.WIDTH), value)

    assert engine.predict_batch(Batch((), (rows,), is_matrix=True), "predict") is None


@pytest.mark.parametrize(
    ("model", "tolerance", "why"),
    [
        (Signed(regressor()), 0.0, "MLPRegressor is not among the kinds"),
        (Signed(regressor()), 1e-17, "not within 1e-17 of it in 'predict'"),
        (Nudged(regressor()), TOLERANCE, "not within 1e-06 of it in 'predict'"),
        (Swapped(classifier()), 1e-2, "not within 0.01 of it in 'predict'"),
        (Saved(regressor()), TOLERANCE, "without an input example"),
        (Texts(regressor()), TOLERANCE, "something else than numbers"),
        (Signed(neighbours()), TOLERANCE, "It has graphs within its graph."),
        (Signed(jumping()), 1e-2, "in 'predict' beside a place where its numbers jump"),
    ],
)
def test_a_model_stays_in_its_process_and_says_why(
    tmp_path: Path, model: Saved, tolerance: float, why: str
) -> None:
    said = make_engine(model, tmp_path, tolerance)

    assert why in said
    assert list(tmp_path.iterdir()) == []


def test_without_the_converter_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)

    said = make_engine(Signed(regressor()), tmp_path, TOLERANCE)

    assert "skl2onnx is not installed, stagedoor[skl2onnx] has it" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "lie",
    [
        {"width": 5},
        {"names": ("a",)},
        {"sample": (1.0,)},
        {"dtypes": ("<f2",)},
        {"outputs": (("predict", "another"),)},
        {"default_method": "transform"},
        {"tolerance": 0.0},
        {"tolerance": 0.02},
        {"tolerance": float("nan")},
    ],
)
def test_a_description_that_does_not_fit_its_graph_is_no_engine(
    tmp_path: Path, lie: dict[str, Any]
) -> None:
    described = opened(tmp_path, regressor()).description

    with pytest.raises(BadEngine):
        ConvertedGraphEngine(replace(described, **lie), (tmp_path / "graph.onnx").read_bytes())


@pytest.mark.parametrize(
    ("expected", "off", "is_same"),
    [
        (1000.0, 0.9e-3, True),
        (1000.0, 1.1e-3, False),
        (1e-9, 0.9e-9, True),
        (0.0, 1.1e-9, False),
        (1.0, np.nan, False),
        (np.nan, 0.0, True),
        (np.inf, 0.0, True),
        (np.inf, -np.inf, False),
    ],
)
def test_a_tolerance_is_relative_down_to_a_floor(
    expected: float, off: float, *, is_same: bool
) -> None:
    one = Prediction(("output",), (np.array([expected]),))
    other = Prediction(("output",), (np.array([expected + off]),))

    assert same(one, other, TOLERANCE) is is_same
