"""TensorFlow Serving's bodies: rows and columns in, predictions and outputs out."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.v1_rest import decode, encode
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch, InferRequest, Prediction
from tracking.errors import InvalidRequest, StagedoorError

JSON = "application/json"
DOUBLES = Signature((ColumnSpec("double", "a"), ColumnSpec("double", "b")))
BLOB = Signature((ColumnSpec("binary", "a"),))
PAIR = Signature((TensorSpec("float64", (-1, 2), "x"), TensorSpec("int64", (-1,), "y")))
ROWS = [[1.0, 2.5], [3.0, 4.0]]
ONE = Prediction(("output",), (np.array([[1, 2], [3, 4]]),))
TWO = Prediction(("p", "q"), (np.array([0.5, np.nan]), np.array(["x", "y"], object)))
FRAME = Prediction(("p",), (np.array([1, 2]),), is_table=True)


def read(body: object, signature: Signature | None = DOUBLES) -> InferRequest:
    return decode(json.dumps(body).encode(), JSON, signature)


@pytest.mark.parametrize(
    ("body", "is_columnar"),
    [
        ({"instances": ROWS}, False),
        ({"instances": [{"a": 1, "b": 2.5}, {"b": 4, "a": 3}]}, False),
        ({"inputs": ROWS}, True),
        ({"inputs": {"a": [1, 3], "b": [2.5, 4]}, "signature_name": "serving_default"}, True),
    ],
)
def test_rows_and_columns_are_the_same_matrix(body: object, *, is_columnar: bool) -> None:
    request = read(body)

    assert request.batch.arrays[0].tolist() == ROWS
    assert request.is_columnar is is_columnar


def test_params_go_to_the_model_but_for_the_sticky_key() -> None:
    request = read({"instances": [[1, 2]], "params": {"factor": 2, "routing_key": "k"}})

    assert (request.params, request.routing_key) == ({"factor": 2}, "k")


def test_named_tensors_go_by_row_and_by_column() -> None:
    by_row = read({"instances": [{"x": [1, 2], "y": 5}]}, PAIR)
    by_column = read({"inputs": {"x": [[1, 2]], "y": [5]}}, PAIR)

    expected = [[[1, 2]], [5]]
    assert [array.tolist() for array in by_row.batch.arrays] == expected
    assert [array.tolist() for array in by_column.batch.arrays] == expected


def test_bytes_come_in_their_own_wrapping() -> None:
    request = read({"instances": [{"a": {"b64": "AAE="}}]}, BLOB)

    assert request.batch.arrays[0].tolist() == [b"\x00\x01"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "The body has neither"),
        ([], "not a JSON object"),
        ({"instances": ROWS, "inputs": ROWS}, "instances and inputs"),
        ({"instances": ROWS, "signature_name": "other"}, "one signature"),
        ({"instances": [{"a": {"b64": "AAE="}, "b": 1}]}, "is for inputs of bytes"),
        ({"instances": [[1]]}, "expected 2 values, got 1"),
    ],
)
def test_what_is_no_predict_request_is_told_so(body: object, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(body)

    assert sentence in refusal.value.message


@pytest.mark.parametrize(
    ("prediction", "rows", "columns"),
    [
        (ONE, [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (TWO, [{"p": 0.5, "q": "x"}, {"p": None, "q": "y"}], {"p": [0.5, None], "q": ["x", "y"]}),
        (FRAME, [{"p": 1}, {"p": 2}], {"p": [1, 2]}),
    ],
)
def test_rows_are_answered_with_rows_and_columns_with_columns(
    prediction: Prediction, rows: Any, columns: Any
) -> None:
    batch = Batch((), (np.ones((2, 1)),), is_matrix=True)

    by_row = json.loads(encode(prediction, InferRequest(batch)))
    by_column = json.loads(encode(prediction, InferRequest(batch, is_columnar=True)))

    assert by_row == {"predictions": rows}
    assert by_column == {"outputs": columns}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "x", "b64"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from(["instances", "inputs", "signature_name"]), VALUES, VALUES)
@settings(max_examples=300, deadline=None)
def test_any_body_is_decoded_or_refused(name: str, value: object, more: object) -> None:
    for body in ({name: value}, {name: value, "inputs": more}, value):
        for signature in (DOUBLES, BLOB, PAIR, None):
            with suppress(StagedoorError):
                read(body, signature)
