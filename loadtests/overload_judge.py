"""The verdict on an overload: what was promised, and what the record shows. Pure."""

import math
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from loadtests.crowd import Asked
from loadtests.judge import Finding

TIMES = 10
"""How many times its peak a server is asked."""
LEAST_OFFERED = 7.0
"""A generator that makes fewer times the peak shows nothing."""
LEAST_GOODPUT = 0.9
MOST_GROWTH = 1.1
"""Of memory, from the first third of an overload to its last."""
REFUSED_WITHIN_MS = 50.0
"""And on a machine where a bare server takes longer itself, nothing about time can be told."""
ANSWERED_WITHIN_MS = 2500.0
"""The most that may wait, ``overload.max_queue_ms``, and two calls of ``overload.max_call_ms``."""
MOSTLY_WITHIN_MS = 1000.0
"""Of half of the answers: the queue is short, but for the moments in which that is tried out."""
NORMAL_WITHIN_S = 5.0
_SLOWER = 2.0
"""Times its usual tail that an answer may take and still is normal."""
_OK, _FULL, _LATE = 200, 503, 504
_TAIL = 0.99
_MACHINE = "the machine could tell"
_TIMED = frozenset(
    {
        "the load was an overload", "goodput", "refused at once", "answered in time",
        "normal soon after",
    }
)  # fmt: skip


class Phase(Struct, frozen=True):
    """One part of the record.

    Args:
        begun_s: When it began.
        ended_s: When the last call was sent.
        asked: All its calls.
        bare: Those to a bare server, made beside them by the same generator.
    """

    begun_s: float
    ended_s: float
    asked: list[Asked]
    bare: list[Asked]


class Record(Struct, frozen=True):
    """What happened.

    Args:
        usual: A load that is easy.
        peak: As many callers as it can answer.
        overload: Ten times that.
        after: The usual load again, from the end of the overload on.
        memory: Of all processes of the server: when, and how many bytes.
    """

    usual: Phase
    peak: Phase
    overload: Phase
    after: Phase
    memory: list[tuple[float, int]]


def judge(record: Record) -> list[Finding]:
    """Judge a record by the promise."""
    return [
        check_offer(record),
        check_statuses(record),
        check_goodput(record),
        check_memory(record),
        check_refusals(record),
        check_answers(record),
        check_machine(record),
        check_recovery(record),
    ]


def verdict_of(findings: Sequence[Finding]) -> str:
    """Return the verdict: where only time is at fault, and the machine too busy, there is none."""
    bad = {finding.check for finding in findings if not finding.is_good}
    if bad - _TIMED - {_MACHINE}:
        return "FAIL"
    if bad & _TIMED:
        return "INCONCLUSIVE" if _MACHINE in bad else "FAIL"
    return "PASS"


def check_offer(record: Record) -> Finding:
    """The load was made at all."""
    peak = goodput(record.peak)
    times = _rate(record.overload) / peak if peak else 0.0
    detail = f"{_rate(record.overload):,.0f} calls/s, {times:.1f} times the peak"
    return Finding("the load was an overload", times >= LEAST_OFFERED, detail)


def check_statuses(record: Record) -> Finding:
    """Nobody hung or failed, and who was refused was told when to come back."""
    calls = [one for phase in (record.overload, record.after) for one in phase.asked]
    found = Counter(one.status for one in calls)
    rude = [one for one in calls if one.status == _FULL and not _is_whole(one.retry_after)]
    detail = ", ".join(f"{count:,} with {status}" for status, count in sorted(found.items()))
    is_good = bool(calls) and found.keys() <= {_OK, _FULL, _LATE} and not rude
    return Finding("answered, or politely refused", is_good, f"{detail}; {len(rude)} impolite")


def check_goodput(record: Record) -> Finding:
    """The server answered as many as at its peak."""
    peak, under = goodput(record.peak), goodput(record.overload)
    share = under / peak if peak else 0.0
    detail = f"{under:,.1f} answers/s, {share:.1%} of {peak:,.1f} at the peak"
    return Finding("goodput", share >= LEAST_GOODPUT, detail)


