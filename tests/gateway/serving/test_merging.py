"""Which models may have requests of several callers in one call: real small ones, tried here."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from gateway.serving.batching import Merged
from gateway.serving.merging import find_merging
from gateway.serving.sample_rows import rows_of, several
from gateway.serving.time_limit import TookTooLong, within
from registry.answers import to_prediction
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch, Prediction
from tests.gateway.serving import specimens as sp

EXAMPLE = sp.matrix((1.0, 2.0), (3.0, -4.0))
MATRIX = Signature(inputs=(TensorSpec("float64", (-1, 2)),))
Rows = NDArray[Any]


class Own:
    """A model of its author's own, made of a function of a matrix."""

    flavor = "python_function"

    def __init__(
        self,
        native: Any,
        example: Batch | None = EXAMPLE,
        signature: Signature | None = None,
        flavor: str = "python_function",
    ) -> None:
        self.native, self.signature, self.flavor = native, signature, flavor
        self._example = example

    def input_example(self) -> Batch | None:
        return self._example

    def predict_batch(self, batch: Batch, params: dict[str, Any]) -> Prediction:
        del params
        return to_prediction(self.native(batch.arrays[0]), batch.rows, exact=False)


def answer_twice(rows: Rows) -> Rows:
    return rows * 2.0


def fail_beside_others(rows: Rows) -> Rows:
    if len(rows) > 1:
        raise ValueError("one row only")
    return rows


@pytest.mark.parametrize(
    "model",
    [
        lambda rows: rows - rows.mean(axis=0),
        lambda rows: rows / np.abs(rows).max(),
        lambda rows: np.arange(len(rows)),
        lambda rows: np.unique(rows, axis=0),
        lambda rows: rows[:, 0].sum(),
        lambda rows: rows[:, 0].argsort().argsort(),
        lambda rows: np.random.default_rng().normal(size=len(rows)),
        lambda rows: np.array(["first"] + ["later"] * (len(rows) - 1)),
        fail_beside_others,
    ],
)
@pytest.mark.parametrize("example", [EXAMPLE, sp.matrix((1.0, 2.0)), sp.matrix((0.0, 0.0))])
def test_a_model_whose_rows_depend_on_each_other_gets_each_request_alone(
    model: Callable[[Rows], Any], example: Batch
) -> None:
    merging = find_merging(Own(model, example))

    assert merging.which is Merged.NEVER
    assert merging.why


@pytest.mark.parametrize(
    "model",
    [
        answer_twice,
        lambda rows: rows @ np.array([0.1, 0.7]),
        lambda rows: (rows @ np.array([0.1, 0.7])).astype(np.float32),
        lambda rows: np.array(["even" if x % 2 == 0 else "odd" for x in rows[:, 0]]),
        lambda rows: np.where(rows > 1, np.nan, rows),
    ],
)
@pytest.mark.parametrize("example", [EXAMPLE, sp.matrix((1.0, 2.0)), sp.matrix((0.0, 0.0)), None])
def test_a_model_that_was_seen_to_go_by_rows_shares_calls(
    model: Callable[[Rows], Any], example: Batch | None
) -> None:
    assert find_merging(Own(model, example, MATRIX)).which is Merged.PLAIN


def test_without_rows_to_try_it_with_nothing_is_proved() -> None:
    assert find_merging(Own(answer_twice, None)).which is Merged.NEVER
    texts = Batch(("a",), (np.array(["x", "x"], dtype=object),), is_matrix=False)
    assert find_merging(Own(answer_twice, texts)).which is Merged.NEVER


def test_what_the_operator_says_is_not_tried() -> None:
    assert find_merging(Own(fail_beside_others), said=True).which is Merged.ALWAYS
    assert find_merging(Own(answer_twice), said=False).which is Merged.NEVER


def test_estimators_of_libraries_go_by_rows_but_not_with_a_function_inside() -> None:
    plain = make_pipeline(StandardScaler(), LinearRegression())
    own = make_pipeline(FunctionTransformer(lambda rows: rows - rows.mean()), LinearRegression())

    assert find_merging(Own(plain, None, flavor="sklearn")).which is Merged.ALWAYS
    assert find_merging(Own(own, None, flavor="sklearn")).which is Merged.NEVER
    assert find_merging(Own(None, None, flavor="xgboost")).which is Merged.ALWAYS


def test_rows_are_made_of_every_kind_of_column() -> None:
    kinds = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
    specs = tuple(ColumnSpec(kind, kind) for kind in kinds)

    made = rows_of(Signature(inputs=specs))

    assert made is not None
    assert made.names == kinds
    assert made.rows == 3
    assert several(made) is not None
    assert rows_of(None) is None
    assert rows_of(Signature(inputs=(TensorSpec("float64", (-1, 1 << 20)),))) is None


def test_a_trial_that_takes_too_long_is_called_off() -> None:
    with pytest.raises(TookTooLong), within(0.05):
        time.sleep(30.0)
