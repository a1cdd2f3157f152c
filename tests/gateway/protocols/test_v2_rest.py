"""Open Inference Protocol v2 over REST: requests in, answers out, refusals."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.raw_tensors import write_raw
from gateway.protocols.v2_rest import decode, encode, render_error
from registry.route import VersionKey
from registry.signature import ColumnSpec, Nested, Signature, TensorSpec
from registry.tensors import InferRequest, Prediction
from tracking.errors import (
    InputMismatch,
    InvalidRequest,
    MalformedBody,
    ModelFailed,
    TooLarge,
    UnsupportedMedia,
)

DOUBLES = Signature((ColumnSpec("double", "a"), ColumnSpec("double", "b")))
LONGS = Signature((ColumnSpec("long", "a"), ColumnSpec("long", "b")))
MIXED = Signature((ColumnSpec("double", "a"), ColumnSpec("string", "b")))
MOMENTS = Signature((ColumnSpec("datetime", "a"), ColumnSpec("binary", "b")))
OPTIONAL = Signature((ColumnSpec("double", "a"), ColumnSpec("double", "b", required=False)))
TABLE = Signature((TensorSpec("float64", (-1, 2)),))
PAIR = Signature((TensorSpec("float64", (-1, 2), "x"), TensorSpec("int64", (-1,), "y")))
SIGNATURES = [DOUBLES, LONGS, MIXED, MOMENTS, OPTIONAL, TABLE, PAIR, None]
KEY = VersionKey("iris", 7, "digest")


def tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def read(
    *inputs: dict[str, Any], signature: Signature | None = DOUBLES, **more: object
) -> InferRequest:
    body = json.dumps({"inputs": inputs, **more}).encode()
    return decode(body, "application/json", signature)


def arrays(request: InferRequest) -> list[tuple[str, list[Any]]]:
    return [(array.dtype.name, array.tolist()) for array in request.batch.arrays]


A = tensor("a", "FP64", [2], [1, 2.5])
B = tensor("b", "FP64", [2], [3, 4])


@pytest.mark.parametrize(
    "inputs",
    [
        [A, B],
        [B, A],
        [tensor("a", "FP64", [2, 1], [[1], [2.5]]), B],
        [A, tensor("b", "INT32", [2], [3, 4])],
        [A, tensor("b", "FP32", [2], [3, 4])],
        [tensor("rows", "FP64", [2, 2], [1, 3, 2.5, 4])],
        [tensor("rows", "FP64", [2, 2], [[1, 3], [2.5, 4]])],
        [tensor("rows", "FP32", [2, 2], [[1, 3], [2.5, 4]])],
    ],
)
def test_every_way_to_send_a_table_is_the_same_matrix(inputs: list[dict[str, Any]]) -> None:
    request = read(*inputs)

    assert (request.batch.names, request.batch.is_matrix) == (("a", "b"), True)
    assert arrays(request) == [("float64", [[1, 3], [2.5, 4]])]


def test_columns_of_several_types_stay_apart() -> None:
    request = read(A, tensor("b", "BYTES", [2], ["x", "y"]), signature=MIXED)

    assert (request.batch.names, request.batch.is_matrix) == (("a", "b"), False)
    assert arrays(request) == [("float64", [1, 2.5]), ("object", ["x", "y"])]


def test_moments_and_bytes_come_as_strings() -> None:
    moment = tensor("a", "BYTES", [1], ["2024-05-01T00:00:00Z"])

    request = read(moment, tensor("b", "BYTES", [1], ["AAE="]), signature=MOMENTS)

    assert request.batch.arrays[0] == np.array(["2024-05-01"], "datetime64[ns]")
    assert request.batch.arrays[1].tolist() == [b"\x00\x01"]


def test_an_optional_column_may_be_left_out() -> None:
    assert read(A, signature=OPTIONAL).batch.names == ("a",)


@pytest.mark.parametrize("name", ["input", "anything"])
def test_a_single_tensor_goes_by_any_name(name: str) -> None:
    request = read(tensor(name, "FP64", [1, 2], [1, 2]), signature=TABLE)

    assert (request.batch.names, arrays(request)) == ((), [("float64", [[1, 2]])])


def test_several_tensors_go_by_name() -> None:
    y = tensor("y", "INT64", [1], [5])

    request = read(y, tensor("x", "FP64", [1, 2], [1, 2]), signature=PAIR)

    assert request.batch.names == ("x", "y")
    assert arrays(request) == [("float64", [[1, 2]]), ("int64", [5])]


@pytest.mark.parametrize(
    ("datatype", "data", "dtype"),
    [
        ("BOOL", [True, False], "bool"),
        ("UINT8", [0, 255], "uint8"),
        ("INT8", [-128, 127], "int8"),
        ("INT64", [2**53, -(2**53)], "int64"),
        ("FP16", [0.5, 1], "float16"),
        ("FP32", [0.5, 1], "float32"),
        ("BYTES", ["x", "日本"], "object"),
    ],
)
def test_without_a_signature_the_datatype_decides(
    datatype: str, data: list[Any], dtype: str
) -> None:
    request = read(tensor("t", datatype, [2], data), signature=None)

    assert arrays(request) == [(dtype, data)]


def test_a_declared_datatype_rounds_as_it_does_on_the_wire() -> None:
    request = read(tensor("rows", "FP32", [1, 2], [0.1, 0.2]))

    assert request.batch.arrays[0].tolist() == np.array([[0.1, 0.2]], np.float32).tolist()


def test_id_outputs_and_parameters_are_kept() -> None:
    parameters = {"predict_method": "predict_proba", "routing_key": "u1", "nan_as_null": True}

    request = read(A, B, id="r1", parameters=parameters, outputs=[{"name": "p"}, {"name": "q"}])

    assert (request.request_id, request.outputs) == ("r1", ("p", "q"))
    assert (request.params, request.routing_key) == ({"predict_method": "predict_proba"}, "u1")
    assert request.allows_null


def test_a_request_may_leave_out_its_content_type() -> None:
    body = json.dumps({"inputs": [A, B]}).encode()

    assert decode(body, None, DOUBLES).batch.rows == 2


@pytest.mark.parametrize(
    ("inputs", "signature", "sentence"),
    [
        ([A], DOUBLES, "The columns do not fit: missing 'b'. Expected 'a', 'b'."),
        ([A, B, tensor("c", "FP64", [2], [1, 2])], DOUBLES, "not expected 'c'"),
        ([A, tensor("b", "FP64", [1], [1])], DOUBLES, "'b': expected 2 rows as in 'a', got 1"),
        ([A, tensor("b", "FP64", [1, 2], [1, 2])], DOUBLES, "expected shape [rows] or [rows, 1]"),
        ([A, tensor("b", "BYTES", [2], ["s", "t"])], DOUBLES, "expected FP64 (double), got BYTES"),
        ([A, tensor("b", "BOOL", [2], [True, False])], DOUBLES, "FP64 (double), got BOOL"),
        ([A, B], MIXED, "Input 'b': expected BYTES (string), got FP64"),
        ([A, B], LONGS, "Input 'a': expected INT64 (long), got FP64"),
        ([tensor("rows", "FP64", [1, 3], [1, 2, 3])], DOUBLES, "The columns do not fit"),
        ([tensor("rows", "FP64", [1, 3], [1, 2, 3])], TABLE, "expected shape [-1, 2], got shape"),
        ([tensor("x", "FP64", [1, 2], [1, 2])], PAIR, "The tensors do not fit: missing 'y'"),
        ([tensor("t", "INT8", [2], [1, 128])], None, "Tensor 't', at [1]: expected an integer"),
        ([tensor("t", "INT8", [2], [1, 1.5])], None, "got a number with a fraction"),
        ([tensor("t", "FP32", [1], [1e39])], None, "got one out of its range"),
        (
            [tensor("t", "FP64", [2], [1, None])],
            None,
            "Tensor 't', at [1]: expected a number (FP64",
        ),
        ([tensor("t", "FP64", [1], ["secret"])], None, "got a string"),
        (
            [tensor("t", "INT64", [2], [1, 2**53 + 1])],
            None,
            "'t', at [1]: expected integers up to 2^53 in",
        ),
        ([tensor("t", "FP64", [2, 2], [[1, 2], [3]])], None, "Tensor 't' is ragged"),
        ([tensor("t", "FP64", [2], [1, [2]])], None, "got an array"),
        ([tensor("t", "FP64", [0], [])], None, "no rows"),
        ([tensor("t", "FP64", [1], [1]), A], None, "'a': expected 1 rows as in 't', got 2"),
        ([], DOUBLES, "no rows"),
    ],
)
def test_tensors_that_do_not_fit_are_told_where_and_why(
    inputs: list[dict[str, Any]], signature: Signature | None, sentence: str
) -> None:
    with pytest.raises(InputMismatch) as refusal:
        read(*inputs, signature=signature)

    assert sentence in refusal.value.message
    assert "secret" not in refusal.value.message


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (tensor("t", "FP64", [3], [1, 2]), "differ in their number of values. Got 2 values."),
        (tensor("t", "FP64", [-1], [1]), "none negative"),
        (tensor("t", "FP64", [], [1]), "needs 1 to 8 axes"),
        (tensor("t", "FP64", [1] * 9, [1]), "needs 1 to 8 axes"),
        (tensor("t", "FP64", [10**30], [1]), "differ in their number of values"),
        (tensor("t", "BF16", [1], [1]), "'BF16' is no datatype that JSON carries"),
        (tensor("t", "float64", [1], [1]), "'float64' is no datatype"),
    ],
)
@pytest.mark.parametrize("signature", [DOUBLES, None])
def test_shapes_and_datatypes_that_are_none_are_refused(
    given: dict[str, Any], sentence: str, signature: Signature | None
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        read(given, signature=signature)

    assert sentence in refusal.value.message


@pytest.mark.parametrize("signature", [DOUBLES, None])
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "empty"),
        (b"[]", "The body is not an inference request: Expected `object`"),
        (b"{}", "missing required field `inputs`"),
        (b'{"inputs": [{"name": "t"}]}', "missing required field"),
        (b'{"inputs": [{"name": "t", "shape": ["x"], "datatype": "FP64", "data": [1]}]}', "`int`"),
        (b'{"inputs": [', "The body is not JSON"),
        (b'{"inputs": [], "id": 7}', "Expected `str | null`, got `int`"),
        (b'{"inputs": [], "parameters": {"a": [1]}}', "The body is not an inference request"),
        (b'{"inputs": ' + b"[" * 100 + b"]" * 100 + b"}", "64 levels"),
        (b'{"x": ' + b"[" * 99_999 + b"]" * 99_999 + b"}", "nests"),
    ],
)
def test_a_body_that_is_no_inference_request_is_told_so(
    signature: Signature | None, body: bytes, sentence: str
) -> None:
    with pytest.raises(MalformedBody) as refusal:
        decode(body, "application/json", signature)

    assert sentence in refusal.value.message


@pytest.mark.parametrize(
    "more",
    [{"parameters": {"routing_key": 7}}, {"parameters": {"a": 2**64}}],
)
def test_parameters_that_cannot_be_used_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(MalformedBody, match=r"[Pp]arameter"):
        read(A, B, **more)


def test_two_inputs_of_one_name_are_refused() -> None:
    with pytest.raises(MalformedBody, match="same name"):
        read(A, A, B)


def test_raw_tensors_without_their_header_are_told_of_it() -> None:
    given = {"name": "t", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}

    with pytest.raises(MalformedBody, match="need the header Inference-Header-Content-Length"):
        read(given)


def test_a_client_may_call_json_octets() -> None:
    body = json.dumps({"inputs": [A, B]}).encode()

    assert decode(body, "application/octet-stream", DOUBLES).batch.rows == 2
    with pytest.raises(UnsupportedMedia, match="text/csv"):
        decode(body, "text/csv", DOUBLES)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "x", "y"]),
        "shape": st.lists(st.integers(-1, 3) | SCALARS, max_size=3),
        "datatype": st.sampled_from(["FP64", "FP32", "INT64", "INT8", "BOOL", "BYTES", "BF16"]),
        "data": st.lists(SCALARS | st.lists(SCALARS, max_size=3), max_size=4),
    }
)


@settings(deadline=None)  # cores are shared
@given(inputs=st.lists(TENSORS, max_size=3), signature=st.sampled_from(SIGNATURES))
def test_any_tensors_are_decoded_or_refused(
    inputs: list[dict[str, Any]], signature: Signature | None
) -> None:
    with suppress(InvalidRequest, TooLarge, UnsupportedMedia):
        request = read(*inputs, signature=signature)

        assert request.batch.rows > 0


@settings(deadline=None)  # cores are shared
@given(body=st.binary(max_size=80), signature=st.sampled_from(SIGNATURES))
def test_any_bytes_are_decoded_or_refused(body: bytes, signature: Signature | None) -> None:
    for tried in (body, b'{"inputs": [' + body + b"]}"):
        with suppress(InvalidRequest, TooLarge, UnsupportedMedia):
            decode(tried, None, signature)


ONE = read(A, B)


def answer(prediction: Prediction, request: InferRequest = ONE) -> Any:
    return json.loads(encode(prediction, request, KEY))


def test_an_answer_names_model_version_and_each_output() -> None:
    prediction = Prediction(("p", "q"), (np.array([[0.25, 0.75]]), np.array(["setosa"], object)))

    body = answer(prediction, InferRequest(ONE.batch, request_id="r1"))

    assert body == {
        "model_name": "iris",
        "model_version": "7",
        "id": "r1",
        "outputs": [
            {"name": "p", "shape": [1, 2], "datatype": "FP64", "data": [0.25, 0.75]},
            {"name": "q", "shape": [1], "datatype": "BYTES", "data": ["setosa"]},
        ],
    }


@pytest.mark.parametrize(
    ("array", "datatype", "data"),
    [
        (np.array([1], np.int64), "INT64", [1]),
        (np.array([1], np.uint8), "UINT8", [1]),
        (np.array([True]), "BOOL", [True]),
        (np.array([0.5], np.float16), "FP16", [0.5]),
        (np.array(["x"]), "BYTES", ["x"]),
        (np.array(["2024-05-01"], "datetime64[D]"), "BYTES", ["2024-05-01"]),
    ],
)
def test_each_dtype_is_answered_as_its_datatype(array: Any, datatype: str, data: list[Any]) -> None:
    output = answer(Prediction(("output",), (array,)))["outputs"][0]

    assert (output["datatype"], output["data"]) == (datatype, data)


def test_large_finite_numbers_are_no_infinity() -> None:
    body = answer(Prediction(("p",), (np.array([1e308, 1e308]),)))

    assert body["outputs"][0]["data"] == [1e308, 1e308]


def test_only_the_outputs_asked_for_are_answered_in_that_order() -> None:
    prediction = Prediction(("p", "q", "r"), (np.array([1]), np.array([2]), np.array([3])))

    body = answer(prediction, InferRequest(ONE.batch, outputs=("r", "p")))

    assert [output["name"] for output in body["outputs"]] == ["r", "p"]


def test_an_output_that_does_not_exist_is_refused() -> None:
    request = InferRequest(ONE.batch, outputs=("z",))

    with pytest.raises(InvalidRequest, match="no output 'z': it has 'p'"):
        answer(Prediction(("p",), (np.array([1]),)), request)


@pytest.mark.parametrize(
    "array",
    [np.array(["x", None], object), np.array(["2024-05-01", "NaT"], "datetime64[D]")],
)
def test_a_text_that_is_missing_is_null(array: Any) -> None:
    [output] = answer(Prediction(("p",), (array,)))["outputs"]

    assert (output["datatype"], output["data"][1]) == ("BYTES", None)


@pytest.mark.parametrize("array", [np.array([1.5, np.nan]), np.array([1.5, -np.inf])])
def test_what_json_has_no_word_for_is_null_only_when_allowed(array: Any) -> None:
    prediction = Prediction(("p",), (array,))

    body = answer(prediction, InferRequest(ONE.batch, allows_null=True))

    assert body["outputs"][0]["data"][1] is None
    with pytest.raises(InvalidRequest, match='"nan_as_null": true'):
        answer(prediction)


def test_an_answer_that_no_datatype_holds_is_the_models_fault() -> None:
    with pytest.raises(ModelFailed):
        answer(Prediction(("p",), (np.array([1j]),)))


@pytest.mark.parametrize("cells", [[{"a": 1}], [[1], [2, 3]], [1, "a"], [1, None]])
def test_an_answer_that_is_no_tensor_is_refused_with_the_way_to_it(cells: list[Any]) -> None:
    array = np.fromiter(cells, dtype=object, count=len(cells))

    with pytest.raises(InvalidRequest, match=r"lists, objects .* /invocations"):
        answer(Prediction(("p",), (array,)), InferRequest(ONE.batch, allows_null=True))
    with pytest.raises(InvalidRequest, match="Output 'p'"):
        write_raw(array, name="p")


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (503, True)])
def test_a_refusal_has_the_shape_of_the_protocol(status: int, *, retryable: bool) -> None:
    body = json.loads(render_error(status, "CODE", "No.", "r-1"))

    assert body == {"error": "No.", "code": "CODE", "request_id": "r-1", "retryable": retryable}


LISTS = Signature((ColumnSpec("array", "a", nested=Nested("array", items=Nested("long"))),))


def test_a_column_of_lists_travels_as_json_in_text() -> None:
    tensor = {"name": "a", "shape": [2], "datatype": "BYTES", "data": ["[1, 2]", "[]"]}

    request = decode(json.dumps({"inputs": [tensor]}).encode(), None, LISTS)

    assert request.batch.arrays[0].tolist() == [[1, 2], []]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (["nonsense"], "Column 'a', row 0: expected JSON of a list or an object"),
        (["[" * 200], "expected JSON of a list"),
        (['["x"]'], "Column 'a', row 0, item 0: expected a value of type long, got a string"),
    ],
)
def test_text_that_is_no_such_list_is_refused(data: list[str], sentence: str) -> None:
    tensor = {"name": "a", "shape": [1], "datatype": "BYTES", "data": data}

    with pytest.raises(InputMismatch) as refusal:
        decode(json.dumps({"inputs": [tensor]}).encode(), None, LISTS)

    assert sentence in refusal.value.message
