"""What the demo's calls add up to: shares, accuracy, speed, and whether any went wrong. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct


class Call(Struct, frozen=True, gc=False):
    """One predict request and what became of it.

    Args:
        key: Who asked: the sticky key.
        row: Index of the held-out picture that was sent.
        started_s: On the monotonic clock.
        ended_s: When its answer was whole.
        version: Who answered, by the answer's own header; 0 when nobody did.
        variant: ``stable`` or ``candidate``.
        answer: The digit, or -1.
        why: What went wrong, or empty.
    """

    key: str
    row: int
    started_s: float
    ended_s: float
    version: int = 0
    variant: str = ""
    answer: int = -1
    why: str = ""


class VersionTally(Struct, frozen=True):
    """One version's part in a phase.

    Args:
        version: Its number.
        count: Requests it answered.
        share: Of all requests that were answered, 0 to 1.
        accuracy: Share of its answers that are what the picture shows.
    """

    version: int
    count: int
    share: float
    accuracy: float


class Tally(Struct, frozen=True):
    """What the calls of one phase add up to.

    Args:
        count: All requests.
        failed: Requests without an answer.
        untrue: Answers that are not what the version in their header answers.
        wavering: Keys that met two versions.
        rate: Requests per second.
        p50_ms: Median time to an answer.
        p99_ms: The time that one in a hundred exceeds.
        versions: Each version's part, by number.
    """

    count: int
    failed: int
    untrue: int
    wavering: int
    rate: float
    p50_ms: float
    p99_ms: float
    versions: list[VersionTally]

    def share_of(self, version: int) -> float:
        """Return one version's share, 0 to 1."""
        return sum(part.share for part in self.versions if part.version == version)


def tally(
    calls: Sequence[Call], labels: Sequence[int], answers: Mapping[int, Sequence[int]]
) -> Tally:
    """Add up the calls of one phase.

    Args:
        calls: In any order.
        labels: What each held-out picture shows.
        answers: By version: its own answer to each held-out picture.
    """
    good = [call for call in calls if not call.why]
    times_ms = sorted((call.ended_s - call.started_s) * 1000 for call in good)
    return Tally(
        count=len(calls),
        failed=len(calls) - len(good),
        untrue=sum(not _is_true(call, answers) for call in good),
        wavering=_count_wavering(good),
        rate=_rate(calls),
        p50_ms=percentile(times_ms, 0.50),
        p99_ms=percentile(times_ms, 0.99),
        versions=_by_version(good, labels),
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return the value that a share of the values does not exceed; 0 when there are none."""
    if not ascending:
        return 0.0
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def started_after(calls: Iterable[Call], moment_s: float) -> list[Call]:
    """Return the calls that started after a moment of the monotonic clock."""
    return [call for call in calls if call.started_s > moment_s]


def _is_true(call: Call, answers: Mapping[int, Sequence[int]]) -> bool:
    return call.version in answers and answers[call.version][call.row] == call.answer


def _count_wavering(good: Iterable[Call]) -> int:
    met: defaultdict[str, set[int]] = defaultdict(set)
    for call in good:
        met[call.key].add(call.version)
    return sum(len(versions) > 1 for versions in met.values())


def _rate(calls: Sequence[Call]) -> float:
    if not calls:
        return 0.0
    began_s = min(call.started_s for call in calls)
    ended_s = max(call.ended_s for call in calls)
    return len(calls) / max(ended_s - began_s, 1e-9)


def _by_version(good: Sequence[Call], labels: Sequence[int]) -> list[VersionTally]:
    grouped: defaultdict[int, list[Call]] = defaultdict(list)
    for call in good:
        grouped[call.version].append(call)
    return [
        VersionTally(
            version=version,
            count=len(part),
            share=len(part) / len(good),
            accuracy=sum(labels[call.row] == call.answer for call in part) / len(part),
        )
        for version, part in sorted(grouped.items())
    ]
