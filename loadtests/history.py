"""The record of a load test: a line of JSON for every call and every promotion, in order of end.

Written in the locust process, from its one thread of greenlets; read by ``judge`` afterwards.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct


class Call(Struct, frozen=True, tag="call"):
    """One predict request and its answer. Times on one monotonic clock, seconds.

    Args:
        key: The sticky key that was sent, or empty.
        row: Index of the probe.
        started_s: Before the first byte was sent.
        ended_s: After the last byte had come.
        status: HTTP's; 0 when there was no answer.
        version: Who answered, by the header; 0 when there was none.
        variant: ``stable`` or ``candidate``, by the header.
        answer: What the body says, or none.
        fallback: Why stable answered in the candidate's place, by the header.
        why: The refusal, when it was one.
    """

    key: str
    row: int
    started_s: float
    ended_s: float
    status: int
    version: int = 0
    variant: str = ""
    answer: int | None = None
    fallback: str = ""
    why: str = ""


class Promotion(Struct, frozen=True, tag="promotion"):
    """One promotion that waited for every worker.

    Args:
        version: Which version was promoted.
        asked_s: When it was asked for.
        active_s: When it returned.
        status: HTTP's.
        why: The refusal, when it was one.
    """

    version: int
    asked_s: float
    active_s: float
    status: int
    why: str = ""


Entry = Call | Promotion


class History:
    """Appends entries to a file. One thread only."""

    def __init__(self, path: Path) -> None:
        self._sink = path.open("wb")

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        self._sink.write(msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        """Write out what is left."""
        self._sink.close()


def read_history(lines: Iterable[bytes]) -> list[Entry]:
    """Read entries from the lines of a history."""
    decoder = msgspec.json.Decoder(Entry)
    return [decoder.decode(line) for line in lines if line.strip()]
