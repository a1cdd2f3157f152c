import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from registry.answers import to_prediction
from tracking.errors import ModelFailed


@pytest.mark.parametrize(
    ("answer", "names", "values"),
    [
        (np.array([1, 2]), ("output",), [[1, 2]]),
        (np.array(["a", "b"]), ("output",), [["a", "b"]]),
        ([0.5, 1.5], ("output",), [[0.5, 1.5]]),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), ("output",), [[[1.0, 2.0], [3.0, 4.0]]]),
        (pd.Series([1, 2], name="y"), ("output",), [[1, 2]]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), ("a", "b"), [[1, 2], ["x", "y"]]),
        ({"p": [1, 2], "q": np.array([True, False])}, ("p", "q"), [[1, 2], [True, False]]),
        ([np.zeros(2), np.ones(2)], ("output_0", "output_1"), [[0, 0], [1, 1]]),
        (sparse.csr_matrix(np.eye(2)), ("output",), [[[1, 0], [0, 1]]]),
        (np.array([1, 2.5], dtype=object), ("output",), [[1, 2.5]]),
        (np.array([True, False], dtype=object), ("output",), [[True, False]]),
        (np.array(["a", None], dtype=object), ("output",), [["a", None]]),
        (np.array(["2020-01-01"] * 2, dtype="M8[D]"), ("output",), [["2020-01-01"] * 2]),
        (np.array([b"\x00", b"a\x00"], dtype=object), ("output",), [[b"\x00", b"a\x00"]]),
        ([b"a\x00", None], ("output",), [[b"a\x00", None]]),
        ([[1, "a"], [2, "b"]], ("output",), [[[1, "a"], [2, "b"]]]),
        ([1, None], ("output",), [[1, None]]),
        ([dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3)], ("output",),  # noqa: DTZ001
         [["2020-01-02", "2020-01-02T03:00:00"]]),
        ([Decimal("1.5"), Decimal(2)], ("output",), [[1.5, 2.0]]),
        ([[1, 2], [3]], ("output",), [[[1, 2], [3]]]),
        ([[{"a": 1}], [{"a": np.int64(2)}, {}]], ("output",), [[[{"a": 1}], [{"a": 2}, {}]]]),
        ([{"a": 1, "b": [1]}, {"a": 2}], ("output",), [[{"a": 1, "b": [1]}, {"a": 2}]]),
        ({"p": [[1], [2, 3]]}, ("p",), [[[1], [2, 3]]]),
        (pd.Series(["a", pd.NA], dtype="string"), ("output",), [["a", None]]),
        (pd.Series(["a", None], dtype="str"), ("output",), [["a", None]]),
        (np.array([["a", np.nan]] * 2, dtype=object), ("output",), [[["a", None]] * 2]),
        (pd.Series([pd.NaT, pd.Timestamp("2020-01-01")], dtype=object), ("output",),
         [[None, "2020-01-01T00:00:00"]]),
    ],
)  # fmt: skip
def test_an_answer_becomes_named_plain_arrays(
    answer: Any, names: tuple[str, ...], values: list[Any]
) -> None:
    prediction = to_prediction(answer, rows=2)

    assert prediction.names == names
    assert [array.tolist() for array in prediction.arrays] == values
    assert prediction.is_table == isinstance(answer, pd.DataFrame)


def test_objects_of_the_same_names_are_a_table() -> None:
    prediction = to_prediction([{"label": "a", "score": 0.5}, {"score": 1, "label": "b"}], rows=2)

    assert prediction.is_table
    assert prediction.names == ("label", "score")
    assert [array.tolist() for array in prediction.arrays] == [["a", "b"], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("answer", "names", "values"),
    [
        (None, ("output",), [[None]]),
        ("text", ("output",), [["text"]]),
        (b"\x00", ("output",), [[b"\x00"]]),
        (0.5, ("output",), [[0.5]]),
        (np.array(7), ("output",), [[7]]),
        ({"label": "a", "score": 0.5}, ("label", "score"), [["a"], [0.5]]),
        ({"choices": [{"text": "x"}], "id": 1}, ("choices", "id"), [[[{"text": "x"}]], [1]]),
        ({"embedding": [0.5, 1.5]}, ("embedding",), [[[0.5, 1.5]]]),
        ({}, ("output",), [[{}]]),
        (dt.date(2020, 1, 2), ("output",), [["2020-01-02"]]),
    ],
)
def test_the_answer_to_one_row_may_be_no_list(
    answer: Any, names: tuple[str, ...], values: list[Any]
) -> None:
    """Only then: rows of several callers go to the model together."""
    prediction = to_prediction(answer, rows=1)

    assert prediction.is_whole
    assert prediction.names == names
    assert [array.tolist() for array in prediction.arrays] == values


@pytest.mark.parametrize("answer", [[1], ["a"], {"p": [1]}, np.array([[1, 2]]), [{"a": 1}]])
def test_a_list_of_one_stays_a_list(answer: Any) -> None:
    assert not to_prediction(answer, rows=1).is_whole


def test_only_plain_dtypes_leave() -> None:
    prediction = to_prediction(np.array([1, 2], dtype=np.longdouble), rows=2)

    assert prediction.arrays[0].dtype == np.float64


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (np.zeros(3), "asked for 2 rows and gave 3 rows in 'output'"),
        (7, "gave a single value"),
        (np.array([object(), object()]), "a value of type 'object', which JSON cannot hold"),
        (None, "gave a single value"),
        ("text", "gave a single value"),
        ({"label": "a", "score": 0.5}, "gave a single value in 'label'"),
        ([{"a": 1}], "gave 1 rows in 'a'"),
        (np.zeros(2, dtype=complex), "dtype 'complex128'"),
    ],
)
def test_what_is_no_answer_for_each_row_is_refused(answer: Any, reason: str) -> None:
    with pytest.raises(ModelFailed, match=reason):
        to_prediction(answer, rows=2)
