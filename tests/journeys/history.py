"""The judge of a story: a history of calls and answers, and everything in it that is wrong. Pure.

Every call that was made is in the history, failed or not. Who promoted what is told beside it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

_OK = 200


class Answered(Struct, frozen=True):
    """One call and what became of it. Times in seconds of one clock.

    Args:
        probe: The row that was asked for.
        key: The sticky key, or empty.
        begun_s: Just before it was sent.
        ended_s: Just after the answer was whole, or the call had failed.
        status: The HTTP status; 0 when no answer came.
        version: Which version says that it answered.
        variant: As which variant.
        worker: Whose connection it was, as far as known.
        answer: What it answered.
        error: What went wrong.
        retry_after: When to come back, in whole seconds; empty when that is not told.
    """

    probe: list[float]
    key: str
    begun_s: float
    ended_s: float
    status: int = 0
    version: int = 0
    variant: str = ""
    worker: str = ""
    answer: float | None = None
    error: str = ""
    retry_after: str = ""


class Promoted(Struct, frozen=True):
    """A promotion: when it was asked for, and when the caller heard that all workers serve it."""

    version: int
    asked_s: float
    active_s: float


def failures(history: Iterable[Answered]) -> list[Answered]:
    """Return the calls that were not answered with 200."""
    return [row for row in history if row.status != _OK]


def false_answers(
    history: Sequence[Answered], expected: Callable[[int, list[float]], float]
) -> list[str]:
    """Return what is wrong with answers: each must be the one of the version in its header.

    An empty history shows nothing, and is wrong too.
    """
    if not history:
        return ["nothing was asked"]
    return [
        f"{row.answer} to {row.probe} is not the answer of version {row.version}"
        for row in history
        if row.status == _OK and row.answer != expected(row.version, row.probe)
    ]


def out_of_turn(history: Sequence[Answered], promotions: Sequence[Promoted]) -> list[str]:
    """Return the answers by a version that could not be serving at any moment of their call.

    A version may serve from when it was asked for, until its successor is active everywhere.
    """
    spans = [(now.version, now.asked_s, after.active_s) for now, after in pairwise(promotions)]
    if promotions:
        spans.append((promotions[-1].version, promotions[-1].asked_s, float("inf")))
    return [
        f"version {row.version} answered a call of {row.begun_s:.3f} to {row.ended_s:.3f} s"
        for row in history
        if row.status == _OK
        and not any(
            version == row.version and row.ended_s >= begin and row.begun_s <= end
            for version, begin, end in spans
        )
    ]


def wanderers(history: Iterable[Answered]) -> dict[str, set[str]]:
    """Return the keys that were not always given the same variant."""
    seen: dict[str, set[str]] = {}
    for row in history:
        if row.key and row.status == _OK:
            seen.setdefault(row.key, set()).add(row.variant)
    return {key: variants for key, variants in seen.items() if len(variants) > 1}


class Written(Struct, frozen=True, tag="written"):
    """One write of a client and what became of it. Times in seconds of one clock.

    Args:
        name: What was written, unique in its history.
        begun_s: Just before it was sent.
        ended_s: Just after the answer was whole, or the call had failed.
        status: The HTTP status; 0 when no answer came.
        error: What went wrong.
    """

    name: str
    begun_s: float
    ended_s: float
    status: int = 0
    error: str = ""


class Moved(Struct, frozen=True, tag="moved"):
    """One move of a version to Production, and what became of it. Times as for ``Written``."""

    version: str
    begun_s: float
    ended_s: float
    status: int = 0


class Seen(Struct, frozen=True, tag="seen"):
    """Which versions one reader was told are in Production. Times as for ``Written``."""

    versions: list[str]
    begun_s: float
    ended_s: float


Recorded = Written | Moved | Seen


def record(path: Path, entries: Iterable[Recorded]) -> None:
    """Write a history to a file, a line each, for the judge."""
    path.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))


def recorded(path: Path) -> list[Recorded]:
    """Read a history from its file."""
    decoder = msgspec.json.Decoder(Recorded)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def lost_writes(history: Sequence[Recorded], found: Collection[str]) -> list[str]:
    """Return the writes that were acknowledged and are not found. None at all is wrong too."""
    acknowledged = [w.name for w in history if isinstance(w, Written) and w.status == _OK]
    return [name for name in acknowledged if name not in found] or (
        [] if acknowledged else ["nothing was acknowledged"]
    )


def torn_writes(found: Iterable[str]) -> list[str]:
    """Return what is found and is not whole."""
    return [name for name in found if " torn " in name]


def unanswered(history: Iterable[Recorded]) -> list[Written]:
    """Return the writes without an answer."""
    return [write for write in history if isinstance(write, Written) and not write.status]


def refused_writes(history: Iterable[Recorded]) -> list[Written]:
    """Return the writes that got another answer than 200; one without an answer is none of them."""
    writes = [write for write in history if isinstance(write, Written)]
    return [write for write in writes if write.status not in (0, _OK)]


def false_productions(history: Sequence[Recorded]) -> list[str]:
    """Return the readings that cannot be: two in Production, none any more, or one long replaced.

    A version may be seen from the beginning of its move until the end of a move that began after
    its own had ended. A move without an answer may have happened at any time after its beginning.
    """
    moves = [entry for entry in history if isinstance(entry, Moved)]
    seen = [entry for entry in history if isinstance(entry, Seen)]
    during = [s for s in seen if any(m.begun_s <= s.ended_s for m in moves)]
    if not moves or not during:
        return ["nothing was moved, or nobody looked"]
    done = sorted((move.ended_s, move.begun_s) for move in moves if move.status == _OK)
    replaced_before = list(accumulate((begun for _, begun in done), max))
    ends = [ended for ended, _ in done]
    by_version: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for move in moves:
        ended_s = move.ended_s if move.status == _OK else float("inf")
        by_version[move.version].append((move.begun_s, ended_s))
    return [
        f"{reading.versions} were in Production from {reading.begun_s:.3f} to {reading.ended_s:.3f}"
        for reading in seen
        if not _may_be(reading, by_version, _newest(replaced_before, ends, reading.begun_s))
    ]


def _newest(replaced_before: list[float], ends: list[float], at_s: float) -> float | None:
    """Return when the newest of the moves began that had ended before an instant."""
    count = bisect_left(ends, at_s)
    return replaced_before[count - 1] if count else None


def _may_be(
    reading: Seen, moves: Mapping[str, list[tuple[float, float]]], replaced_s: float | None
) -> bool:
    if not reading.versions:
        return replaced_s is None
    return len(reading.versions) == 1 and any(
        begun_s <= reading.ended_s and (replaced_s is None or ended_s >= replaced_s)
        for begun_s, ended_s in moves[reading.versions[0]]
    )
