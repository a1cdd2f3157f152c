import io
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from gateway.logs import JsonFormatter, ReadableFormatter, configure, request_id


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("stagedoor.test").makeRecord(
        "stagedoor.test", logging.WARNING, "f.py", 1, message, (), None, extra=extra
    )
    made.created = 0.0
    return made


def failure() -> logging.LogRecord:
    made = record("it broke")
    try:
        int("x")
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def test_a_line_is_one_json_object_with_what_was_added() -> None:
    line = msgspec.json.decode(JsonFormatter().format(record("two\nlines", status=404)))

    assert line["at"] == "1970-01-01T00:00:00.000+00:00"
    assert (line["level"], line["message"], line["status"]) == ("WARNING", "two\nlines", 404)


def test_a_line_names_the_request_that_is_served() -> None:
    token = request_id.set("r-1")
    try:
        line = msgspec.json.decode(JsonFormatter().format(record("hello")))
    finally:
        request_id.reset(token)

    assert line["request_id"] == "r-1"


def test_an_exception_stays_in_the_line() -> None:
    line = JsonFormatter().format(failure())

    assert "\n" not in line
    assert "ValueError" in msgspec.json.decode(line)["exception"]


def test_what_cannot_be_json_is_written_as_python_shows_it() -> None:
    assert "object" in JsonFormatter().format(record("hello", thing=object()))


def test_a_person_gets_a_readable_line() -> None:
    line = ReadableFormatter().format(record("hello", status=404))

    assert line.endswith("WARNING hello status=404")
    assert "ValueError" in ReadableFormatter().format(failure())


@pytest.mark.usefixtures("restored_logging")
def test_a_stream_that_is_no_terminal_gets_json() -> None:
    stream = io.StringIO()

    configure("info", stream=stream)
    logging.getLogger("stagedoor.test").info("hello")
    logging.getLogger("stagedoor.test").debug("unheard")

    assert msgspec.json.decode(stream.getvalue())["message"] == "hello"


@pytest.mark.usefixtures("restored_logging")
def test_a_line_that_a_full_disk_refuses_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(OSError), Path("/dev/full").open("w") as full:
        configure("INFO", stream=full)
        logging.getLogger("stagedoor.test").info("x" * 100_000)

    assert capsys.readouterr().err == ""
