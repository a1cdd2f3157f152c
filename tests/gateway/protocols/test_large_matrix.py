"""The fastest way in says the same as the slower one, or nothing."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols import mlflow_scoring
from gateway.protocols.large_matrix import LEAST_BYTES, large_matrix
from gateway.protocols.plan import plan_for
from registry.signature import ColumnSpec, Signature, TensorSpec
from tracking.errors import StagedoorError

WIDTH = 3
TENSOR = Signature(inputs=(TensorSpec("float64", (-1, WIDTH)),))
NAMES = ["a", "b [", "c"]
TABLE = Signature(inputs=tuple(ColumnSpec("double", name) for name in NAMES))
NARROW = Signature(inputs=(TensorSpec("float32", (-1, WIDTH)),))
PADDING = b" " * LEAST_BYTES

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
odd = st.none() | st.booleans() | st.text(max_size=2) | st.lists(numbers, max_size=2)
rows = st.lists(st.lists(numbers, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=4)
odd_rows = st.lists(st.lists(numbers | odd, max_size=WIDTH + 1) | odd, max_size=4)


def outcome(body: bytes, signature: Signature) -> Any:
    """Tell what a body is read as: numbers and names, or the class of the refusal."""
    try:
        batch = mlflow_scoring.decode(body, "application/json", signature).batch
    except StagedoorError as error:
        return type(error)
    # As a text, in which a missing number is itself.
    return repr((batch.names, [array.tolist() for array in batch.arrays], batch.is_matrix))


def bodies_of(data: Any) -> list[dict[str, Any]]:
    return [
        {"instances": data},
        {"inputs": data},
        {"dataframe_split": {"columns": NAMES, "data": data}},
        {"dataframe_split": {"data": data, "columns": NAMES[::-1]}},
        {"instances": data, "params": {}},
    ]


@given(rows | odd_rows, st.sampled_from([TENSOR, TABLE, NARROW]))
def test_a_large_body_is_read_as_a_small_one_is(data: Any, signature: Signature) -> None:
    for body in map(msgspec.json.encode, bodies_of(data)):
        if len(body) < LEAST_BYTES:
            assert outcome(body + PADDING, signature) == outcome(body, signature)


@pytest.mark.parametrize("name", ["instances", "inputs"])
def test_rows_of_numbers_are_read_into_one_array(name: str) -> None:
    data = np.random.default_rng(0).normal(size=(50, WIDTH))
    body = msgspec.json.encode({name: data.tolist()})

    batch = large_matrix(body, plan_for(TENSOR))

    assert batch is not None
    assert batch.is_matrix
    np.testing.assert_array_equal(batch.arrays[0], data)


def test_a_table_whose_columns_are_the_models_is_read_too() -> None:
    plain = Signature(inputs=tuple(ColumnSpec("double", name) for name in "abc"))
    body = b'{"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2.5, -0.0]]}}'

    batch = large_matrix(body, plan_for(plain))

    assert batch is not None
    assert (batch.names, batch.arrays[0].tolist()) == (("a", "b", "c"), [[1.0, 2.5, 0.0]])


DOUBTFUL = {
    "nested deeper": b'{"instances": [[[1], 2, 3]]}',
    "nested deeper, as many in all": b'{"instances": [[1, 2, 3], [[4, 5], 6]]}',
    "ragged, as many in all": b'{"instances": [[1, 2, 3, 4], [5, 6]]}',
    "ragged and nested, as many in all": b'{"instances": [[1, 2, 3], [4, 5, 6, 7], [8, 9]]}',
    "no rows": b'{"instances": []}',
    "a name twice": b'{"instances": [[1, 2, 3]], "instances": [[4, 5, 6]]}',
    "a bracket in a text": b'{"dataframe_split": {"columns": ["["], "data": [[1, 2, 3]]}}',
    "columns twice": b'{"dataframe_split": {"columns": [], "columns": [], "data": [[1, 2, 3]]}}',
    "rows that are none": b'{"instances": 5}',
    "no object": b"[[1, 2, 3]]",
    "an integer of more than 64 bits": b'{"instances": [[1, 2, 123456789012345678901]]}',
    "too large": b'{"instances": [[1, 2, 1e400]]}',
    "no number": b'{"instances": [[1, 2, NaN]]}',
    "more after it": b'{"instances": [[1, 2, 3]]} x',
    "not UTF-8": b'{"instances": [[1, 2, 3]], "\xff": 1}',
    "nothing": b"",
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_is_doubtful_is_left_to_others(case: str) -> None:
    assert large_matrix(DOUBTFUL[case], plan_for(TENSOR)) is None
