import json
from typing import Any

import numpy as np
import pytest

from gateway.protocols import v2_generate
from gateway.protocols.events import event, read_document, scoring_piece, wants_events
from registry.route import VersionKey
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import InferRequest, Prediction
from tracking.errors import InputMismatch, MalformedBody, ModelFailed, UnsupportedMedia

COLUMNS = Signature((ColumnSpec("string", "text"), ColumnSpec("double", "weight", required=False)))
TENSOR = Signature((TensorSpec("float64", (-1, 2), "x"),))
KEY = VersionKey("m", 3, "d")


def read(body: Any, signature: Signature | None = COLUMNS) -> InferRequest:
    return v2_generate.decode(json.dumps(body).encode(), "application/json", signature)


def test_keys_of_the_models_inputs_are_a_row_and_others_are_params() -> None:
    request = read({"id": "7", "text": "hi", "top": 5, "parameters": {"depth": 2, "timeout": 9}})

    assert (request.batch.names, request.batch.rows) == (("text",), 1)
    assert request.params == {"top": 5, "depth": 2}


def test_a_tensors_value_is_one_row_of_it() -> None:
    (array,) = read({"x": [1.0, 2.0]}, TENSOR).batch.arrays

    assert array.tolist() == [[1.0, 2.0]]


def test_without_a_signature_all_keys_are_inputs() -> None:
    assert read({"a": 1, "b": "x", "parameters": {}}, None).batch.names == ("a", "b")


def test_a_sticky_key_is_taken_out() -> None:
    request = read({"text": "hi", "parameters": {"routing_key": "u"}})

    assert (request.routing_key, request.params) == ("u", {})


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", MalformedBody),
        (b"[]", MalformedBody),
        (b'{"text": "hi", "parameters": 3}', MalformedBody),
        (b'{"text": "hi", "parameters": {"routing_key": 3}}', MalformedBody),
        (b'{"text": 5}', InputMismatch),
        (b"{}", InputMismatch),
    ],
)
def test_what_is_wrong_is_refused(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        v2_generate.decode(body, "application/json", COLUMNS)


def test_the_callers_id_is_echoed() -> None:
    request = read({"text": "x", "id": "mine"})

    prediction = Prediction(("said",), (np.array([0.5]),))
    told = json.loads(v2_generate.encode(prediction, request, KEY))

    assert told == {"model_name": "m", "model_version": "3", "id": "mine", "said": 0.5}


def test_an_answer_is_an_object_of_outputs() -> None:
    prediction = Prediction(("label", "score"), (np.array(["a"], object), np.array([[0.5, 1.0]])))

    told = json.loads(v2_generate.encode(prediction, read({"text": "x"}), KEY))

    assert told == {
        "model_name": "m", "model_version": "3", "label": "a", "score": [0.5, 1.0],
    }  # fmt: skip


def test_a_piece_that_is_no_object_gets_a_name() -> None:
    assert json.loads(v2_generate.encode_value("word", KEY))["text_output"] == "word"
    assert json.loads(scoring_piece("word")) == {"predictions": "word"}
    assert json.loads(scoring_piece({"a": 1})) == {"a": 1}


def test_an_event_is_one_line_whatever_is_in_it() -> None:
    assert event(scoring_piece({"text": "a\n\nb\r"})) == b'data: {"text":"a\\n\\nb\\r"}\n\n'


def test_a_piece_that_json_cannot_hold_is_a_failure() -> None:
    with pytest.raises(ModelFailed):
        scoring_piece({"a": object()})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"text/event-stream", True),
        (b"application/json, Text/Event-Stream;q=0.9", True),
        (b"*/*", False),
        (b"text/*", False),
        (b"application/json", False),
    ],
)
def test_events_are_wanted_by_name(accept: bytes, *, expected: bool) -> None:
    assert wants_events([(b"host", b"x"), (b"accept", accept)]) is expected
    assert not wants_events([(b"x-accept", accept)])


@pytest.mark.parametrize(
    ("body", "is_document"),
    [
        ({"messages": []}, True),
        ({"prompt": "x", "stream": True}, True),
        ({"input": "x"}, True),
        ({"inputs": [[1]]}, False),
        ({"prompt": "x", "instances": [1]}, False),
        ({"rows": 1}, False),
    ],
)
def test_a_document_is_told_from_rows(body: Any, *, is_document: bool) -> None:
    found = read_document(json.dumps(body).encode(), "application/json")

    assert found == (body if is_document else None)


def test_a_document_is_json() -> None:
    assert read_document(b"prompt\nx\n", "text/csv") is None
    with pytest.raises(UnsupportedMedia):
        read_document(b"{}", "text/plain")
