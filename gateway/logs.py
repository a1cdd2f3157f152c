"""Logs on stderr: one JSON object a line, or a readable line when a person watches.

Set up once by the supervisor before it forks; every module logs through ``logging`` under the name
``stagedoor.<what>``. The id of the request being served is added from its context.
"""

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that the current task or thread serves."""

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(level: str, *, stream: TextIO | None = None) -> None:
    """Send everything that is logged from now on to ``stream``, or to stderr.

    Args:
        level: The least severe level to log, ``INFO``.
        stream: A terminal gets readable lines, anything else gets JSON.
    """
    stream = stream or sys.stderr
    handler = Handler(stream)
    handler.setFormatter(ReadableFormatter() if stream.isatty() else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What no line of ours tells need not be found out: a third of what a line costs.
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - as its own guide to optimization has it
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class Handler(logging.StreamHandler[TextIO]):
    """Writes to a stream; a line that cannot be written is dropped, as by a disk that is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the library's name
        """Say what is wrong with a record, but not that the stream takes none."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request id, and what was added."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for one record."""
        line = {
            "at": _time_of(record).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        } | _added_to(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encoder.encode(line).decode("utf-8", "backslashreplace")


class ReadableFormatter(logging.Formatter):
    """A line for a person: time, level, message, and what was added."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines, for one record."""
        added = "".join(f" {key}={value}" for key, value in _added_to(record).items())
        time = _time_of(record).astimezone().strftime("%H:%M:%S")
        line = f"{time} {record.levelname:<7} {record.getMessage()}{added}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _time_of(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _added_to(record: logging.LogRecord) -> dict[str, Any]:
    added = {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}
    if request := request_id.get():
        added.setdefault("request_id", request)
    return added
