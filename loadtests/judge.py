"""The verdict on a load test, from its plan and its history alone. Pure.

Nobody judges while calls are made: locust records, this module reads the record afterwards.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf, sqrt

from msgspec import Struct

from loadtests.history import Call, Entry, Promotion
from loadtests.plan import CANDIDATE, STABLE, Plan, Scenario

MIN_CALLS = 100
"""Fewer calls prove nothing."""
MIN_CALLS_PER_KEY = 2
"""A key that called once shows no stickiness."""
MIN_PROMOTIONS = 4
"""There and back, twice."""
_SIGMAS = 4.5
_OK = 200
_EXAMPLES = 3


class Finding(Struct, frozen=True):
    """One check.

    Args:
        check: What was looked at.
        is_good: Whether it held.
        detail: The numbers, with examples of what is wrong.
    """

    check: str
    is_good: bool
    detail: str


class Verdict(Struct, frozen=True):
    """What came of a load test."""

    scenario: Scenario
    is_good: bool
    findings: list[Finding]


def judge(plan: Plan, history: Sequence[Entry]) -> Verdict:
    """Judge a history by its plan."""
    calls = [entry for entry in history if isinstance(entry, Call)]
    promotions = [entry for entry in history if isinstance(entry, Promotion)]
    findings = [
        check_volume(calls),
        check_failures(calls),
        check_answers(calls, plan.answers),
        *_CHECKS[plan.scenario](plan, calls, promotions),
    ]
    return Verdict(plan.scenario, all(finding.is_good for finding in findings), findings)


def check_volume(calls: Sequence[Call]) -> Finding:
    """There were calls at all."""
    return Finding("enough calls", len(calls) >= MIN_CALLS, f"{len(calls):,} calls")


def check_failures(calls: Sequence[Call]) -> Finding:
    """Every call got an answer."""
    failed = [f"{call.status} {call.why}".strip() for call in calls if call.status != _OK]
    return _none("no call failed", failed)


def check_answers(calls: Iterable[Call], answers: Mapping[int, Sequence[int]]) -> Finding:
    """Each answer is what the version in its header answers to that probe, and no other's."""
    wrong = [
        f"probe {call.row} by version {call.version}: {call.answer}"
        for call in calls
        if call.status == _OK and not _is_own(call, answers)
    ]
    return _none("each answer is the stated version's own", wrong)


def check_alone(calls: Iterable[Call], version: int) -> Finding:
    """One version answered everything."""
    others = [f"version {c.version}" for c in calls if c.status == _OK and c.version != version]
    return _none(f"version {version} answered alone", others)


def check_keys(calls: Iterable[Call]) -> Finding:
    """Each key met one version only, and keys called often enough to tell."""
    met: defaultdict[str, set[int]] = defaultdict(set)
    count: defaultdict[str, int] = defaultdict(int)
    for call in _answered(calls):
        met[call.key].add(call.version)
        count[call.key] += 1
    again = sum(times >= MIN_CALLS_PER_KEY for times in count.values())
    moved = [f"key {key!r} met {sorted(found)}" for key, found in met.items() if len(found) > 1]
    if "" in met or not again:
        return Finding("keys stick", is_good=False, detail="calls without a key, or keys used once")
    return _none(f"keys stick ({again:,} called again)", moved)


def check_variants(calls: Iterable[Call]) -> Finding:
    """The variant in the header is that of the version in the header."""
    wrong = [
        f"version {call.version} as {call.variant!r}"
        for call in _answered(calls)
        if (call.version, call.variant) not in _VARIANTS
    ]
    return _none("variants match versions", wrong)


def check_share(calls: Iterable[Call], weight_bp: int) -> Finding:
    """The candidate's share of keys is its weight, within what chance allows."""
    met = {call.key: call.version for call in _answered(calls)}
    wanted = weight_bp / 10_000
    allowed = _SIGMAS * sqrt(wanted * (1 - wanted) / len(met)) if met else 0.0
    share = sum(version == CANDIDATE for version in met.values()) / len(met) if met else inf
    detail = f"{share:.2%} of {len(met):,} keys, {wanted:.2%} ± {allowed:.2%} wanted"
    return Finding("the candidate's share", abs(share - wanted) <= allowed, detail)


def check_promotions(promotions: Sequence[Promotion]) -> Finding:
    """There were promotions, and each one worked."""
    failed = [f"{p.status} {p.why}".strip() for p in promotions if p.status != _OK]
    if len(promotions) < MIN_PROMOTIONS:
        return Finding("promotions", is_good=False, detail=f"{len(promotions)}: too few")
    return _none(f"each of {len(promotions)} promotions worked", failed)


def check_switches(calls: Iterable[Call], promotions: Sequence[Promotion]) -> Finding:
    """After a promotion has returned, and before the next is asked for, only its version answers.

    A call counts for that time when it lies in it whole.
    """
    late: list[str] = []
    seen = 0
    done = sorted(promotions, key=lambda promotion: promotion.asked_s)
    ordered = sorted(_answered(calls), key=lambda call: call.started_s)
    for promotion, following in pairwise([*done, _END]):
        within = _within(ordered, promotion.active_s, following.asked_s)
        seen += len(within)
        late += [
            f"version {call.version} {call.started_s - promotion.active_s:.3f} s after "
            f"version {promotion.version} was active"
            for call in within
            if call.version != promotion.version
        ]
    if not seen:
        return Finding("no old answer", is_good=False, detail="no call lies between promotions")
    return _none(f"no old answer among {seen:,} between promotions", late)


_VARIANTS = {(STABLE, "stable"), (CANDIDATE, "candidate")}
_END = Promotion(version=0, asked_s=inf, active_s=inf, status=_OK)


def _predict(_plan: Plan, calls: Sequence[Call], _promotions: Sequence[Promotion]) -> list[Finding]:
    return [check_alone(calls, STABLE)]


def _canary(plan: Plan, calls: Sequence[Call], _promotions: Sequence[Promotion]) -> list[Finding]:
    return [check_keys(calls), check_variants(calls), check_share(calls, plan.weight_bp)]


def _promote(_plan: Plan, calls: Sequence[Call], promotions: Sequence[Promotion]) -> list[Finding]:
    return [check_promotions(promotions), check_switches(calls, promotions)]


_CHECKS: Mapping[Scenario, Callable[[Plan, Sequence[Call], Sequence[Promotion]], list[Finding]]] = {
    Scenario.PREDICT: _predict,
    Scenario.CANARY: _canary,
    Scenario.PROMOTE: _promote,
}


def _none(check: str, wrong: Sequence[str]) -> Finding:
    examples = "; ".join(wrong[:_EXAMPLES])
    detail = f"{len(wrong)}: {examples}" if wrong else "none is otherwise"
    return Finding(check, not wrong, detail)


def _answered(calls: Iterable[Call]) -> list[Call]:
    return [call for call in calls if call.status == _OK]


def _is_own(call: Call, answers: Mapping[int, Sequence[int]]) -> bool:
    return call.version in answers and answers[call.version][call.row] == call.answer


def _within(ordered: Iterable[Call], from_s: float, to_s: float) -> list[Call]:
    return [call for call in ordered if call.started_s > from_s and call.ended_s < to_s]
