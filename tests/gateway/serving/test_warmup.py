from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.serving.states import State
from gateway.serving.warmup import Warmed, check_answer, check_example, warm_up
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch, Prediction
from tests.gateway.serving import specimens as sp
from tracking.errors import InputMismatch

NUMBERS = np.array([1.0, 2.0])
TEXTS = np.array(["a", "b"], dtype=object)


class Counting:
    """Answers its example with itself."""

    signature: Signature | None = None
    flavor = "python_function"

    def __init__(self, example: Batch | None) -> None:
        self._example = example
        self.calls = 0

    def input_example(self) -> Batch | None:
        return self._example

    def predict_batch(self, batch: Batch, params: dict[str, Any]) -> Prediction:
        del params
        self.calls += 1
        return Prediction(("output",), batch.arrays)


class Broken(Counting):
    """Ends its process over rows that nobody sent."""

    def predict_batch(self, batch: Batch, params: dict[str, Any]) -> Prediction:
        super().predict_batch(batch, params)
        raise SystemExit(3)


def test_the_example_is_answered_as_often_as_asked() -> None:
    model, states = Counting(sp.matrix((1.0,))), list[State]()

    made = warm_up(model, calls=20, enter=states.append)

    assert (made.calls, made.rows, model.calls) == (20, 1, 20)
    assert 0.0 < made.call_s < 5.0
    assert states == [State.WARMING, State.TESTING]


def test_a_model_without_an_example_is_not_warmed() -> None:
    model, states = Counting(None), list[State]()

    assert (warm_up(model, calls=20, enter=states.append), states) == (Warmed(), [])


def test_without_an_example_a_row_of_the_signature_is_tried_and_may_fail() -> None:
    model, broken = Counting(None), Broken(None)
    model.signature = broken.signature = Signature(inputs=(ColumnSpec("double", "a"),))

    for one in (model, broken):
        assert warm_up(one, calls=20, enter=list[State]().append) == Warmed()

    assert (model.calls, broken.calls) == (1, 1)


@pytest.mark.parametrize(
    ("outputs", "arrays"),
    [
        ((), (NUMBERS,)),
        ((TensorSpec("int64", (-1,)),), (NUMBERS,)),
        ((TensorSpec("float64", (-1, 3)),), (np.zeros((2, 3)),)),
        ((TensorSpec("float64", (-1, -1)),), (np.zeros((2, 3)),)),
        ((TensorSpec("object", (-1,)),), (TEXTS,)),
        ((ColumnSpec("long"),), (NUMBERS,)),
        ((ColumnSpec("string", "a"), ColumnSpec("double", "b")), (TEXTS, NUMBERS)),
        ((ColumnSpec("double", "a"), ColumnSpec("double", "b")), (np.zeros((2, 2)),)),
    ],
)
def test_an_answer_as_promised_passes(
    outputs: tuple[ColumnSpec | TensorSpec, ...], arrays: tuple[NDArray[Any], ...]
) -> None:
    names = tuple(map(str, range(len(arrays))))

    check_answer(Prediction(names, arrays), Signature(outputs=outputs))


@pytest.mark.parametrize(
    ("outputs", "arrays"),
    [
        ((TensorSpec("float64", (-1, 3)),), (NUMBERS,)),
        ((ColumnSpec("double"),), (np.zeros((2, 2)),)),
        ((ColumnSpec("double"),), (TEXTS,)),
        ((TensorSpec("str", (-1,)),), (NUMBERS,)),
    ],
)
def test_an_answer_of_another_width_or_kind_is_refused(
    outputs: tuple[ColumnSpec | TensorSpec, ...], arrays: tuple[NDArray[Any], ...]
) -> None:
    names = tuple(map(str, range(len(arrays))))

    with pytest.raises(InputMismatch):
        check_answer(Prediction(names, arrays), Signature(outputs=outputs))


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c")])
def test_an_example_with_other_columns_than_the_signature_is_refused(
    names: tuple[str, ...],
) -> None:
    signature = Signature(inputs=(ColumnSpec("double", "a"), ColumnSpec("double", "b")))
    example = Batch(names, (NUMBERS,) * len(names), is_matrix=False)

    with pytest.raises(InputMismatch, match="in only one of the two"):
        check_example(example, signature)


def test_an_example_may_lack_what_is_not_required() -> None:
    optional = ColumnSpec("double", "b", required=False)
    signature = Signature(inputs=(ColumnSpec("double", "a"), optional))

    check_example(Batch(("a",), (NUMBERS,), is_matrix=False), signature)
