"""The five models that are measured, random rows for each, and what it answers to them itself.

| name | model |
|---|---|
| A | LogisticRegression, 4 columns |
| B | RandomForestClassifier, 100 trees of depth 10, 20 columns |
| C | HistGradientBoostingRegressor, 100 trees, 20 columns |
| D | Pipeline(StandardScaler, LogisticRegression), 30 named columns |
| E | GradientBoostingRegressor, 100 trees, 20 columns |
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx
import msgspec
import numpy as np
from msgspec import Struct

import stagedoor
from stagedoor.demo.admin import Admin

WIDTHS: Mapping[str, int] = {"A": 4, "B": 20, "C": 20, "D": 30, "E": 20}
PROBES = 64
FEW_PROBES = 8
MANY_ROWS = 100
_TOLERANCE = 1e-12
_JSON = {"Content-Type": "application/json"}


class Specimen(Struct, frozen=True):
    """A trained model, and rows to ask it.

    Args:
        name: A to E.
        model: Trained.
        rows: A matrix, or a table where columns have names.
    """

    name: str
    model: Any
    rows: Any

    @property
    def columns(self) -> list[str]:
        """The names of its columns; empty where they go by position."""
        return list(getattr(self.rows, "columns", ()))


class Probes(Struct, frozen=True):
    """Requests to one model, and its own answers.

    Args:
        bodies: Some rows each, drawn at random.
        answers: For each request, one number for each row.
    """

    bodies: tuple[bytes, ...]
    answers: tuple[tuple[float, ...], ...]


Encode = Callable[[list[list[float]], list[str]], Any]
"""From rows, and the names of columns if they have any, to the body in a server's own shape."""


class WrongAnswer(Exception):
    """A server answered otherwise than the model that it serves."""


def train(name: str) -> Specimen:
    """Train one model; the same one each time."""
    return Specimen(name, *_fit(name))


def put_models(url: str, specimens: Iterable[Specimen]) -> None:
    """Log and register models, and bring them to Production."""
    stagedoor.set_tracking_uri(url)
    with Admin(url) as admin:
        for one in specimens:
            with stagedoor.start_run():
                stagedoor.sklearn.log_model(
                    one.model, "model", registered_model_name=one.name, input_example=one.rows[:5]
                )
            admin.promote(one.name, 1)


def probe(specimen: Specimen, rows: int, encode: Encode) -> Probes:
    """Draw requests at random, and let the model answer them.

    Args:
        specimen: The model.
        rows: In each request.
        encode: Writes a body.
    """
    chance = np.random.default_rng(rows)
    count = PROBES if rows < MANY_ROWS else FEW_PROBES
    bodies, answers = [], []
    for _ in range(count):
        chosen = chance.integers(len(specimen.rows), size=rows)
        picked = specimen.rows.iloc[chosen] if specimen.columns else specimen.rows[chosen]
        answers.append(tuple(float(answer) for answer in specimen.model.predict(picked)))
        body = encode(np.asarray(picked).tolist(), specimen.columns)
        bodies.append(msgspec.json.encode(body))
    return Probes(tuple(bodies), tuple(answers))


def as_scoring(rows: list[list[float]], columns: list[str]) -> Any:
    """Write a body as MLflow's scoring protocol has it."""
    if columns:
        return {"dataframe_split": {"columns": columns, "data": rows}}
    return {"instances": rows}


def read_scoring(answer: Any) -> list[float]:
    """Read an answer of MLflow's scoring protocol."""
    return [float(number) for number in answer["predictions"]]


def check_answers(url: str, probes: Probes, read: Callable[[Any], list[float]]) -> None:
    """Ask every probe once and compare.

    Raises:
        WrongAnswer: One answer is not the model's own.
    """
    with httpx.Client(trust_env=False, headers=_JSON, timeout=60.0) as client:
        for body, expected in zip(probes.bodies, probes.answers, strict=True):
            answered = client.post(url, content=body)
            answered.raise_for_status()
            found = read(answered.json())
            if len(found) != len(expected) or not np.allclose(found, expected, _TOLERANCE, 0.0):
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
