"""No engine without proof: what is planted here answers a little otherwise, and is found out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from gateway.serving.engines.proof import make_engine
from tests.gateway.serving.engines import fitted
from tests.gateway.serving.engines.fitted import FITS, Saved, opened


class Twisted(Saved):
    """A model whose answers are changed on their way out, as a fault of an engine would."""

    def __init__(self, kind: str, twist: Any, method: str = "predict") -> None:
        super().__init__(FITS[kind](), fitted.ROWS[:5])
        self._twist = twist
        self._method_twisted = method

    def predict_batch(self, batch: Any, params: Any) -> Any:
        answer = super().predict_batch(batch, params)
        if params.get("predict_method") == self._method_twisted:
            self._twist(batch.arrays[0], answer.arrays[0])
        return answer


def nudge(rows: NDArray[Any], answer: NDArray[Any]) -> None:
    """Move one number in the eleventh digit."""
    del rows
    answer[-1] *= 1 + 1e-11


def flip_at_thresholds(rows: NDArray[Any], answer: NDArray[Any]) -> None:
    """Answer otherwise for missing values only."""
    answer[np.isnan(rows).any(axis=1)] += 1.0


def flip_labels(rows: NDArray[Any], answer: NDArray[Any]) -> None:
    del rows
    answer[0] = 1 - answer[0]


@pytest.mark.parametrize(
    ("kind", "twist"),
    [
        ("forest, number", nudge),
        ("linear", nudge),
        ("histograms with gaps", flip_at_thresholds),
        ("forest", flip_labels),
    ],
)
def test_a_difference_is_found(kind: str, twist: Any, tmp_path: Path) -> None:
    why = make_engine(Twisted(kind, twist), tmp_path)

    assert "answered otherwise than it in 'predict' on rows of float64" in why
    assert list(tmp_path.iterdir()) == []


def test_a_method_that_differs_is_left_to_the_model(tmp_path: Path) -> None:
    why = make_engine(Twisted("logistic", nudge, method="predict_proba"), tmp_path)

    assert why == ""
    assert opened(tmp_path).description.methods == ("predict", "decision_function")


class Own(LogisticRegression):  # type: ignore[misc] # the library has no types
    """Answers as it likes."""

    def predict(self, rows: Any) -> Any:
        return 1 - super().predict(rows)


WITHOUT = {
    "a class of its own": (
        lambda: Own().fit(fitted.PAIR, fitted.PAIR_LABELS),
        "a Own of its own is not among the kinds that have an engine.",
    ),
    "no estimator": (lambda: {"predict": 1}, "a dict of its own is not among the kinds"),
    "another step": (
        lambda: make_pipeline(PolynomialFeatures(), Ridge()).fit(fitted.ROWS, fitted.NUMBERS),
        "PolynomialFeatures is not among the steps that have an engine.",
    ),
    "several outputs": (
        lambda: RandomForestRegressor(2).fit(fitted.ROWS, np.c_[fitted.NUMBERS, fitted.NUMBERS]),
        "Trees with several outputs have no engine.",
    ),
    "another loss": (
        lambda: GradientBoostingClassifier(n_estimators=2, loss="exponential").fit(
            fitted.PAIR, fitted.PAIR_LABELS
        ),
        "Gradient boosting with the loss 'exponential' has no engine.",
    ),
    "a member without an engine": (
        lambda: VotingRegressor([("a", Ridge()), ("b", KNeighborsRegressor(2))]).fit(
            fitted.ROWS, fitted.NUMBERS
        ),
        "KNeighborsRegressor is not among the kinds that have an engine.",
    ),
    "too many members": (
        lambda: BaggingRegressor(Ridge(), 65).fit(fitted.ROWS, fitted.NUMBERS),
        "BaggingRegressor of more than 64 members has no engine.",
    ),
    "another calibration": (
        lambda: CalibratedClassifierCV(LogisticRegression(), method="temperature", cv=2).fit(
            fitted.PAIR, fitted.PAIR_LABELS
        ),
        "Calibration by 'temperature' has no engine.",
    ),
    "not fitted": (LogisticRegression, "Making an engine of it raised AttributeError."),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_what_has_no_engine_says_why(case: str, tmp_path: Path) -> None:
    make, expected = WITHOUT[case]

    why = make_engine(Saved(make()), tmp_path)

    assert expected in why
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_an_example_is_proved_on_its_thresholds(tmp_path: Path) -> None:
    why = make_engine(Saved(FITS["forest with gaps"]()), tmp_path)

    assert why == ""
