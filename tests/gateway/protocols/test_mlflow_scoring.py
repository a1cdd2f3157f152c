"""Bodies of MLflow scoring: what each format becomes, and what every wrong one is told."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.mlflow_scoring import decode, encode, render_error
from registry.param_specs import ParamSpec
from registry.signature import ColumnSpec, Nested, Signature, TensorSpec
from registry.tensors import DOCUMENT, Batch, InferRequest, Prediction
from tracking.errors import (
    InputMismatch,
    InvalidRequest,
    MalformedBody,
    ModelFailed,
    TooLarge,
    UnsupportedMedia,
)

JSON = "application/json"
DOUBLES = Signature((ColumnSpec("double", "a"), ColumnSpec("double", "b")))
LONGS = Signature((ColumnSpec("long", "a"), ColumnSpec("long", "b")))
FLOATS = Signature((ColumnSpec("float", "a"), ColumnSpec("float", "b")))
UNNAMED = Signature((ColumnSpec("double"), ColumnSpec("double")))
MIXED = Signature((ColumnSpec("double", "a"), ColumnSpec("string", "b")))
OPTIONAL = Signature((ColumnSpec("double", "a"), ColumnSpec("double", "b", required=False)))
TABLE = Signature((TensorSpec("float64", (-1, 2)),))
IMAGE = Signature((TensorSpec("uint8", (-1, 2, 2)),))
PAIR = Signature((TensorSpec("float64", (-1, 2), "x"), TensorSpec("int64", (-1,), "y")))
SIGNATURES = [DOUBLES, LONGS, FLOATS, UNNAMED, MIXED, OPTIONAL, TABLE, IMAGE, PAIR, None]

SPLIT = {"columns": ["a", "b"], "data": [[1, 2]]}
NESTED = Signature(
    (
        ColumnSpec("array", "a", nested=Nested("array", items=Nested("string"))),
        ColumnSpec(
            "object",
            "o",
            nested=Nested(
                "object",
                properties={
                    "x": Nested("double"),
                    "m": Nested("map", values=Nested("long"), required=False),
                },
            ),
        ),
        ColumnSpec("any", "w", required=False, nested=Nested("any")),
    )
)


CHAT = Signature(
    (
        ColumnSpec("array", "messages", nested=Nested("array", items=Nested("any"))),
        ColumnSpec("double", "top_p", required=False),
    ),
    params=(ParamSpec("temperature", "double", 1.0),),
)


def read(body: object, signature: Signature | None = DOUBLES) -> InferRequest:
    return decode(json.dumps(body).encode(), JSON, signature)


def assert_matrix(batch: Batch, names: tuple[str, ...], array: Any) -> None:
    want = np.asarray(array)
    assert batch.is_matrix
    assert batch.names == names
    assert batch.arrays[0].dtype == want.dtype
    np.testing.assert_array_equal(batch.arrays[0], want)


def assert_columns(batch: Batch, columns: dict[str, list[Any]], dtypes: list[str]) -> None:
    assert not batch.is_matrix
    assert batch.names == tuple(columns)
    assert [array.tolist() for array in batch.arrays] == list(columns.values())
    assert [array.dtype.name for array in batch.arrays] == dtypes


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [[1, 2.5], [3, 4]]},
        {"inputs": [[1, 2.5], [3, 4]]},
        {"inputs": {"a": [1, 3], "b": [2.5, 4]}},
        {"inputs": {"b": [2.5, 4], "a": [1, 3]}},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2.5], [3, 4]]}},
        {"dataframe_split": {"columns": ["b", "a"], "data": [[2.5, 1], [4, 3]]}},
        {"dataframe_split": {"index": [0, 1], "columns": ["a", "b"], "data": [[1, 2.5], [3, 4]]}},
        {"dataframe_split": {"data": [[1, 2.5], [3, 4]]}},
        {"dataframe_records": [{"a": 1, "b": 2.5}, {"b": 4, "a": 3}]},
        {"instances": [{"a": 1, "b": 2.5}, {"b": 4, "a": 3}]},
        {"instances": [[1, 2.5], [3, 4]], "signature_name": "ignored"},
    ],
)
def test_every_format_of_the_same_rows_is_the_same_matrix(body: object) -> None:
    assert_matrix(read(body).batch, ("a", "b"), [[1, 2.5], [3.0, 4.0]])


def test_inputs_by_name_that_hold_no_columns_are_one_row() -> None:
    nested = {"a": ["x", "y"], "o": {"x": 1.5}}

    assert_matrix(read({"inputs": {"a": 1, "b": 2.5}}).batch, ("a", "b"), [[1.0, 2.5]])
    one = read({"inputs": nested}, NESTED).batch
    assert [array.tolist() for array in one.arrays] == [[nested["a"]], [nested["o"]]]


def test_a_column_of_lists_is_the_tensor_of_a_model_with_one() -> None:
    batch = read({"dataframe_records": [{"any name": [1, 2]}, {"any name": [3, 4]}]}, TABLE).batch

    assert_matrix(batch, (), [[1.0, 2.0], [3.0, 4.0]])


def test_a_number_that_is_missing_in_a_list_or_map_is_nan() -> None:
    specs = {
        "a": Nested("array", items=Nested("double")),
        "m": Nested("map", values=Nested("float")),
    }
    signature = Signature(tuple(ColumnSpec(n.type, name, nested=n) for name, n in specs.items()))

    batch = read({"dataframe_records": [{"a": [1.5, None], "m": {"x": None}}]}, signature).batch

    assert [str(array.tolist()) for array in batch.arrays] == ["[[1.5, nan]]", "[{'x': nan}]"]


def test_long_columns_become_whole_numbers_also_when_written_with_a_point() -> None:
    assert_matrix(read({"instances": [[1, 2]]}, LONGS).batch, ("a", "b"), [[1, 2]])
    assert_matrix(read({"instances": [[1.0, 2]]}, LONGS).batch, ("a", "b"), [[1, 2]])


def test_float_columns_are_rounded_to_32_bits() -> None:
    want = np.array([[0.1, 2]], np.float32)

    assert_matrix(read({"instances": [[0.1, 2]]}, FLOATS).batch, ("a", "b"), want)


def test_columns_without_names_stay_a_matrix_without_names() -> None:
    named = {"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}}

    assert_matrix(read({"instances": [[1, 2]]}, UNNAMED).batch, (), [[1.0, 2.0]])
    assert_matrix(read(named, UNNAMED).batch, (), [[1.0, 2.0]])


def test_a_single_column_takes_plain_values() -> None:
    signature = Signature((ColumnSpec("double", "a"),))

    assert_matrix(read({"instances": [1, 2]}, signature).batch, ("a",), [[1.0], [2.0]])


def test_null_is_a_missing_number() -> None:
    assert_matrix(read({"instances": [[1, None]]}).batch, ("a", "b"), [[1, np.nan]])


def test_columns_of_several_types_stay_apart() -> None:
    body = {"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2.5, "b": None}]}

    batch = read(body, MIXED).batch

    assert_columns(batch, {"a": [1.0, 2.5], "b": ["x", None]}, ["float64", "object"])


@pytest.mark.parametrize(
    ("body", "names", "array"),
    [
        ({"dataframe_records": [{"a": 1}, {"a": 2}]}, ("a",), [[1.0], [2.0]]),
        ({"dataframe_records": [{"a": 1}, {"a": 2, "b": 3}]}, ("a", "b"), [[1, np.nan], [2, 3]]),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, ("a",), [[1.0]]),
        ({"instances": [[1, 2]]}, ("a", "b"), [[1.0, 2.0]]),
    ],
)
def test_an_optional_column_may_be_left_out(
    body: object, names: tuple[str, ...], array: list[Any]
) -> None:
    assert_matrix(read(body, OPTIONAL).batch, names, array)


@pytest.mark.parametrize(
    "body",
    [
        {"instances": [[1, 2]]},
        {"inputs": [[1, 2]]},
        {"inputs": {"input": [[1, 2]]}},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}},
        {"dataframe_records": [{"a": 1, "b": 2}]},
    ],
)
def test_a_tensor_of_two_axes_takes_tables_too(body: object) -> None:
    assert_matrix(read(body, TABLE).batch, (), [[1.0, 2.0]])


def test_a_tensor_of_more_axes_is_taken_as_it_is() -> None:
    pixels = [[[0, 255], [1, 2]]]

    assert_matrix(read({"instances": pixels}, IMAGE).batch, (), np.array(pixels, np.uint8))


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"x": [[1, 2], [3, 4]], "y": [5, 6]}},
        {"instances": [{"x": [1, 2], "y": 5}, {"x": [3, 4], "y": 6}]},
    ],
)
def test_several_tensors_go_by_name(body: object) -> None:
    batch = read(body, PAIR).batch

    assert_columns(batch, {"x": [[1, 2], [3, 4]], "y": [5, 6]}, ["float64", "int64"])


@pytest.mark.parametrize(
    ("body", "names", "array"),
    [
        ({"instances": [[1, 2], [3, 4]]}, (), [[1, 2], [3, 4]]),
        ({"instances": [[1, 2.5]]}, (), [[1, 2.5]]),
        ({"instances": [1, 2, 3]}, (), [1, 2, 3]),
        ({"inputs": [[[1.5]]]}, (), [[[1.5]]]),
        ({"inputs": {"p": [1, 2], "q": [3, 4]}}, ("p", "q"), [[1, 3], [2, 4]]),
        ({"dataframe_records": [{"p": 1, "q": 2.5}]}, ("p", "q"), [[1, 2.5]]),
        ({"dataframe_split": {"columns": ["p"], "data": [[1.5]]}}, ("p",), [[1.5]]),
    ],
)
def test_without_a_signature_numbers_are_a_matrix(
    body: object, names: tuple[str, ...], array: list[Any]
) -> None:
    assert_matrix(read(body, None).batch, names, array)


@pytest.mark.parametrize(
    ("body", "columns", "dtypes"),
    [
        ({"instances": [["x", 1]]}, {"0": ["x"], "1": [1]}, ["object", "int64"]),
        ({"inputs": {"p": ["x"], "q": [True]}}, {"p": ["x"], "q": [True]}, ["object", "bool"]),
        ({"dataframe_records": [{"a": {"x": 1}}]}, {"a": [{"x": 1}]}, ["object"]),
        ({"instances": [{"a": [1, 2]}, {"a": [3, 4]}]}, {"a": [[1, 2], [3, 4]]}, ["object"]),
        ({"inputs": {"p": [[1], None, "x"]}}, {"p": [[1], None, "x"]}, ["object"]),
    ],
)
def test_without_a_signature_other_values_are_columns(
    body: object, columns: dict[str, list[Any]], dtypes: list[str]
) -> None:
    assert_columns(read(body, None).batch, columns, dtypes)


@pytest.mark.parametrize("signature", [DOUBLES, MIXED])
def test_params_go_to_the_model_but_for_the_sticky_key(signature: Signature) -> None:
    record = {"a": 1, "b": "x" if signature is MIXED else 2}
    params = {"predict_method": "predict_proba", "top": [1, 2], "routing_key": "user-1"}

    request = read({"dataframe_records": [record], "params": params}, signature)

    assert request.params == {"predict_method": "predict_proba", "top": [1, 2]}
    assert request.routing_key == "user-1"


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_records": [{"c": "x", "b": 2, "a": 1}, {"a": 3, "b": 4}]},
        {"dataframe_split": {"columns": ["c", "b", "a"], "data": [["x", 2, 1], [None, 4, 3]]}},
        {"inputs": {"c": ["x", None], "b": [2, 4], "a": [1, 3]}},
        {"instances": [{"c": [], "b": 2, "a": 1}, {"b": 4, "a": 3}]},
    ],
)
@pytest.mark.parametrize("signature", [DOUBLES, OPTIONAL])
def test_columns_that_the_model_does_not_know_are_left_out(
    body: object, signature: Signature
) -> None:
    assert_matrix(read(body, signature).batch, ("a", "b"), [[1.0, 2.0], [3.0, 4.0]])


def test_a_strange_column_is_refused_while_an_optional_one_is_missing() -> None:
    """It may be that one, misspelt, and would be lost without a word."""
    with pytest.raises(InputMismatch, match="not expected 'B'"):
        read({"dataframe_records": [{"a": 1, "B": 2}]}, OPTIONAL)


@pytest.mark.parametrize("params", [{}, None])
def test_no_params_are_no_params(params: object) -> None:
    assert read({"instances": [[1, 2]], "params": params}).params == {}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"instances": [[1, 2], [3]]}, "Row 1: expected 2 values, got 1."),
        ({"instances": [[1, 2, 3]]}, "Row 0: expected 2 values, got 3."),
        ({"instances": [[1, 2], 3]}, "Row 1: expected an array of values, got an integer."),
        ({"instances": [[1, "secret"]]}, "Column 'b', row 0: expected a number (double)"),
        ({"instances": [[1, True]]}, "Column 'b', row 0: expected a number (double), got a bool"),
        ({"instances": [[1, 2], [1, [2]]]}, "Column 'b', row 1: expected a number (double), got"),
        ({"instances": []}, "The request holds no rows"),
        ({"instances": [[]]}, "Row 0: expected 2 values, got 0."),
        ({"dataframe_records": []}, "The request holds no rows"),
        ({"dataframe_records": [{}]}, "missing 'a', 'b'"),
        ({"inputs": {}}, "missing 'a', 'b'"),
        ({"inputs": {"a": [], "b": []}}, "The request holds no rows"),
        ({"dataframe_records": [{"a": 1}]}, "missing 'b'. Expected 'a', 'b'."),
        ({"dataframe_records": [{"a": 1, "c": 3}]}, "missing 'b'; not expected 'c'. Expected 'a'"),
        ({"dataframe_records": [{"a": 1, "b": 2}, {"a": 1, "c": 3}]}, "Column 'b', row 1: the val"),
        ({"dataframe_records": [{"a": 1, "B": 2}]}, "missing 'b'; not expected 'B'."),
        ({"dataframe_records": [{"a": 1, "b": 2}, {"a": 1}]}, "Column 'b', row 1: the value is"),
        ({"dataframe_records": [{"a": 1, "b": 2}, 7]}, "Row 1: expected an object, got an int"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "'a' is named twice"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "Row 0: expected 1 values"),
        ({"dataframe_split": {"columns": ["b", "a"], "data": [[1, 2], [3]]}}, "Row 1: expected 2"),
        ({"inputs": {"a": [1], "b": [1, 2]}}, "Column 'b': expected 1 rows as in 'a', got 2."),
        ({"inputs": {"a": [1], "b": 2}}, "Column 'b': expected an array, got an integer."),
        ({"instances": [[1, 2]], "params": {"routing_key": 7}}, "'routing_key' is not a string"),
    ],
)
def test_rows_that_do_not_fit_are_told_where_and_why(body: object, sentence: str) -> None:
    with pytest.raises(InputMismatch) as refusal:
        read(body)

    assert sentence in refusal.value.message
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    ("signature", "body", "sentence"),
    [
        (LONGS, {"instances": [[1, 1.5]]}, "Column 'b', row 0: expected an integer (long)"),
        (LONGS, {"instances": [[1, 2**63]]}, "got one out of its range"),
        (LONGS, {"instances": [[1, None]]}, "expected an integer (long), got null"),
        (FLOATS, {"instances": [[1, 1e39]]}, "expected a number (float), got one out of its range"),
        (MIXED, {"instances": [[1, 2]]}, "Column 'b', row 0: expected a string (string)"),
        (UNNAMED, {"instances": [[1]]}, "Row 0: expected 2 values, got 1."),
        (TABLE, {"instances": [[1, 2, 3]]}, "expected shape [-1, 2], got shape [1, 3]"),
        (TABLE, {"instances": [[1, None]]}, "Tensor 'input', at [0, 1]: expected a number"),
        (IMAGE, {"instances": [[[0, 256], [1, 2]]]}, "Tensor 'input', at [0, 0, 1]: expected an"),
        (IMAGE, {"instances": [[[0], [1, 2]]]}, "Tensor 'input' is ragged"),
        (IMAGE, {"instances": [[[]]]}, "expected values, got an empty array"),
        (IMAGE, {"instances": 7}, "'instances' is not an array"),
        (PAIR, {"instances": [[1, 2]]}, "several tensors: send an object with 'x', 'y'"),
        (PAIR, {"inputs": {"x": [[1, 2]]}}, "The tensors do not fit: missing 'y'"),
        (PAIR, {"inputs": {"x": [[1, 2]], "y": [[1]]}}, "Tensor 'y': expected shape [-1], got"),
        (None, {"instances": [[1, 2], ["x", 3]]}, "expected values of one kind"),
        (DOUBLES, {"dataframe_split": {**SPLIT, "index": [7, 8]}}, "one for each of 1 rows, got 2"),
        (DOUBLES, {"dataframe_split": {**SPLIT, "index": ["x", 8]}}, "each of 1 rows, got 2"),
        (DOUBLES, {"dataframe_split": {**SPLIT, "index": 7}}, "'index' of 'dataframe_split' is"),
        (None, {"instances": [[1, 2], [3]]}, "is ragged"),
        (None, {"instances": []}, "no rows"),
        (None, {"instances": json.loads("[" * 9 + "1" + "]" * 9)}, "at most 8 axes, got more"),
        (None, {"inputs": {}}, "no rows"),
        (PAIR, {"inputs": {"x": 1, "y": 2}}, "Column 'x': expected an array, got an integer."),
        (DOUBLES, {"messages": []}, "The body has none of them"),
        (TABLE, {"messages": []}, "The body has none of them"),
        (CHAT, {"prompt": "x"}, "The body has none of them"),
        (CHAT, {"messages": "x"}, "'messages', row 0: expected a value of type array"),
        (None, {"prompt": 2**70}, "more than 64 bits"),
        (CHAT, {"messages": [2**70]}, "integers of at most 64 bits"),
        (CHAT, {"messages": [], "temperature": 2**70}, "more than 64 bits"),
        (NESTED, {"inputs": {"a": [7], "o": [{"x": 1}]}}, "'a', row 0: expected a value of type a"),
        (NESTED, {"inputs": {"a": [None], "o": [{"x": 1}]}}, "type array, got null"),
        (NESTED, {"inputs": {"a": [["x", 1]], "o": [{"x": 1}]}}, "'a', row 0, item 1: expected a"),
        (NESTED, {"inputs": {"a": [[]], "o": [{}]}}, "'o', row 0, key 'x': the value is missing"),
        (NESTED, {"inputs": {"a": [[]], "o": [{"x": 1, "m": {"k": "v"}}]}}, "'m', key 'k': expe"),
        (NESTED, {"inputs": {"a": [[]]}}, "missing 'o'"),
    ],
)
def test_each_signature_says_what_it_expected(
    signature: Signature | None, body: object, sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(body, signature)

    assert sentence in refusal.value.message


@pytest.mark.parametrize("signature", [DOUBLES, MIXED, None])
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty"),
        (b"[[1, 2]]", "exactly one of 'dataframe_split'"),
        (b"{}", "The body has none of them"),
        (b'{"text": []}', "The body has none of them"),
        (b'{"instances": [[1, 2]], "inputs": [[1, 2]]}', "The body has instances and inputs of"),
        (b'{"instances": null}', "'instances' is not an array"),
        (b'{"dataframe_split": [[1, 2]]}', "is not an object with 'columns' and 'data'"),
        (b'{"dataframe_split": {"columns": "ab", "data": [[1, 2]]}}', "is not an array of names"),
        (b'{"instances": [[1, 2]]', "The body is not JSON"),
        (b'{"instances": [[1, NaN]]}', "The body is not JSON"),
        (b'{"instances": [[1, Infinity]]}', "The body is not JSON"),
        (b'{"instances": [[1, 1e999]]}', "holds a number that is out of range"),
        (b'{"instances": [["\\ud800", 2]]}', "The body is not JSON"),
        (b'{"instances": [[1, 2]], "params": {"a": "\\ud800"}}', "The body is not JSON"),
        (b'{"instances": [[1, 2]], "params": {"a": 1e999}}', "a number that is out of range"),
        (b'{"instances": [["\xff", 2]]}', "not UTF-8"),
        (b'{"instances": [["\\u0000", 2]]}', "NUL"),
        (b'{"instances": [[1, 2]], "params": [1]}', "'params' is not an object"),
        (b'{"instances": [[1, 2]], "params": {"a": 99999999999999999999}}', "64 bits"),
        (b'{"instances": ' + b"[" * 100 + b"]" * 100 + b"}", "deeper than 64"),
        (b'{"instances": [[1, 2]], "params": {"a": ' + b"[" * 80 + b"]" * 80 + b"}}", "deeper"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nests"),
    ],
)
def test_a_body_that_is_no_scoring_request_is_told_so(
    signature: Signature | None, body: bytes, sentence: str
) -> None:
    if signature is not DOUBLES:
        body = body.replace(b"[[1, 2]]", b'[[1, "x"]]')

    with pytest.raises(MalformedBody) as refusal:
        decode(body, JSON, signature)

    assert sentence in refusal.value.message


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=latin-1"])
def test_any_other_content_type_is_not_supported(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMedia):
        decode(b'{"instances": [[1, 2]]}', content_type, DOUBLES)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abxy"), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = st.dictionaries(
    st.sampled_from(["instances", "inputs", "dataframe_records", "dataframe_split", "params"]),
    JSON_VALUES | st.fixed_dictionaries({"columns": JSON_VALUES, "data": JSON_VALUES}),
    max_size=3,
)
REFUSALS = (InvalidRequest, TooLarge, UnsupportedMedia)


@settings(deadline=None)  # cores are shared
@given(body=BODIES, signature=st.sampled_from(SIGNATURES))
def test_any_json_is_decoded_or_refused(body: object, signature: Signature | None) -> None:
    with suppress(*REFUSALS):
        request = read(body, signature)

        assert request.batch.rows > 0


@settings(deadline=None)  # cores are shared
@given(
    body=st.binary(max_size=80), tail=st.binary(max_size=20), signature=st.sampled_from(SIGNATURES)
)
def test_any_bytes_are_decoded_or_refused(
    body: bytes, tail: bytes, signature: Signature | None
) -> None:
    for tried in (body, b'{"instances": [[1, 2' + tail + b"]]}", b'{"inputs": ' + tail + b"}"):
        with suppress(*REFUSALS):
            decode(tried, JSON, signature)


@settings(deadline=None)  # cores are shared
@given(
    rows=st.lists(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        min_size=1,
        max_size=5,
    )
)
def test_numbers_arrive_bit_by_bit_on_the_fast_way_and_the_slow(rows: list[list[float]]) -> None:
    extra = {"instances": rows}
    slow = {"inputs": {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}}

    for body in (extra, slow):
        assert read(body).batch.arrays[0].tobytes() == np.array(rows).tobytes()


def answer(
    *arrays: Any,
    names: tuple[str, ...] = ("output",),
    is_table: bool = False,
    is_whole: bool = False,
) -> Any:
    made = tuple(np.asarray(array) for array in arrays)
    prediction = Prediction(names, made, is_table, is_whole)
    return json.loads(encode(prediction, read({"instances": [[1, 2]]})))


@pytest.mark.parametrize(
    ("array", "plain"),
    [
        (np.array([1, 2]), [1, 2]),
        (np.array([[0.25, 0.75]]), [[0.25, 0.75]]),
        (np.array([0.1], np.float32), [float(np.float32(0.1))]),
        (np.array([np.nan, np.inf]), [None, None]),
        (np.array([True]), [True]),
        (np.array(["setosa"]), ["setosa"]),
        (np.array(["setosa", None], object), ["setosa", None]),
        (np.array([b"\xff\x00"], object), ["/wA="]),
        (np.array([{"a": [1, None]}, 2, "x"], object), [{"a": [1, None]}, 2, "x"]),
        (
            np.array(["2024-05-01", "NaT"], "datetime64[ns]"),
            ["2024-05-01T00:00:00.000000000", None],
        ),
    ],
)
def test_one_output_is_answered_as_it_is(array: Any, plain: list[Any]) -> None:
    assert answer(array) == {"predictions": plain}


def test_several_outputs_are_answered_by_name_and_a_table_as_records() -> None:
    arrays = (np.array([1, 2]), np.array(["x", "y"], object))

    by_name = answer(*arrays, names=("p", "q"))
    records = answer(*arrays, names=("p", "q"), is_table=True)

    assert by_name == {"predictions": {"p": [1, 2], "q": ["x", "y"]}}
    assert records == {"predictions": [{"p": 1, "q": "x"}, {"p": 2, "q": "y"}]}


def test_an_answer_that_is_no_list_is_answered_as_it_is() -> None:
    nothing = np.array([None], object)
    label, score = np.array(["a"], object), np.array([0.5])

    assert answer(nothing, is_whole=True) == {"predictions": None}
    assert answer(score, is_whole=True) == {"predictions": 0.5}
    told = answer(label, score, names=("label", "score"), is_table=True, is_whole=True)
    assert told == {"predictions": {"label": "a", "score": 0.5}}


def test_an_answer_that_json_cannot_hold_is_the_models_fault() -> None:
    with pytest.raises(ModelFailed, match="JSON cannot hold"):
        answer(np.array([1 + 2j]))


def test_a_refusal_has_the_shape_of_mlflows_scoring_server() -> None:
    body = render_error(400, "BAD_REQUEST", "No.", "r-1")

    assert json.loads(body) == {"error_code": "BAD_REQUEST", "message": "No."}


def test_columns_of_lists_and_objects_reach_the_model_as_they_came() -> None:
    record: dict[str, Any] = {
        "a": ["x", "y"],
        "o": {"x": 1, "m": {"k": 2}, "more": None},
        "w": [1, "x"],
    }

    batch = read({"dataframe_records": [record, {**record, "a": [], "w": None}]}, NESTED).batch

    columns = {"a": [record["a"], []], "o": [record["o"]] * 2, "w": [record["w"], None]}
    assert_columns(batch, columns, ["object"] * 3)


@pytest.mark.parametrize(
    "document",
    [
        {"messages": [{"role": "user", "content": "hi"}], "n": 1},
        {"prompt": "x"},
        {"input": ["x", None], "params": {"a": 1}},
    ],
)
def test_a_document_reaches_a_model_without_a_signature_as_it_came(document: Any) -> None:
    request = read(document, None)

    row = [array.tolist()[0] for array in request.batch.arrays]
    assert dict(zip(request.batch.names, row, strict=True)) == document
    assert request.params == {DOCUMENT: True}


def test_a_document_is_a_row_of_a_model_that_knows_its_key() -> None:
    request = read({"messages": [{"role": "user"}], "temperature": 0.5, "top_p": 1}, CHAT)

    assert_columns(
        request.batch, {"messages": [[{"role": "user"}]], "top_p": [1.0]}, ["object", "float64"]
    )
    assert request.params == {"temperature": 0.5}


@pytest.mark.parametrize("signature", [None, CHAT])
def test_a_document_is_answered_unwrapped(signature: Signature | None) -> None:
    request = read({"messages": []}, signature)
    said = np.fromiter([{"said": "hi"}], dtype=object, count=1)

    told = encode(Prediction(("output",), (said,), is_whole=True), request)

    assert json.loads(told) == {"said": "hi"}
