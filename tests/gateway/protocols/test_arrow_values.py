"""Columns of lists, structs and maps: what JSON has for them, or a refusal."""

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from gateway.protocols.arrow_values import plain_values
from tracking.errors import InvalidRequest

BERLIN = pa.timestamp("us", "Europe/Berlin")


def values_of(array: Any) -> list[Any]:
    return plain_values(pa, pa.chunked_array([array]), "c")


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([[1, 2**63 - 1], None, []], pa.list_(pa.int64()), [[1, 2**63 - 1], None, []]),
        ([[1.5, None]], pa.list_(pa.float16(), 2), [[1.5, None]]),
        ([[b"\xff"]], pa.large_list(pa.binary()), [["/w=="]]),
        ([[date(2024, 5, 1)]], pa.list_(pa.date32()), [["2024-05-01"]]),
        ([{"a": [1], "b": None}], pa.struct({"a": pa.list_(BERLIN), "b": pa.null()}),
         [{"a": ["1970-01-01 00:00:00.000001"], "b": None}]),
        ([[("x", 1.5)], []], pa.map_(pa.string(), pa.float32()), [{"x": 1.5}, {}]),
        ([[[("k", {"a": [True]})]]],
         pa.list_(pa.map_(pa.string(), pa.struct({"a": pa.list_(pa.bool_())}))),
         [[{"k": {"a": [True]}}]]),
        ([1, None], pa.uint64(), [1, None]),
    ],
)  # fmt: skip
def test_values_are_what_json_has_for_them(values: Any, kind: Any, expected: list[Any]) -> None:
    assert values_of(pa.array(values, kind)) == expected


def test_categories_within_lists_are_what_they_are() -> None:
    categories = pa.array(["x", "y", "x"]).dictionary_encode()

    assert values_of(pa.ListArray.from_arrays([0, 3], categories)) == [["x", "y", "x"]]


def deep(levels: int) -> Any:
    kind = pa.int8()
    for _ in range(levels):
        kind = pa.list_(kind)
    return pa.array([None], kind)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (deep(80), "nests deeper than 64 levels"),
        (pa.array([[1]], pa.list_(pa.duration("s"))), "'duration[s]', which no request can carry"),
        (pa.array([[("x", 1), ("x", 2)]], pa.map_(pa.string(), pa.int8())), "a key twice"),
        (pa.array([[(1, 1)]], pa.map_(pa.int8(), pa.int8())), "keys are no text"),
        (pa.array([[1 << 40]], pa.list_(pa.timestamp("s"))), "the years 1678 to 2261"),
        (
            pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]),
            "one name twice",
        ),
    ],
)
def test_what_json_has_nothing_for_is_refused(array: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        values_of(array)

    assert sentence in refusal.value.message
