"""v2 over gRPC: the bytes of a request in, the bytes of an answer out."""

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.v2_grpc import decode, encode
from gateway.protocols.v2_messages import MESSAGES, message
from gateway.protocols.v2_rest import output_of
from registry.route import VersionKey
from registry.signature import ColumnSpec, Signature
from registry.tensors import InferRequest, Prediction
from tracking.errors import InputMismatch, InvalidRequest, MalformedBody, StagedoorError

KEY = VersionKey("iris", 7, "digest")
MIXED = Signature((ColumnSpec("double", "a"), ColumnSpec("string", "b")))
BLOB = Signature((ColumnSpec("binary", "a"),))


def read(*inputs: dict[str, Any], signature: Signature | None = None, **more: Any) -> InferRequest:
    return decode(request_of(*inputs, **more), None, signature)


def request_of(*inputs: dict[str, Any], **more: Any) -> bytes:
    made = message("ModelInferRequest")(model_name="iris", inputs=inputs, **more)
    body: bytes = made.SerializeToString()
    return body


def tensor(name: str, datatype: str, shape: list[int], **contents: Any) -> dict[str, Any]:
    given = {"name": name, "datatype": datatype, "shape": shape}
    return given | ({"contents": contents} if contents else {})


def arrays(request: InferRequest) -> list[tuple[str, list[Any]]]:
    return [(array.dtype.name, array.tolist()) for array in request.batch.arrays]


def answered(prediction: Prediction, *, is_raw: bool) -> Any:
    request = read(tensor("t", "FP64", [1], fp64_contents=[1.0]))
    body = encode(prediction, InferRequest(request.batch, is_raw=is_raw, request_id="r"), KEY)
    return message("ModelInferResponse").FromString(body)


@pytest.mark.parametrize(
    ("datatype", "field", "values", "dtype"),
    [
        ("BOOL", "bool_contents", [True, False], "bool"),
        ("INT8", "int_contents", [-128, 127], "int8"),
        ("INT32", "int_contents", [-(2**31), 2**31 - 1], "int32"),
        ("INT64", "int64_contents", [2**53 + 1, -(2**63)], "int64"),
        ("UINT8", "uint_contents", [0, 255], "uint8"),
        ("UINT64", "uint64_contents", [0, 2**64 - 1], "uint64"),
        ("FP32", "fp32_contents", [0.5, float("inf")], "float32"),
        ("FP64", "fp64_contents", [0.1, 1e300], "float64"),
        ("BYTES", "bytes_contents", ["é".encode(), b""], "object"),
    ],
)
def test_typed_values_arrive_exactly(
    datatype: str, field: str, values: list[Any], dtype: str
) -> None:
    request = read(tensor("t", datatype, [2], **{field: values}))

    expected = ["é", ""] if datatype == "BYTES" else values
    assert arrays(request) == [(dtype, expected)]
    assert not request.is_raw


def test_raw_tensors_arrive_in_the_order_of_the_inputs() -> None:
    raw = [b"\x01\x00\x00\x00x", np.array([1.5]).tobytes()]
    inputs = [tensor("b", "BYTES", [1]), tensor("a", "FP64", [1])]

    request = read(*inputs, signature=MIXED, raw_input_contents=raw)
    blob = read(
        tensor("a", "BYTES", [1]),
        signature=BLOB,
        raw_input_contents=[b"\x01\x00\x00\x00\xff"],
    )

    assert arrays(request) == [("float64", [1.5]), ("object", ["x"])]
    assert request.is_raw
    assert arrays(blob) == [("object", [b"\xff"])]


def test_id_outputs_and_parameters_are_read() -> None:
    parameters = {
        "own": {"int64_param": 3},
        "timeout": {"int64_param": 5},
        "routing_key": {"string_param": "u1"},
    }

    request = read(
        tensor("t", "FP64", [1], fp64_contents=[1.0]),
        id="r1",
        parameters=parameters,
        outputs=[{"name": "p"}],
    )

    assert (request.request_id, request.outputs, request.routing_key) == ("r1", ("p",), "u1")
    assert request.params == {"own": 3}


@pytest.mark.parametrize("is_raw", [True, False])
def test_an_answer_is_raw_or_typed_as_it_was_asked(*, is_raw: bool) -> None:
    prediction = Prediction(("p", "q"), (np.array([[0.5, np.nan]]), np.array(["é"], object)))

    answer = answered(prediction, is_raw=is_raw)

    assert (answer.model_name, answer.model_version, answer.id) == ("iris", "7", "r")
    assert [(o.name, o.datatype, list(o.shape)) for o in answer.outputs] == [
        ("p", "FP64", [1, 2]),
        ("q", "BYTES", [1]),
    ]
    if is_raw:
        assert answer.raw_output_contents[0] == prediction.arrays[0].tobytes()
        assert answer.raw_output_contents[1] == b"\x02\x00\x00\x00" + "é".encode()
    else:
        np.testing.assert_array_equal(answer.outputs[0].contents.fp64_contents, [0.5, np.nan])
        assert list(answer.outputs[1].contents.bytes_contents) == ["é".encode()]


def test_half_floats_are_always_answered_raw() -> None:
    answer = answered(Prediction(("p",), (np.ones(2, np.float16),)), is_raw=False)

    assert list(answer.raw_output_contents) == [np.ones(2, "<f2").tobytes()]


