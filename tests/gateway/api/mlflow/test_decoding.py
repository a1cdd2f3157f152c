"""How a body becomes a struct, by MLflow's rules."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.mlflow.decoding import check_content_type, decode
from tracking.errors import InvalidRequest, MalformedBody, StagedoorError
from tracking.wire import CreateExperiment, CreateRun, LogBatch, LogMetric, SearchRuns, UpdateRun


def test_whole_numbers_may_come_as_texts() -> None:
    found = decode(b'{"key":"a","value":1,"timestamp":"1700","step":"-2"}', LogMetric)

    assert (found.timestamp, found.step) == (1700, -2)


def test_bare_nan_and_infinity_are_numbers() -> None:
    nan = decode(b'{"key":"a","value":NaN,"timestamp":1}', LogMetric).value
    infinity = decode(b'{"key":"a","value":-Infinity,"timestamp":1}', LogMetric).value

    assert isinstance(nan, float)
    assert math.isnan(nan)
    assert infinity == -math.inf


def test_a_text_that_holds_json_is_read_again() -> None:
    assert decode(b'"{\\"name\\": \\"a\\"}"', CreateExperiment) == CreateExperiment(name="a")


def test_null_unknown_fields_and_unknown_names_count_as_unset() -> None:
    run = decode(b'{"run_id":"a","status":"NONSENSE","end_time":null,"x":{"y":1}}', UpdateRun)
    search = decode(b'{"run_view_type":"NONSENSE"}', SearchRuns)
    tags = decode(b'{"name":"a","tags":null}', CreateExperiment).tags

    assert run == UpdateRun(run_id="a")
    assert search == SearchRuns()
    assert tags == []


def test_a_known_name_of_an_enum_is_kept() -> None:
    assert decode(b'{"run_id":"a","status":"FAILED"}', UpdateRun).status == "FAILED"


def test_an_empty_body_is_an_empty_object() -> None:
    assert decode(b"", SearchRuns) == SearchRuns()


@pytest.mark.parametrize(
    ("body", "target", "message"),
    [
        (b"{}", CreateExperiment, "Missing value for required parameter 'name'"),
        (
            b'{"run_id":"a","metrics":[{"key":"a","value":1}]}',
            LogBatch,
            "Missing value for required parameter 'metrics[0].timestamp'",
        ),
        (b'{"name":5}', CreateExperiment, "Invalid value 5 for parameter 'name' supplied"),
        (
            b'{"name":"a","tags":[{"key":["x"]}]}',
            CreateExperiment,
            "Invalid value [\"x\"] for parameter 'tags[0].key' supplied",
        ),
        (b'{"experiment_id":1}', CreateRun, "Invalid value 1 for parameter 'experiment_id'"),
        (
            b'{"key":"a","value":true,"timestamp":1}',
            LogMetric,
            "Invalid value true for parameter 'value'",
        ),
        (
            b'{"key":"a","value":1,"timestamp":"soon"}',
            LogMetric,
            "Invalid value \"soon\" for parameter 'timestamp'",
        ),
        (b'{"name":"a","tags":{}}', CreateExperiment, "Invalid value {} for parameter 'tags'"),
    ],
)
def test_what_does_not_fit_is_told_in_the_words_of_the_field(
    body: bytes, target: type, message: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode(body, target)

    assert refusal.value.message.startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"5",
        b"null",
        b'"x"',
        b'"[1]"',
        b"\xff",
        b'{"name":"a"}x',
        b"[" * 100_000,
        b'{"tags":' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"name":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_object_of_json_is_refused(body: bytes) -> None:
    with pytest.raises((MalformedBody, InvalidRequest)):
        decode(body, CreateExperiment)


@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[]":,0nultrefasNI\\ud8', max_size=40).map(str.encode)
)
def test_no_body_raises_anything_but_ours(body: bytes) -> None:
    for target in (CreateExperiment, LogBatch):
        try:
            decode(body, target)
        except StagedoorError as refusal:
            assert refusal.code in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}  # noqa: PT017


@pytest.mark.parametrize("told", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken(told: str) -> None:
    check_content_type(told)


@pytest.mark.parametrize("told", [None, "", "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused(told: str | None) -> None:
    with pytest.raises(InvalidRequest, match="Content-Type must be 'application/json'"):
        check_content_type(told)


def test_an_enum_knows_only_its_own_names() -> None:
    assert decode(b'{"run_id":"a","status":"LOGGED_MODEL_READY"}', UpdateRun).status is None


@pytest.mark.parametrize(
    "text", ["\\u0000x", "\\ud800", "x\\udfff", "\\ud83d\\ud83d", "é\\u0000", "\\\\\\u0000"]
)
@pytest.mark.parametrize(
    ("body", "target"),
    [
        ('{"name":"TEXT"}', CreateExperiment),
        ('{"name":"a","tags":[{"key":"b","value":"TEXT"}]}', CreateExperiment),
        ('{"filter":"tags.a = \'TEXT\'"}', SearchRuns),
        ('{"run_id":"a","end_time":"TEXT"}', UpdateRun),
        ('{"key":"a","value":1,"timestamp":"TEXT"}', LogMetric),
        ('{"key":"a","value":NaN,"timestamp":1,"run_id":"TEXT"}', LogMetric),
    ],
)
def test_a_text_that_not_every_database_keeps_is_refused(
    body: str, target: type[Any], text: str
) -> None:
    with pytest.raises(InvalidRequest, match="NUL character or half of a surrogate pair"):
        decode(body.replace("TEXT", text).encode(), target)


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert decode(b'{"name":"a\\\\u0000"}', CreateExperiment).name == r"a\u0000"


@pytest.mark.parametrize(
    ("body", "target"),
    [(b'{"run_id":"a","metrics":[null]}', LogBatch), (b'{"experiment_ids":[null]}', SearchRuns)],
)
def test_null_is_no_entry_of_a_list(body: bytes, target: type[Any]) -> None:
    with pytest.raises(InvalidRequest, match="Invalid value null"):
        decode(body, target)
