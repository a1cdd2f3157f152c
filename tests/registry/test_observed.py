from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from registry.observed import column_type, infer_signature
from registry.signature import ColumnSpec, Signature, TensorSpec
from tracking.errors import InvalidRequest

FRAME = pd.DataFrame(
    {
        "a": [1, 2],
        "b": [1.5, None],
        "c": ["x", "y"],
        "d": [True, False],
        "e": pd.to_datetime(["2020-01-01", "2020-01-02"]),
        "f": [None, "z"],
        "g": np.array([1, 2], dtype="int32"),
    }
)


def optional(type_name: str, name: str) -> ColumnSpec:
    return ColumnSpec(type_name, name, required=False)


def test_a_frame_gives_a_column_for_each_of_its_columns() -> None:
    signature = infer_signature(FRAME)

    assert signature.inputs == (
        ColumnSpec("long", name="a"),
        ColumnSpec("double", name="b", required=False),
        ColumnSpec("string", name="c"),
        ColumnSpec("boolean", name="d"),
        ColumnSpec("datetime", name="e"),
        ColumnSpec("string", name="f", required=False),
        ColumnSpec("integer", name="g"),
    )


def test_an_array_gives_a_tensor_with_a_free_first_axis() -> None:
    signature = infer_signature(np.zeros((5, 4), dtype="float32"), np.array(["a", "b"]))

    assert signature == Signature(
        inputs=(TensorSpec("float32", shape=(-1, 4)),), outputs=(TensorSpec("str", shape=(-1,)),)
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([{"a": 1}, {"b": "x"}], (optional("long", "a"), optional("string", "b"))),
        ([{"a": 1}, {"a": 1.5}], (ColumnSpec("double", "a"),)),
        ([1, 2], (ColumnSpec("long"),)),
        (["text"], (ColumnSpec("string"),)),
        ([[1.0, 2.0]], (TensorSpec("float64", (-1, 2)),)),
        ({"x": np.zeros((2, 3))}, (TensorSpec("float64", (-1, 3), "x"),)),
        ({"y": [1, 2]}, (TensorSpec("int64", (-1,), "y"),)),
        (pd.Series([1, 2], name="q"), (ColumnSpec("long", "q"),)),
        (pd.Series([1, 2]), (ColumnSpec("long"),)),
        (sparse.csr_matrix(np.eye(3)), (TensorSpec("float64", (-1, 3)),)),
        (pd.DataFrame({0: [1.0]}), (ColumnSpec("double", "0"),)),
    ],
)  # fmt: skip
def test_other_kinds_of_data_are_understood(data: Any, expected: tuple[Any, ...]) -> None:
    assert infer_signature(data).inputs == expected


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int8", "integer"), ("uint16", "integer"), ("int32", "integer"), ("uint32", "long"),
     ("int64", "long"), ("float16", "float"), ("float32", "float"), ("float64", "double"),
     ("bool", "boolean"), ("S3", "binary"), ("U3", "string"), ("datetime64[s]", "datetime")],
)  # fmt: skip
def test_each_dtype_has_its_column_type(dtype: str, expected: str) -> None:
    assert column_type(np.zeros(2, dtype=dtype)) == expected


@pytest.mark.parametrize("dtype", ["uint64", "complex128", "longdouble", "timedelta64[s]"])
def test_a_dtype_that_no_column_type_holds_is_refused(dtype: str) -> None:
    with pytest.raises(InvalidRequest, match="no column type"):
        column_type(np.zeros(2, dtype=dtype))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([{"a": 1}, {"a": "x"}], "Column 'a': it holds values of several types"),
        ([{"a": None}], "Column 'a': it holds no value"),
        ([], "can be inferred"),
        (7, "can be inferred"),
        ("text", "can be inferred"),
        ({"x": 1}, "Input 'x' has no rows"),
    ],
)
def test_data_without_a_signature_are_refused(data: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        infer_signature(data)


def test_nothing_gives_an_empty_signature() -> None:
    assert infer_signature() == Signature()
