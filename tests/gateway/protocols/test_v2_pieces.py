"""Requests of a gRPC stream, and pieces as tensors: what goes in, and what comes out."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.v2_messages import message
from gateway.protocols.v2_pieces import (
    Wish,
    piece_body,
    read_document,
    refusal,
    response,
    wish_of,
)
from registry.route import VersionKey
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch, InferRequest
from tracking.errors import InvalidRequest, MalformedBody

KEY = VersionKey("poet", 3, "digest")
NO_ROWS = Batch((), (), is_matrix=True)
SCORE = Signature((ColumnSpec("double", "a"),), (ColumnSpec("double", "score"),))
NAMELESS = Signature((TensorSpec("float64", (-1, 1)),), (TensorSpec("float64", (-1,)),))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
EMPTY_LAST = "triton_enable_empty_final_response"


def asked(*inputs: tuple[str, str, list[int], dict[str, Any]], **parameters: Any) -> Any:
    tensors = [
        {"name": name, "datatype": datatype, "shape": shape, "contents": contents}
        for name, datatype, shape, contents in inputs
    ]
    return message("ModelInferRequest")(
        model_name="poet", id="r", inputs=tensors, parameters=parameters
    )


def text(name: str, *values: bytes) -> tuple[str, str, list[int], dict[str, Any]]:
    return name, "BYTES", [len(values), 1], {"bytes_contents": values}


def told(piece: Any, signature: Signature | None = None, **more: Any) -> dict[str, Any]:
    """Return what is read of a piece: datatype, shape and values of each tensor."""
    body = piece_body(piece, InferRequest(NO_ROWS, **more), KEY, signature)
    return {
        output.name: (output.datatype, list(output.shape), [*output.contents.ListFields()[0][1]])
        for output in message("ModelInferResponse").FromString(body).outputs
    }


@pytest.mark.parametrize(
    ("piece", "tensors"),
    [
        ("é", {"text_output": ("BYTES", [1], ["é".encode()])}),
        (b"\xff", {"output": ("BYTES", [1], [b"\xff"])}),
        (1.5, {"output": ("FP64", [1], [1.5])}),
        (True, {"output": ("BOOL", [1], [True])}),
        (-(1 << 63), {"output": ("INT64", [1], [-(1 << 63)])}),
        ((1 << 64) - 1, {"output": ("UINT64", [1], [(1 << 64) - 1])}),
        ([[1, 2], [3, 4]], {"output": ("INT64", [2, 2], [1, 2, 3, 4])}),
        ([1, 2.5], {"output": ("FP64", [2], [1.0, 2.5])}),
        (["a", "b"], {"output": ("BYTES", [2], [b"a", b"b"])}),
        ({"delta": "so", "at": 1, "why": None}, {
            "delta": ("BYTES", [1], [b"so"]),
            "at": ("INT64", [1], [1]),
        }),
        (None, {}),
        ({}, {}),
    ],
)  # fmt: skip
def test_a_piece_has_a_tensor_for_each_value(piece: Any, tensors: dict[str, Any]) -> None:
    assert told(piece) == tensors


@pytest.mark.parametrize(
    "value", [[], [[1], [2, 3]], [1, "a"], [True, 1], [{"a": 1}], {"a": [None]}, [[1], 2]]
)
def test_what_is_no_tensor_stands_there_as_json(value: Any) -> None:
    datatype, shape, [written] = told({"choices": value})["choices"]

    assert (datatype, shape, json.loads(written)) == ("BYTES", [1], value)


def test_a_number_that_was_not_finite_is_none_again() -> None:
    _, shape, values = told([1.0, None])["output"]

    assert shape == [2]
    assert values[0] == 1.0
    assert math.isnan(values[1])


@pytest.mark.parametrize(
    ("signature", "name"), [(SCORE, "score"), (NAMELESS, "output"), (None, "text_output")]
)
def test_a_piece_is_called_what_metadata_call_it(signature: Signature | None, name: str) -> None:
    assert told("so", signature) == {name: ("BYTES", [1], [b"so"])}


def test_only_what_is_wanted_of_a_piece_is_sent_and_raw_if_the_request_was() -> None:
    piece, request = {"a": 1, "b": [0.5]}, InferRequest(NO_ROWS, outputs=("b", "c"), is_raw=True)

    made = message("ModelInferResponse").FromString(piece_body(piece, request, KEY, None))

    assert [output.name for output in made.outputs] == ["b"]
    assert list(made.raw_output_contents) == [np.array([0.5]).tobytes()]


@settings(max_examples=40)
@given(PLAIN)
def test_every_piece_can_be_sent(piece: Any) -> None:
    body = piece_body(piece, InferRequest(NO_ROWS, request_id="r"), KEY, None)

    made = message("ModelStreamInferResponse").FromString(response(body, is_last=False))

    assert (made.infer_response.id, made.infer_response.model_version) == ("r", "3")
    assert not made.infer_response.parameters["triton_final_response"].bool_param


@pytest.mark.parametrize(
    ("parameters", "wish"),
    [
        ({}, Wish("r")),
        ({"stream": {"bool_param": True}}, Wish("r", is_piecewise=True)),
        ({"stream": {"string_param": "yes"}}, Wish("r")),
        ({EMPTY_LAST: {"bool_param": True}}, Wish("r", is_piecewise=True, has_empty_last=True)),
        ({EMPTY_LAST: {"bool_param": False}, "stream": {"bool_param": False}}, Wish("r")),
    ],
)
def test_pieces_are_asked_for_by_parameters(parameters: dict[str, Any], wish: Wish) -> None:
    assert wish_of(asked(**parameters)) == wish


@pytest.mark.parametrize("value", [{"string_param": "true"}, {"int64_param": 1}, {}])
def test_tritons_parameter_is_a_bool(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="is no bool"):
        wish_of(asked(**{EMPTY_LAST: value}))


def test_one_value_each_with_text_among_them_is_a_document() -> None:
    limit = ("max_tokens", "INT32", [1], {"int_contents": [5]})
    found = read_document(
        asked(
            text("text_input", "é".encode()),
            limit,
            timeout={"int64_param": 7},
            top_k={"int64_param": 2},
            stream={"bool_param": True},
        )
    )

    assert found is not None
    request, document = found
    assert document == {
        "text_input": "é",
        "max_tokens": 5,
        "parameters": {"top_k": 2, "stream": True},
    }
    assert type(document["max_tokens"]) is int
    assert (request.timeout_us, request.request_id) == (7, "r")


@pytest.mark.parametrize(
    "inputs",
    [
        (),
        (("x", "FP64", [1], {"fp64_contents": [1.0]}),),
        (text("a", b"so", b"it"),),
        (text("a", b"so"), ("x", "FP64", [2], {"fp64_contents": [1.0, 2.0]})),
    ],
)
def test_all_else_is_rows(inputs: Any) -> None:
    assert read_document(asked(*inputs)) is None


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(MalformedBody, match="not UTF-8"):
        read_document(asked(text("a", b"\xff")))


def test_a_refusal_names_its_request_and_is_the_last() -> None:
    made = message("ModelStreamInferResponse").FromString(refusal("No.", "r"))

    assert (made.error_message, made.infer_response.id) == ("No.", "r")
    assert made.infer_response.parameters["triton_final_response"].bool_param
