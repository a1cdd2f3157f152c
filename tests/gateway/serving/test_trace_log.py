"""How often, and as what, a model's failures are logged."""

import itertools

import msgspec
import pytest

from gateway.logs import JsonFormatter
from gateway.serving.messages import Failed
from gateway.serving.trace_log import AT_ONCE, EVERY_S, TraceLog
from gateway.serving.traces import MAX_CHARACTERS
from registry.route import VersionKey

FAILED = Failed(1, "MODEL_FAILED", "The model raised.", "line 3, in f\nValueError")


class Clock:
    """A clock that somebody sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> TraceLog:
    return TraceLog(lambda: VersionKey("iris", 3, "0" * 64), clock)


def test_a_failure_is_one_line_of_json_that_names_its_request(
    log: TraceLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.note(["r-1"], FAILED)

    (record,) = caplog.records
    line = msgspec.json.decode(JsonFormatter().format(record))
    assert {name: line[name] for name in ("level", "request_id", "model", "version", "trace")} == {
        "level": "ERROR",
        "request_id": "r-1",
        "model": "iris",
        "version": 3,
        "trace": FAILED.trace,
    }
    assert line["message"] == "'iris' version 3 failed: The model raised."


def test_a_model_that_always_fails_fills_no_log(
    log: TraceLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred requests a second, for a hundred seconds."""
    for number in range(10_000):
        clock.now_s = number / 100
        log.note([str(number)], FAILED)

    told = [vars(record)["not_logged"] for record in caplog.records]
    assert len(told) == AT_ONCE + int(100 / EVERY_S) - 1
    assert told[:AT_ONCE] == [0] * AT_ONCE
    ids = [int(vars(record)["request_id"]) for record in caplog.records]
    between = [after - before - 1 for before, after in itertools.pairwise(ids)]
    assert told[1:] == between


def test_what_a_hostile_process_says_is_cut_short(
    log: TraceLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.note(["r-1"], msgspec.structs.replace(FAILED, reason="a\nb", trace="\x1b" * 1_000_000))

    (record,) = caplog.records
    assert len(vars(record)["trace"]) <= MAX_CHARACTERS
    assert "\x1b" not in record.getMessage() + vars(record)["trace"]


@pytest.mark.parametrize(
    ("ids", "trace"), [(["r-1", "r-2"], FAILED.trace), (["r-1"], "")], ids=["several", "refused"]
)
def test_a_request_that_may_be_good_or_was_wrong_is_not_logged(
    ids: list[str], trace: str, log: TraceLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.note(ids, msgspec.structs.replace(FAILED, trace=trace))

    assert caplog.records == []
