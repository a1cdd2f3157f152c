from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.serving import batching
from registry.tensors import Batch, Prediction
from tracking.errors import InvalidRequest


def matrix(rows: int, *, width: int = 1, dtype: str = "f8") -> Batch:
    return Batch((), (np.arange(rows * width, dtype=dtype).reshape(rows, width),), is_matrix=True)


def table(**columns: list[Any]) -> Batch:
    arrays = tuple(np.array(column, dtype=object) for column in columns.values())
    return Batch(tuple(columns), arrays, is_matrix=False)


A = batching.describe(matrix(1), {})
B = batching.describe(matrix(1, width=2), {})


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ((matrix(1), {}), (matrix(5), {}), True),
        ((matrix(1), {}), (matrix(1, width=2), {}), False),
        ((matrix(1), {}), (matrix(1, dtype="f4"), {}), False),
        ((matrix(1), {}), (matrix(1), {"predict_method": "predict_proba"}), False),
        ((matrix(1), {"a": 1}), (matrix(2), {"a": 1}), True),
        ((table(x=["a"]), {}), (table(x=["b", "c"]), {}), True),
        ((table(x=["a"]), {}), (table(y=["b"]), {}), False),
    ],
)
def test_requests_go_together_only_if_all_but_their_rows_is_equal(
    one: tuple[Batch, Mapping[str, Any]], other: tuple[Batch, Mapping[str, Any]], *, together: bool
) -> None:
    assert (batching.describe(*one) == batching.describe(*other)) is together


def test_params_that_are_no_plain_data_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        batching.describe(matrix(1), {"x": object()})


@pytest.mark.parametrize(
    ("waiting", "chosen"),
    [
        ([], []),
        ([(A, 1)], [0]),
        ([(A, 99)], [0]),
        ([(A, 99), (A, 1)], [0]),
        ([(A, 4), (A, 7), (A, 6)], [0, 2]),
        ([(A, 1), (B, 1), (A, 1)], [0, 2]),
        ([(B, 1), (A, 1), (A, 1)], [0]),
        ([(A, 0), (A, 0)], [0, 1]),
    ],
)
def test_the_first_goes_with_whoever_fits(
    waiting: list[tuple[batching.Layout, int]], chosen: list[int]
) -> None:
    assert batching.choose(waiting, max_rows=10) == chosen


def test_no_more_requests_go_than_may() -> None:
    waiting = [(A, 1), (B, 1), (A, 1), (A, 1)]

    assert batching.choose(waiting, max_rows=10, max_requests=2) == [0, 2]
    assert batching.choose(waiting, max_rows=10, max_requests=1) == [0]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 30))), st.integers(1, 40))
def test_the_longest_waiting_goes_and_the_cap_holds(
    waiting: list[tuple[batching.Layout, int]], max_rows: int
) -> None:
    chosen = batching.choose(waiting, max_rows=max_rows)

    assert chosen[:1] == [0][: len(waiting)]
    assert len({waiting[position][0] for position in chosen}) <= 1
    assert len(chosen) <= 1 or sum(waiting[position][1] for position in chosen) <= max_rows


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_rows_that_were_joined_are_parted_again(rows: list[int]) -> None:
    batches = [table(x=[f"{i}.{j}" for j in range(count)]) for i, count in enumerate(rows)]

    joined = batching.join(batches)
    pieces = batching.part(Prediction(("x",), joined.arrays, is_table=True), rows)

    assert joined.rows == sum(rows)
    assert [piece.arrays[0].tolist() for piece in pieces] == [
        batch.arrays[0].tolist() for batch in batches
    ]
    assert all(piece.is_table and piece.names == ("x",) for piece in pieces)