def check_memory(record: Record) -> Finding:
    """Memory did not grow from the first third of the overload to its last."""
    begun_s, third_s = record.overload.begun_s, _length(record.overload) / 3
    first = [size for at_s, size in record.memory if 0 <= at_s - begun_s < third_s]
    last = [size for at_s, size in record.memory if 2 * third_s <= at_s - begun_s < 3 * third_s]
    if not first or not last:
        return Finding("memory is flat", is_good=False, detail="it was not measured")
    before, after = (sum(sizes) / len(sizes) for sizes in (first, last))
    detail = f"{before / 2**20:,.1f} MiB, later {after / 2**20:,.1f} MiB"
    return Finding("memory is flat", after <= before * MOST_GROWTH, detail)


def check_refusals(record: Record) -> Finding:
    """Who was refused was so at once."""
    times_ms = _times_ms(record.overload.asked, _FULL)
    if not times_ms:
        return Finding("refused at all", is_good=False, detail="nobody was")
    tail_ms, bare_ms = _at(times_ms, _TAIL), _bare_ms(record.overload)
    detail = f"p50 {_at(times_ms, 0.5):.1f} ms, p99 {tail_ms:.1f} ms, most {times_ms[-1]:.1f} ms"
    is_good = tail_ms <= REFUSED_WITHIN_MS + bare_ms
    return Finding("refused at once", is_good, f"{detail}; a bare server {bare_ms:.1f} ms")


def check_answers(record: Record) -> Finding:
    """Who was let in was answered in time, and most of them soon."""
    times_ms = _times_ms(record.overload.asked, _OK)
    if not times_ms:
        return Finding("answered at all", is_good=False, detail="nobody was")
    middle_ms, tail_ms, bare_ms = (
        _at(times_ms, 0.5), _at(times_ms, _TAIL), _bare_ms(record.overload)
    )  # fmt: skip
    is_good = middle_ms <= MOSTLY_WITHIN_MS + bare_ms and tail_ms <= ANSWERED_WITHIN_MS + bare_ms
    return Finding("answered in time", is_good, f"p50 {middle_ms:.0f} ms, p99 {tail_ms:.0f} ms")


def check_machine(record: Record) -> Finding:
    """A bare server was fast enough for ours to be judged by its times."""
    bare_ms = max(_bare_ms(phase) for phase in (record.overload, record.after))
    detail = f"the p99 of a bare server was {bare_ms:.1f} ms"
    return Finding(_MACHINE, bare_ms <= REFUSED_WITHIN_MS, detail)


def check_recovery(record: Record) -> Finding:
    """Soon after, every call was answered as fast as before."""
    usual_ms = _times_ms(record.usual.asked, _OK)
    if not usual_ms or not record.after.asked:
        return Finding("normal soon after", is_good=False, detail="nothing was asked")
    limit_ms = _SLOWER * _at(usual_ms, _TAIL) + _bare_ms(record.after)
    unusual_s = [
        one.ended_s - record.overload.ended_s
        for one in record.after.asked
        if one.status != _OK or (one.ended_s - one.begun_s) * 1000 > limit_ms
    ]
    took_s = max(unusual_s, default=0.0)
    detail = f"the last answer slower than {limit_ms:.0f} ms, or none, came after {took_s:.1f} s"
    return Finding("normal soon after", took_s <= NORMAL_WITHIN_S, detail)


def goodput(phase: Phase) -> float:
    """Return the answers a second that came while a phase lasted."""
    inside = [one for one in phase.asked if one.status == _OK and one.ended_s <= phase.ended_s]
    return len(inside) / _length(phase)


def _bare_ms(phase: Phase) -> float:
    times_ms = sorted((one.ended_s - one.begun_s) * 1000 for one in phase.bare)
    return _at(times_ms, _TAIL) if times_ms else math.inf


def _rate(phase: Phase) -> float:
    return len(phase.asked) / _length(phase)


def _length(phase: Phase) -> float:
    return max(phase.ended_s - phase.begun_s, 1e-9)


def _times_ms(asked: Sequence[Asked], status: int) -> list[float]:
    return sorted((one.ended_s - one.begun_s) * 1000 for one in asked if one.status == status)


def _at(ascending: Sequence[float], share: float) -> float:
    return ascending[math.ceil(share * len(ascending)) - 1]


def _is_whole(text: str) -> bool:
    return text.isdigit() and int(text) >= 1
