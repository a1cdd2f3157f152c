"""The judge of a story: a history of calls and answers, and everything in it that is wrong. Pure.

Every call that was made is in the history, failed or not. Who promoted what is told beside it.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

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
