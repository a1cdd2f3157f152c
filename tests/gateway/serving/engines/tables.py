"""A table as people have them, and pipelines that treat its columns apart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from registry.flavors.sklearn import SKLEARN
from registry.loading import LoadedModel
from registry.model_folder import ModelConfig
from registry.observed import infer_signature
from registry.tensors import Batch
from tests.gateway.serving.engines.fitted import NAMES

COUNT = 150
_CHANCE = np.random.default_rng(5)
_AGES = _CHANCE.integers(18, 80, COUNT).astype(float)
_INCOMES = _CHANCE.lognormal(3.0, 1.0, COUNT)
WHOLE = pd.DataFrame(
    {
        "age": _AGES,
        "income": _INCOMES,
        "rooms": _CHANCE.integers(1, 6, COUNT),
        "city": _CHANCE.choice(["Bonn", "Köln", "Ulm", "a b"], COUNT),
        "plan": _CHANCE.choice(["free", "paid"], COUNT),
        "note": _CHANCE.choice(["x", "y", "z"], COUNT),
        "member": _CHANCE.random(COUNT) < 0.5,
    }
)
LABELS = (_AGES + 3 * _INCOMES + _CHANCE.normal(size=COUNT) * 20 > 110).astype(int)
THREE = np.digitize(_AGES, [35, 60])
GAPPY = WHOLE.assign(
    age=np.where(_CHANCE.random(COUNT) < 0.2, np.nan, _AGES),
    city=WHOLE["city"].where(_CHANCE.random(COUNT) < 0.8, None),
)

NUMBERS, TEXTS = ["age", "income"], ["city", "plan"]


def one_hot(**said: Any) -> Any:
    return OneHotEncoder(handle_unknown="ignore", **said)


def numbered(numbers: list[str]) -> Any:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_column_transformer((encoder, TEXTS), ("passthrough", numbers))


def apart(numbers: Any, texts: Any, **said: Any) -> Any:
    return make_column_transformer((numbers, NUMBERS), (texts, TEXTS), **said)


class Tabled(LoadedModel):
    """A pipeline as a runner holds it, without the folder."""

    def __init__(self, native: Any, rows: Any, method: str = "predict") -> None:
        config = ModelConfig(
            flavors={"python_function": {"predict_fn": method}},
            signature=infer_signature(rows.head(5)),
        )
        super().__init__(None, config, flavor=SKLEARN, native=native)  # type: ignore[arg-type] # no folder
        self._rows = rows

    def input_example(self) -> Batch | None:
        return as_batch(self._rows.head(5))


def as_batch(rows: Any) -> Batch:
    """Return a DataFrame as a request brings it: text as objects, missing text as None."""
    arrays = [_column(rows[name]) for name in rows.columns]
    names = tuple(rows.columns)
    if len({array.dtype for array in arrays}) == 1 and arrays[0].dtype.kind in "if":
        return Batch(names, (np.column_stack(arrays),), is_matrix=True)
    return Batch(names, tuple(arrays), is_matrix=False)


def _column(column: Any) -> Any:
    if column.dtype.kind in "biuf":
        return column.to_numpy()
    texts = np.empty(len(column), object)
    texts[:] = [text if isinstance(text, str) else None for text in column]
    return texts


TABLES: dict[str, tuple[Callable[[], Any], Any]] = {
    "scaled and one-hot, linear": (
        lambda: make_pipeline(apart(StandardScaler(), one_hot()), LogisticRegression()).fit(
            WHOLE, LABELS
        ),
        WHOLE,
    ),
    "sparse, three classes": (
        lambda: make_pipeline(
            make_column_transformer((one_hot(), [*TEXTS, "note", "rooms"])),
            LogisticRegression(max_iter=300),
        ).fit(WHOLE, NAMES[THREE]),
        WHOLE,
    ),
    "sparse, number": (
        lambda: make_pipeline(
            make_column_transformer((one_hot(), [*TEXTS, "note"]), ("passthrough", ["age"])),
            LinearRegression(),
        ).fit(WHOLE, _INCOMES),
        WHOLE,
    ),
    "gaps filled, one-hot": (
        lambda: make_pipeline(
            apart(
                make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler()),
                make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot()),
            ),
            LogisticRegression(),
        ).fit(GAPPY, LABELS),
        GAPPY,
    ),
    "gaps as a category": (
        lambda: make_pipeline(
            apart(SimpleImputer(), one_hot(sparse_output=False), remainder="drop"), Ridge()
        ).fit(GAPPY, _INCOMES),
        GAPPY,
    ),
    "filled with a word": (
        lambda: make_pipeline(
            apart(
                "passthrough",
                make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), one_hot()),
            ),
            LinearRegression(),
        ).fit(GAPPY.assign(age=_AGES), _INCOMES),
        GAPPY.assign(age=_AGES),
    ),
    "strict about categories": (
        lambda: make_pipeline(
            apart(StandardScaler(), OneHotEncoder(drop="if_binary")), Ridge()
        ).fit(WHOLE, _INCOMES),
        WHOLE,
    ),
    "ordinal, forest": (
        lambda: make_pipeline(
            numbered([*NUMBERS, "rooms", "member"]),
            RandomForestClassifier(7, random_state=0),
        ).fit(WHOLE, LABELS),
        WHOLE,
    ),
    "strict ordinal, histograms": (
        lambda: make_pipeline(
            make_column_transformer((OrdinalEncoder(), TEXTS), remainder="drop"),
            HistGradientBoostingClassifier(max_iter=4),
        ).fit(WHOLE, LABELS),
        WHOLE,
    ),
    "categories by their type, histograms": (
        lambda: HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5).fit(
            WHOLE.astype(dict.fromkeys([*TEXTS, "note"], "category")), NAMES[THREE]
        ),
        WHOLE,
    ),
    "categories with gaps, histograms": (
        lambda: HistGradientBoostingRegressor(
            max_iter=4, min_samples_leaf=5, categorical_features=["rooms", *TEXTS, "note"]
        ).fit(GAPPY, _INCOMES),
        GAPPY,
    ),
    "numbered first, histograms": (
        lambda: make_pipeline(
            numbered(NUMBERS),
            HistGradientBoostingClassifier(max_iter=3, categorical_features=[0, 1]),
        ).fit(WHOLE, LABELS),
        WHOLE,
    ),
    "the rest passes": (
        lambda: make_pipeline(
            make_column_transformer((StandardScaler(), ["income"]), remainder="passthrough"),
            LinearRegression(),
        ).fit(WHOLE[[*NUMBERS, "rooms"]], LABELS),
        WHOLE[[*NUMBERS, "rooms"]],
    ),
    "narrow numbers beside text": (
        lambda: make_pipeline(apart(StandardScaler(), one_hot()), Ridge()).fit(
            WHOLE.astype({"age": np.float32, "income": np.float32}), LABELS
        ),
        WHOLE.astype({"age": np.float32, "income": np.float32}),
    ),
    "encoder alone": (
        lambda: make_pipeline(one_hot(), LogisticRegression()).fit(WHOLE[TEXTS], LABELS),
        WHOLE[TEXTS],
    ),
    "imputer alone": (
        lambda: make_pipeline(
            SimpleImputer(), StandardScaler(), RandomForestClassifier(3, random_state=0)
        ).fit(GAPPY[NUMBERS], LABELS),
        GAPPY[NUMBERS],
    ),
}
