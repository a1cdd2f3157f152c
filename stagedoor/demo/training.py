"""The demo's data and its two models: trained, logged and registered through the SDK.

Handwritten digits, 1,797 pictures of 8 x 8 grey values, from scikit-learn itself.
"""

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

import stagedoor

MODEL = "Digits"
EXPERIMENT = "digits"
_HELD_OUT = 0.4
_SEED = 7


class Digits(Struct, frozen=True):
    """The pictures: those to learn from, and those to be judged by.

    Args:
        train_rows: Array of float64, shape (n, 64), 0 to 16.
        train_labels: Array of int64, shape (n,), 0 to 9.
        rows: The held-out pictures; as ``train_rows``.
        labels: What the held-out pictures show.
    """

    train_rows: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    rows: NDArray[np.float64]
    labels: NDArray[np.int64]


class Trained(Struct, frozen=True):
    """A registered version of the demo's model.

    Args:
        version: Its number.
        kind: What it is, for people.
        accuracy: Share of held-out pictures that it reads right.
        answers: Its own answer to each held-out picture, worked out here and not by the server.
    """

    version: int
    kind: str
    accuracy: float
    answers: list[int]


def load_digits() -> Digits:
    """Return the pictures, split the same way each time."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    data = load()
    train_rows, rows, train_labels, labels = train_test_split(
        data.data, data.target, test_size=_HELD_OUT, random_state=_SEED, stratify=data.target
    )
    return Digits(train_rows, train_labels, rows, labels)


def train_shallow_tree(digits: Digits) -> Trained:
    """Register a decision tree that asks six questions: quick, and often wrong."""
    from sklearn.tree import DecisionTreeClassifier

    params = {"max_depth": 6, "random_state": _SEED}
    return _register(DecisionTreeClassifier(**params), "decision tree", params, digits)


def train_support_vectors(digits: Digits) -> Trained:
    """Register a support vector classifier: the one worth promoting."""
    from sklearn.svm import SVC

    params = {"gamma": 0.001, "C": 10.0}
    return _register(SVC(**params), "support vectors", params, digits)


def _register(model: Any, kind: str, params: dict[str, Any], digits: Digits) -> Trained:
    model.fit(digits.train_rows, digits.train_labels)
    answers = model.predict(digits.rows)
    accuracy = float((answers == digits.labels).mean())
    stagedoor.set_experiment(EXPERIMENT)
    with stagedoor.start_run(run_name=kind):
        stagedoor.log_params(params)
        stagedoor.log_metric("accuracy", accuracy)
        info = stagedoor.sklearn.log_model(
            model, "model", registered_model_name=MODEL, input_example=digits.train_rows[:5]
        )
    version = int(info.registered_model_version or 0)
    return Trained(version, kind, accuracy, [int(answer) for answer in answers])
