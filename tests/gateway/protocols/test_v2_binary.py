"""v2 with raw tensors: what is read, what is written, and what is refused."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from gateway.protocols.v2_binary import decode, encode
from gateway.protocols.v2_rest import decode as decode_json
from registry.route import VersionKey
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import InferRequest, Prediction
from tracking.errors import (
    InputMismatch,
    InvalidRequest,
    MalformedBody,
    StagedoorError,
    UnsupportedMedia,
)

KEY = VersionKey("iris", 7, "digest")
OCTETS = "application/octet-stream"
MIXED = Signature((ColumnSpec("double", "a"), ColumnSpec("string", "b")))
BLOBS = Signature((ColumnSpec("binary", "a"),))
MOMENTS = Signature((ColumnSpec("datetime", "a"),))
FLOATS = Signature((TensorSpec("float32", (-1, 2)),))
DATATYPES = {
    "BOOL": "bool", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
    "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "FP16": "float16", "FP32": "float32", "FP64": "float64",
}  # fmt: skip


def framed(*values: bytes) -> bytes:
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def raw(name: str, datatype: str, shape: list[int], content: bytes) -> tuple[dict[str, Any], bytes]:
    size = {"binary_data_size": len(content)}
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": size}, content


def body_of(
    *tensors: tuple[dict[str, Any], bytes], tail: bytes = b"", **more: object
) -> tuple[bytes, str]:
    head = json.dumps({"inputs": [tensor for tensor, _ in tensors], **more}).encode()
    return head + b"".join(content for _, content in tensors) + tail, str(len(head))


def read(
    *tensors: tuple[dict[str, Any], bytes], signature: Signature | None = None, **more: Any
) -> InferRequest:
    body, length = body_of(*tensors, **more)
    return decode(body, OCTETS, length, signature)


def arrays(request: InferRequest) -> list[tuple[str, list[Any]]]:
    return [(array.dtype.name, array.tolist()) for array in request.batch.arrays]


ONE = np.array([1.0, 2.0])


@pytest.mark.parametrize(("datatype", "dtype"), DATATYPES.items())
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_every_number_arrives_bit_for_bit(datatype: str, dtype: str, data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    sent: NDArray[Any] = data.draw(hnp.arrays(np.dtype(dtype).newbyteorder("<"), shape))

    request = read(raw("t", datatype, list(shape), sent.tobytes()))

    [array] = request.batch.arrays
    assert (array.dtype.name, array.shape) == (dtype, shape)
    assert array.tobytes() == sent.tobytes()
    assert array.flags.writeable
    assert array.flags.aligned


@pytest.mark.parametrize(("datatype", "dtype"), DATATYPES.items())
def test_an_answer_read_back_is_the_same_bits(datatype: str, dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)

    body, length = encode(Prediction(("y",), (array,)), InferRequest(_batch(), is_raw=True), KEY)

    assert length is not None
    [output] = json.loads(body[:length])["outputs"]
    assert (output["datatype"], output["shape"]) == (datatype, [2, 3])
    assert output["parameters"] == {"binary_data_size": array.nbytes}
    assert body[length:] == array.tobytes()


def test_half_of_a_float_is_widened() -> None:
    halves = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype("<u2")

    request = read(raw("t", "BF16", [2], halves.tobytes()))

    assert arrays(request) == [("float32", [1.5, -2.0])]


def test_text_and_bytes_and_moments_arrive() -> None:
    text = raw("b", "BYTES", [2], framed("日本".encode(), b""))

    mixed = read(raw("a", "FP64", [2], ONE.tobytes()), text, signature=MIXED)
    blob = read(raw("a", "BYTES", [1], framed(b"\xff\x00")), signature=BLOBS)
    moment = read(raw("a", "BYTES", [1], framed(b"2024-05-01")), signature=MOMENTS)

    assert arrays(mixed) == [("float64", [1.0, 2.0]), ("object", ["日本", ""])]
    assert arrays(blob) == [("object", [b"\xff\x00"])]
    assert moment.batch.arrays[0] == np.array(["2024-05-01"], "datetime64[ns]")


def test_tensors_in_json_and_raw_ones_may_be_mixed() -> None:
    in_json = {"name": "b", "datatype": "BYTES", "shape": [2], "data": ["x", "y"]}

    request = read((in_json, b""), raw("a", "FP64", [2], ONE.tobytes()), signature=MIXED, id="r")

    assert arrays(request) == [("float64", [1.0, 2.0]), ("object", ["x", "y"])]
    assert request.request_id == "r"


@pytest.mark.parametrize(
    ("signature", "content", "expected"),
    [
        (FLOATS, np.array([1, 2, 3, 4], "<f4").tobytes(), [("float32", [[1, 2], [3, 4]])]),
        (Signature((ColumnSpec("long", "a"),)), (7).to_bytes(8, "little"), [("int64", [[7]])]),
        (Signature((ColumnSpec("string", "a"),)), b"whole body", [("object", ["whole body"])]),
        (BLOBS, b"\xff\xfe", [("object", [b"\xff\xfe"])]),
    ],
)
def test_a_body_without_a_head_is_the_model_s_only_tensor(
    signature: Signature, content: bytes, expected: list[Any]
) -> None:
    request = decode(content, OCTETS, "0", signature)

    assert arrays(request) == expected
    assert request.is_raw


@pytest.mark.parametrize("signature", [None, MIXED, Signature((TensorSpec("float32", (-1, -1)),))])
def test_a_body_without_a_head_needs_a_model_with_one_input(signature: Signature | None) -> None:
    with pytest.raises(InvalidRequest, match="send a head"):
        decode(b"12345678", OCTETS, "0", signature)


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "no rows"), (b"1234567", "no whole number of rows of 2")]
)
def test_a_body_without_a_head_holds_whole_rows(content: bytes, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        decode(content, OCTETS, "0", FLOATS)


def test_the_wish_for_raw_outputs_is_read_and_reserved_parameters_stay_here() -> None:
    wanted = [{"name": "p", "parameters": {"binary_data": False}}, {"name": "q"}]
    told = {"binary_data_output": True, "timeout": 5, "sequence_id": 1, "triton_x": "y", "own": 1}

    request = read(raw("t", "FP64", [2], ONE.tobytes()), outputs=wanted, parameters=told)

    assert (request.is_raw, request.raw_by_name) == (True, {"p": False})
    assert (request.outputs, request.params) == (("p", "q"), {"own": 1})


def test_outputs_are_raw_or_json_as_each_is_wanted() -> None:
    prediction = Prediction(("p", "q"), (np.array([0.5]), np.array(["é"], object)))
    request = InferRequest(_batch(), request_id="r", is_raw=True, raw_by_name={"p": False})

    body, length = encode(prediction, request, KEY)

    assert length is not None
    head = json.loads(body[:length])
    assert body[length:] == framed("é".encode())
    assert (head["model_name"], head["model_version"], head["id"]) == ("iris", "7", "r")
    assert head["outputs"] == [
        {"name": "p", "shape": [1], "datatype": "FP64", "data": [0.5]},
        {"name": "q", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}},
    ]


def test_an_answer_without_raw_outputs_has_no_head_length() -> None:
    request = InferRequest(_batch(), raw_by_name={"y": False})

    body, length = encode(Prediction(("y",), (np.array([1]),)), request, KEY)

    assert (length, json.loads(body)["outputs"][0]["data"]) == (None, [1])


def test_numbers_that_json_has_no_word_for_go_raw() -> None:
    array = np.array([np.nan, -np.inf])

    body, length = encode(Prediction(("y",), (array,)), InferRequest(_batch(), is_raw=True), KEY)

    assert body[length:] == array.tobytes()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.array([["x", None], [None, ""]], object), "1,2"),
        (np.array(["NaT"], "datetime64[D]"), "0"),
        (np.array(["", "x"], object), None),
        (np.array(["", "x"]), None),
        (np.array([np.nan]), None),
    ],
)
def test_a_text_that_is_missing_goes_raw_as_an_empty_one_and_is_named(
    array: Any, told: str | None
) -> None:
    prediction = Prediction(("y",), (array,))

    body, length = encode(prediction, InferRequest(_batch(), is_raw=True), KEY)

    [output] = json.loads(body[:length])["outputs"]
    assert output["parameters"].pop("missing", None) == told
    assert output["parameters"] == {"binary_data_size": len(body[length:])}
    if array.shape == (2, 2):
        assert body[length:] == b"\x01\x00\x00\x00x" + bytes(12)


@pytest.mark.parametrize("length", ["", "x", "-1", "1.5", "9" * 30, "٣", "100000"])
def test_a_head_length_that_is_none_is_refused(length: str) -> None:
    body, _ = body_of(raw("t", "FP64", [2], ONE.tobytes()))

    with pytest.raises(MalformedBody, match="Inference-Header-Content-Length"):
        decode(body, OCTETS, length, None)


@pytest.mark.parametrize(
    ("tensor", "tail", "kind", "sentence"),
    [
        (raw("t", "FP64", [2], ONE.tobytes()), b"x", MalformedBody, "add up to 16 bytes, but 17"),
        (raw("t", "FP64", [3], ONE.tobytes()), b"", InvalidRequest, "3 values of FP64 are not 16"),
        (raw("t", "FP64", [-1, 2], ONE.tobytes()), b"", InvalidRequest, "none negative"),
        (raw("t", "FP64", [], ONE.tobytes()), b"", InvalidRequest, "1 to 8 axes"),
        (raw("t", "FP64", [0], b""), b"", InputMismatch, "no rows"),
        (raw("t", "FP65", [2], ONE.tobytes()), b"", InvalidRequest, "'FP65' is no datatype"),
        (raw("t", "BOOL", [2], b"\x01\x02"), b"", MalformedBody, "neither 0 nor 1"),
        (raw("t", "BYTES", [1], b"\x05\x00\x00\x00abc"), b"", MalformedBody, "1 elements of BYTES"),
        (raw("t", "BYTES", [2], framed(b"a")), b"", MalformedBody, "2 elements of BYTES"),
        (raw("t", "BYTES", [1], framed(b"a", b"b")), b"", MalformedBody, "1 elements of BYTES"),
        (raw("t", "BYTES", [1], framed(b"\xff")), b"", MalformedBody, "not UTF-8"),
        (raw("t", "BYTES", [1], framed(b"\x00")), b"", MalformedBody, "NUL"),
        (({"name": "t", "datatype": "FP64", "shape": [1]}, b""), b"", MalformedBody, "either"),
        (
            (
                {
                    "name": "t",
                    "datatype": "FP64",
                    "shape": [1],
                    "parameters": {"binary_data_size": True},
                },
                b"",
            ),
            b"",
            MalformedBody,
            "not a number of bytes",
        ),
        (
            (
                {
                    "name": "t",
                    "datatype": "FP64",
                    "shape": [1],
                    "parameters": {"shared_memory_region": "r", "binary_data_size": 0},
                },
                b"",
            ),
            b"",
            InvalidRequest,
            "'shared_memory_region' is not served here",
        ),
    ],
)
def test_raw_tensors_that_do_not_add_up_are_told_why(
    tensor: tuple[dict[str, Any], bytes], tail: bytes, kind: type[Exception], sentence: str
) -> None:
    body, length = body_of(tensor, tail=tail)

    with pytest.raises(kind) as refusal:
        decode(body, OCTETS, length, None)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "outputs",
    [
        [{"name": "p", "parameters": {"binary_data": 1}}],
        [{"name": "p", "parameters": {"classification": 3}}],
    ],
)
def test_wishes_for_outputs_that_are_not_served_are_refused(outputs: list[Any]) -> None:
    with pytest.raises(InvalidRequest, match=r"'(binary_data|classification)'"):
        read(raw("t", "FP64", [2], ONE.tobytes()), outputs=outputs)


def test_other_content_types_are_refused() -> None:
    body, length = body_of(raw("t", "FP64", [2], ONE.tobytes()))

    with pytest.raises(UnsupportedMedia):
        decode(body, "text/csv", length, None)


@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e9, 1e9))
)
@settings(max_examples=50, deadline=None)
def test_json_and_raw_bytes_say_the_same(sent: NDArray[np.float64]) -> None:
    in_json = {"name": "t", "datatype": "FP64", "shape": list(sent.shape)}
    body = json.dumps({"inputs": [in_json | {"data": sent.ravel().tolist()}]}).encode()

    [written] = decode_json(body, "application/json", None).batch.arrays
    [packed] = read(raw("t", "FP64", list(sent.shape), sent.tobytes())).batch.arrays

    assert written.tobytes() == packed.tobytes()


@given(
    cut=st.integers(0, 200),
    length=st.integers(0, 250),
    noise=st.binary(max_size=12),
    datatype=st.sampled_from([*DATATYPES, "BYTES", "BF16", "?"]),
    shape=st.lists(st.integers(-1, 2**70), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_no_body_is_an_error_of_ours(
    cut: int, length: int, noise: bytes, datatype: str, shape: list[int]
) -> None:
    body, told = body_of(raw("t", datatype, shape, noise))

    for tried in (body, body[:cut] + noise + body[cut:]):
        for size in (told, str(length), "0"):
            for signature in (None, MIXED, FLOATS, BLOBS):
                with suppress(StagedoorError):
                    decode(tried, OCTETS, size, signature)


def _batch() -> Any:
    return read(raw("t", "FP64", [2], ONE.tobytes())).batch
