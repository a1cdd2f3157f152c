"""Small fitted estimators of every kind that has an engine, and ways to ask them."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it has none

from gateway.serving.engines.engine import Engine
from gateway.serving.engines.folder import read_engine
from registry.flavors.lightgbm import LIGHTGBM
from registry.flavors.sklearn import SKLEARN
from registry.flavors.xgboost import XGBOOST
from registry.loading import LoadedModel
from registry.model_folder import ModelConfig
from registry.tensors import Batch

# Threads of a library that outnumber the CPUs wait for each other, for seconds.
threadpool_limits(1, user_api="openmp")

WIDTH = 6
PAIR, PAIR_LABELS = make_classification(120, WIDTH, random_state=0)
THREE, THREE_LABELS = make_classification(
    120, WIDTH, n_informative=4, n_redundant=0, n_classes=3, random_state=0
)
ROWS, NUMBERS = make_regression(120, WIDTH, noise=1.0, random_state=0)
GAPPY = np.where(np.random.default_rng(0).random(ROWS.shape) < 0.1, np.nan, ROWS)
NAMES = np.array(["ant", "bee", "cat"])


FLAVORS = defaultdict(lambda: SKLEARN, {"lightgbm": LIGHTGBM, "xgboost": XGBOOST})


class Saved(LoadedModel):
    """An estimator as a runner holds it, without the folder."""

    def __init__(self, native: Any, example: Any = None, method: str = "predict") -> None:
        config = ModelConfig(flavors={"python_function": {"predict_fn": method}})
        flavor = FLAVORS[type(native).__module__.partition(".")[0]]
        super().__init__(Path("/nowhere"), config, flavor=flavor, native=native)
        self._example = example

    def input_example(self) -> Batch | None:
        if self._example is None:
            return None
        names = tuple(map(str, getattr(self.native, "feature_names_in_", ())))
        return Batch(names, (self._example,), is_matrix=True)


def opened(folder: Path) -> Engine:
    """Read an engine of arrays."""
    engine = read_engine(folder)
    if not isinstance(engine, Engine):
        raise TypeError(folder)
    return engine


def frame(rows: Any) -> Any:
    return pd.DataFrame(rows, columns=[f"c{n}" for n in range(WIDTH)])


FITS: dict[str, Callable[[], Any]] = {
    "linear": lambda: LinearRegression().fit(ROWS, NUMBERS),
    "linear, two outputs": lambda: LinearRegression().fit(ROWS, np.c_[NUMBERS, -NUMBERS]),
    "linear, float32, no intercept": lambda: LinearRegression(fit_intercept=False).fit(
        ROWS.astype(np.float32), NUMBERS.astype(np.float32)
    ),
    "ridge": lambda: Ridge().fit(ROWS, NUMBERS),
    "lasso": lambda: Lasso().fit(ROWS, NUMBERS),
    "elastic net": lambda: ElasticNet().fit(ROWS, NUMBERS),
    "descent, number": lambda: SGDRegressor(random_state=0).fit(ROWS, NUMBERS),
    "logistic": lambda: LogisticRegression().fit(PAIR, PAIR_LABELS),
    "logistic, three of text": lambda: LogisticRegression().fit(THREE, NAMES[THREE_LABELS]),
    "vector machine": lambda: LinearSVC().fit(THREE, THREE_LABELS),
    "perceptron": lambda: Perceptron().fit(PAIR, PAIR_LABELS),
    "ridge, classes": lambda: RidgeClassifier().fit(THREE, THREE_LABELS),
    "descent, classes": lambda: SGDClassifier(loss="log_loss", random_state=0).fit(
        THREE, THREE_LABELS
    ),
    "tree": lambda: DecisionTreeClassifier(random_state=0).fit(THREE, THREE_LABELS),
    "stump": lambda: DecisionTreeClassifier(max_depth=1).fit(PAIR, PAIR_LABELS),
    "no split at all": lambda: DecisionTreeRegressor().fit(ROWS, np.ones(len(ROWS))),
    "forest": lambda: RandomForestClassifier(7, random_state=0).fit(PAIR, PAIR_LABELS),
    "forest, three of text": lambda: RandomForestClassifier(5, max_depth=3, random_state=0).fit(
        THREE, NAMES[THREE_LABELS]
    ),
    "forest, number": lambda: RandomForestRegressor(5, random_state=0).fit(ROWS, NUMBERS),
    "forest with gaps": lambda: RandomForestRegressor(5, random_state=0).fit(GAPPY, NUMBERS),
    "extra trees": lambda: ExtraTreesClassifier(5, random_state=0).fit(THREE, THREE_LABELS),
    "extra trees, number": lambda: ExtraTreesRegressor(5, random_state=0).fit(ROWS, NUMBERS),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=8).fit(PAIR, PAIR_LABELS),
    "boosting, three": lambda: GradientBoostingClassifier(n_estimators=4).fit(THREE, THREE_LABELS),
    "boosting, number": lambda: GradientBoostingRegressor(n_estimators=8).fit(ROWS, NUMBERS),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=6).fit(PAIR, PAIR_LABELS),
    "histograms, three of text": lambda: HistGradientBoostingClassifier(max_iter=3).fit(
        THREE, NAMES[THREE_LABELS]
    ),
    "histograms with gaps": lambda: HistGradientBoostingRegressor(max_iter=6).fit(GAPPY, NUMBERS),
    "histograms, counts": lambda: HistGradientBoostingRegressor(max_iter=4, loss="poisson").fit(
        ROWS, np.abs(NUMBERS)
    ),
    "pipeline on a frame": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(
        frame(PAIR), PAIR_LABELS
    ),
    "pipeline of scalers": lambda: make_pipeline(
        MinMaxScaler(clip=True), RobustScaler(), MaxAbsScaler(), "passthrough", Ridge()
    ).fit(ROWS, NUMBERS),
    "pipeline with gaps": lambda: make_pipeline(
        StandardScaler(), HistGradientBoostingRegressor(max_iter=3)
    ).fit(frame(GAPPY), NUMBERS),
}


def forest() -> Any:
    return RandomForestClassifier(3, max_depth=3, random_state=0)


def mixed(classes: bool = True) -> list[tuple[str, Any]]:  # noqa: FBT001, FBT002 - which kind
    """Return members of several kinds that have an engine."""
    if classes:
        return [
            ("linear", make_pipeline(StandardScaler(), LogisticRegression())),
            ("forest", forest()),
            ("boosting", GradientBoostingClassifier(n_estimators=3)),
        ]
    return [("linear", Ridge()), ("trees", RandomForestRegressor(3, random_state=0))]


ENSEMBLES: dict[str, Callable[[], Any]] = {
    "weighted votes": lambda: VotingClassifier(mixed(), weights=[1, 0.5, 0.5]).fit(
        PAIR, PAIR_LABELS
    ),
    "soft votes": lambda: VotingClassifier(mixed(), voting="soft", weights=[3, 1, 2]).fit(
        frame(THREE), NAMES[THREE_LABELS]
    ),
    "weighted mean": lambda: VotingRegressor(mixed(classes=False), weights=[0.3, 0.7]).fit(
        ROWS, NUMBERS
    ),
    "stack": lambda: StackingClassifier(mixed(), cv=2).fit(PAIR, NAMES[PAIR_LABELS]),
    "stack of three, with rows": lambda: StackingClassifier(
        mixed(), forest(), cv=2, passthrough=True
    ).fit(THREE, THREE_LABELS),
    "stack on a mean": lambda: StackingRegressor(
        [("mean", VotingRegressor(mixed(classes=False))), ("lasso", Lasso())], Ridge(), cv=2
    ).fit(frame(ROWS), NUMBERS),
    "sigmoids on decisions": lambda: CalibratedClassifierCV(LinearSVC(), cv=3).fit(
        PAIR, PAIR_LABELS
    ),
    "sigmoids, three": lambda: CalibratedClassifierCV(forest(), cv=2).fit(
        THREE, NAMES[THREE_LABELS]
    ),
    "curves, three": lambda: CalibratedClassifierCV(
        LinearSVC(), method="isotonic", cv=2, ensemble=False
    ).fit(THREE, THREE_LABELS),
    "curves on shares": lambda: CalibratedClassifierCV(forest(), method="isotonic", cv=2).fit(
        PAIR, PAIR_LABELS
    ),
    "bag of trees": lambda: BaggingClassifier(n_estimators=5, max_features=0.7, random_state=0).fit(
        THREE, NAMES[THREE_LABELS]
    ),
    "bag of lines": lambda: BaggingClassifier(
        LogisticRegression(), 4, max_features=0.5, random_state=0
    ).fit(PAIR, PAIR_LABELS),
    "bag of pipelines": lambda: BaggingRegressor(
        make_pipeline(StandardScaler(), Ridge()), 3, random_state=0
    ).fit(frame(ROWS), NUMBERS),
    "union": lambda: make_pipeline(
        make_union(StandardScaler(), MinMaxScaler(), "passthrough"), Ridge()
    ).fit(ROWS, NUMBERS),
}
