"""Small models of XGBoost and LightGBM, of every kind that has an engine."""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.gateway.serving.engines.fitted import (
    GAPPY,
    NAMES,
    NUMBERS,
    PAIR,
    PAIR_LABELS,
    ROWS,
    THREE_LABELS,
    frame,
)

SMALL: dict[str, Any] = {"n_estimators": 6, "n_jobs": 1}
LIGHT: dict[str, Any] = {**SMALL, "verbose": -1, "min_child_samples": 3}
COUNTS = np.abs(NUMBERS)


def matrix(rows: Any, labels: Any) -> Any:
    return xgboost.DMatrix(rows, label=labels, nthread=1)


def trained(rows: Any, labels: Any, **said: Any) -> Any:
    """Return a Booster of XGBoost."""
    return xgboost.train({"nthread": 1, **said}, matrix(rows, labels), 4)


def light(rows: Any, labels: Any, **said: Any) -> Any:
    """Return a Booster of LightGBM."""
    quiet = {"verbose": -1, "min_data_in_leaf": 3, "num_threads": 1}
    return lightgbm.train({**quiet, **said}, lightgbm.Dataset(rows, labels), 4)


def stopped_early() -> Any:
    model = xgboost.XGBRegressor(n_estimators=30, n_jobs=1, early_stopping_rounds=1)
    return model.fit(ROWS[:60], NUMBERS[:60], eval_set=[(ROWS[60:], -NUMBERS[60:])], verbose=False)


BOOSTED: dict[str, Callable[[], Any]] = {
    "xgb": lambda: xgboost.XGBClassifier(**SMALL).fit(frame(GAPPY), PAIR_LABELS),
    "xgb, three": lambda: xgboost.XGBClassifier(**SMALL).fit(GAPPY, THREE_LABELS),
    "xgb, number": lambda: xgboost.XGBRegressor(**SMALL).fit(GAPPY, NUMBERS),
    "xgb, counts": lambda: xgboost.XGBRegressor(objective="count:poisson", **SMALL).fit(
        ROWS, COUNTS
    ),
    "xgb, forest of three": lambda: xgboost.XGBRFClassifier(**SMALL).fit(ROWS, THREE_LABELS),
    "xgb, stopped early": stopped_early,
    "xgb booster": lambda: trained(GAPPY, PAIR_LABELS, objective="binary:logistic"),
    "xgb booster, three": lambda: trained(
        frame(ROWS), THREE_LABELS, objective="multi:softprob", num_class=3
    ),
    "xgb behind a scaler": lambda: make_pipeline(
        StandardScaler(), xgboost.XGBClassifier(**SMALL)
    ).fit(frame(PAIR), PAIR_LABELS),
    "light": lambda: lightgbm.LGBMClassifier(**LIGHT).fit(frame(GAPPY), PAIR_LABELS),
    "light, three of text": lambda: lightgbm.LGBMClassifier(**LIGHT).fit(ROWS, NAMES[THREE_LABELS]),
    "light, number": lambda: lightgbm.LGBMRegressor(**LIGHT).fit(GAPPY, NUMBERS),
    "light, counts": lambda: lightgbm.LGBMRegressor(objective="poisson", **LIGHT).fit(ROWS, COUNTS),
    "light booster": lambda: light(frame(ROWS), PAIR_LABELS, objective="binary"),
}

WITHOUT: dict[str, tuple[Callable[[], Any], str]] = {
    "labels from softmax": (
        lambda: trained(ROWS, THREE_LABELS, objective="multi:softmax", num_class=3),
        "XGBoost with the objective 'multi:softmax' has no engine.",
    ),
    "dropped trees": (
        lambda: trained(ROWS, NUMBERS, booster="dart", rate_drop=0.5),
        "XGBoost with dropped trees has no engine.",
    ),
    "linear": (lambda: trained(ROWS, NUMBERS, booster="gblinear"), "of the kind 'gblinear'"),
    "several outputs": (
        lambda: xgboost.XGBRegressor(**SMALL).fit(ROWS, np.c_[NUMBERS, NUMBERS]),
        "XGBoost with several outputs has no engine.",
    ),
    "something else missing": (
        lambda: xgboost.XGBRegressor(missing=-1.0, **SMALL).fit(ROWS, NUMBERS),
        "another value for what is missing",
    ),
    "zero as missing": (
        lambda: light(GAPPY, NUMBERS, zero_as_missing=True),
        "LightGBM that treats 'Zero' as missing has no engine.",
    ),
    "averages": (
        lambda: light(ROWS, NUMBERS, boosting="rf", bagging_freq=1, bagging_fraction=0.5),
        "LightGBM that averages its trees has no engine.",
    ),
    "categories": (
        lambda: lightgbm.LGBMRegressor(**LIGHT).fit(
            frame(ROWS).assign(c0=NAMES[THREE_LABELS]).astype({"c0": "category"}), NUMBERS
        ),
        "LightGBM with categories has no engine.",
    ),
    "lines in leaves": (
        lambda: light(ROWS, NUMBERS, linear_tree=True),
        "LightGBM with linear models in leaves has no engine.",
    ),
}
