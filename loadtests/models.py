"""The five models that are measured, random rows for each, and what it answers to them itself.

| name | model |
|---|---|
| A | LogisticRegression, 4 columns |
| B | RandomForestClassifier, 100 trees of depth 10, 20 columns |
| C | HistGradientBoostingRegressor, 100 trees, 20 columns |
| D | Pipeline(StandardScaler, LogisticRegression), 30 named columns |
| E | GradientBoostingRegressor, 100 trees, 20 columns |
"""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec
import numpy as np
from msgspec import Struct

import stagedoor
from stagedoor.demo.admin import Admin

WIDTHS: Mapping[str, int] = {"A": 4, "B": 20, "C": 20, "D": 30, "E": 20}
PROBES = 64
_TOLERANCE = 1e-12
_JSON = {"Content-Type": "application/json"}


class Probes(Struct, frozen=True):
    """Requests to one model, and its own answers.

    Args:
        bodies: One row each.
        answers: One number each.
    """

    bodies: tuple[bytes, ...]
    answers: tuple[float, ...]


class WrongAnswer(Exception):
    """A server answered otherwise than the model that it serves."""


def put_models(url: str) -> dict[str, Probes]:
    """Train all models, bring them to Production, and return what to ask them."""
    stagedoor.set_tracking_uri(url)
    probes = {}
    with Admin(url) as admin:
        for name in WIDTHS:
            model, rows = _fit(name)
            with stagedoor.start_run():
                stagedoor.sklearn.log_model(
                    model, "model", registered_model_name=name, input_example=rows[:5]
                )
            admin.promote(name, 1)
            probes[name] = _probe(name, model, rows)
    return probes


def check_answers(url: str, probes: Probes) -> None:
    """Ask every probe once and compare.

    Raises:
        WrongAnswer: One answer is not the model's own.
    """
    with httpx.Client(trust_env=False, headers=_JSON) as client:
        for body, expected in zip(probes.bodies, probes.answers, strict=True):
            answered = client.post(url, content=body)
            answered.raise_for_status()
            found = float(answered.json()["predictions"][0])
            if abs(found - expected) > _TOLERANCE * max(abs(found), abs(expected)):
                raise WrongAnswer(f"{url} answered {found!r}, its model says {expected!r}.")


def _fit(name: str) -> tuple[Any, Any]:
    from sklearn.datasets import make_classification, make_regression

    width = WIDTHS[name]
    if name in "CE":
        rows, wanted = make_regression(2000, width, noise=1.0, random_state=0)
    else:
        rows, wanted = make_classification(2000, width, random_state=0)
    if name == "D":
        import pandas as pd

        rows = pd.DataFrame(rows, columns=[f"column_{n}" for n in range(width)])
    return _models()[name].fit(rows, wanted), rows


def _models() -> Mapping[str, Any]:
    from sklearn.ensemble import (
        GradientBoostingRegressor,
        HistGradientBoostingRegressor,
        RandomForestClassifier,
    )
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "A": LogisticRegression(),
        "B": RandomForestClassifier(n_estimators=100, max_depth=10, random_state=0),
        "C": HistGradientBoostingRegressor(max_iter=100, random_state=0),
        "D": make_pipeline(StandardScaler(), LogisticRegression()),
        "E": GradientBoostingRegressor(n_estimators=100, random_state=0),
    }


def _probe(name: str, model: Any, rows: Any) -> Probes:
    chance = np.random.default_rng(len(name))
    chosen = chance.integers(len(rows), size=PROBES)
    picked = rows.iloc[chosen] if name == "D" else rows[chosen]
    answers = tuple(float(answer) for answer in model.predict(picked))
    if name == "D":
        columns = list(picked.columns)
        bodies = (
            {"dataframe_split": {"columns": columns, "data": [row]}}
            for row in picked.to_numpy().tolist()
        )
        return Probes(tuple(map(msgspec.json.encode, bodies)), answers)
    one_by_one = ({"instances": [row]} for row in picked.tolist())
    return Probes(tuple(map(msgspec.json.encode, one_by_one)), answers)