@pytest.mark.parametrize("is_raw", [True, False])
def test_a_text_that_is_missing_is_an_empty_one_and_is_named(*, is_raw: bool) -> None:
    text = np.array([[None, "x"], ["", None]], object)
    moments = np.array(["2024-05-01", "NaT"], "datetime64[D]")
    prediction = Prediction(("p", "q", "r"), (text, moments, np.array([""], object)))

    answer = answered(prediction, is_raw=is_raw)

    missing = [output.parameters["missing"].string_param for output in answer.outputs]
    assert missing == ["0,3", "1", ""]
    if is_raw:
        assert answer.raw_output_contents[0] == bytes(4) + b"\x01\x00\x00\x00x" + bytes(8)
    else:
        contents = [list(output.contents.bytes_contents) for output in answer.outputs]
        assert contents == [[b"", b"x", b"", b""], [b"2024-05-01", b""], [b""]]


@pytest.mark.parametrize("is_raw", [True, False])
@pytest.mark.parametrize("cells", [[{"a": 1}], [[1], [2, 3]], [1, "a"], ["a", True]])
def test_an_answer_that_is_no_tensor_is_refused_as_over_rest(
    cells: list[Any], *, is_raw: bool
) -> None:
    array = np.fromiter(cells, dtype=object, count=len(cells))

    with pytest.raises(InvalidRequest) as told:
        answered(Prediction(("p",), (array,)), is_raw=is_raw)
    with pytest.raises(InvalidRequest) as rest:
        output_of("p", array, allows_null=True)

    assert (told.value.code, told.value.message) == (rest.value.code, rest.value.message)


@pytest.mark.parametrize(
    ("parameters", "is_raw"),
    [({"p": True}, True), ({"p": False}, False), ({"p": False, "q": True}, True), ({}, False)],
)
@pytest.mark.parametrize("was_raw", [True, False])
def test_an_answer_is_raw_where_one_output_is_wanted_so(
    parameters: dict[str, bool], *, is_raw: bool, was_raw: bool
) -> None:
    """Raw and typed outputs exclude each other; who says nothing is answered as they asked."""
    outputs = [
        {"name": name, "parameters": {"binary_data": {"bool_param": parameters[name]}}}
        for name in parameters
    ]
    one = np.array([1.0])
    sent: dict[str, Any] = {"raw_input_contents": [one.tobytes()]} if was_raw else {}
    contents = {} if was_raw else {"fp64_contents": [1.0]}
    request = read(tensor("t", "FP64", [1], **contents), outputs=outputs, **sent)

    body = encode(Prediction(("p", "q"), (one, one)), request, KEY)
    answer = message("ModelInferResponse").FromString(body)

    wanted_raw = is_raw or (was_raw and not parameters)
    assert bool(answer.raw_output_contents) is wanted_raw
    assert answer.outputs[0].HasField("contents") is not wanted_raw


@pytest.mark.parametrize("cell", [[1], {"a": 1}, 1])
@pytest.mark.parametrize("is_raw", [True, False])
def test_an_answer_that_is_no_tensor_is_refused_alike_typed_and_raw(
    cell: Any, *, is_raw: bool
) -> None:
    array = np.fromiter(["x", cell], dtype=object, count=2)

    with pytest.raises(InvalidRequest, match=r"lists, objects .* /invocations"):
        answered(Prediction(("p",), (array,)), is_raw=is_raw)


@pytest.mark.parametrize(
    ("body", "kind", "sentence"),
    [
        (b"\xff", MalformedBody, "no ModelInferRequest"),
        (b"", InputMismatch, "no rows"),
        (request_of(tensor("t", "FP64", [2], fp64_contents=[1])), InvalidRequest, "Got 1 values"),
        (request_of(tensor("t", "FP64", [1])), InvalidRequest, "Got 0 values"),
        (request_of(tensor("t", "FP16", [1])), InvalidRequest, "'FP16' goes raw"),
        (request_of(tensor("t", "FP65", [1])), InvalidRequest, "no datatype"),
        (request_of(tensor("t", "FP64", [-1])), InvalidRequest, "none negative"),
        (request_of(tensor("t", "INT8", [1], int_contents=[300])), InputMismatch, "its range"),
        (
            request_of(tensor("t", "FP64", [1]), raw_input_contents=[b"", b""]),
            MalformedBody,
            "one entry for each",
        ),
        (
            request_of(
                tensor("t", "FP64", [1], fp64_contents=[1]), raw_input_contents=[b"12345678"]
            ),
            MalformedBody,
            "beside 'raw_input_contents'",
        ),
    ],
)
def test_what_is_no_inference_request_is_told_so(
    body: bytes, kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind) as refusal:
        decode(body, None, None)

    assert sentence in str(refusal.value)


@given(st.binary(max_size=80), st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_decoded_or_refused(noise: bytes, at: int) -> None:
    whole = request_of(tensor("a", "FP64", [1]), raw_input_contents=[b"12345678"])

    for body in (noise, whole[:at] + noise + whole[at:]):
        for signature in (None, MIXED, BLOB):
            with suppress(StagedoorError):
                decode(body, None, signature)


def test_every_message_can_be_made() -> None:
    assert [message(name).DESCRIPTOR.name for name in MESSAGES] == list(MESSAGES)
