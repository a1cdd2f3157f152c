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
    ],
)  # fmt: skip
def test_an_answer_becomes_named_plain_arrays(
    answer: Any, names: tuple[str, ...], values: list[Any]
) -> None:
    prediction = to_prediction(answer, rows=2)

    assert prediction.names == names
    assert [array.tolist() for array in prediction.arrays] == values
    assert prediction.is_table == isinstance(answer, pd.DataFrame)


def test_only_plain_dtypes_leave() -> None:
    prediction = to_prediction(np.array([1, 2], dtype=np.longdouble), rows=2)

    assert prediction.arrays[0].dtype == np.float64


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (np.zeros(3), "asked for 2 rows and gave 3 rows in 'output'"),
        (7, "gave a single value"),
        (np.array([object(), object()]), "values of type 'object'"),
        (np.zeros(2, dtype=complex), "dtype 'complex128'"),
        ([[1, 2], [3]], "no array"),
    ],
)
def test_what_is_no_answer_for_each_row_is_refused(answer: Any, reason: str) -> None:
    with pytest.raises(ModelFailed, match=reason):
        to_prediction(answer, rows=2)
