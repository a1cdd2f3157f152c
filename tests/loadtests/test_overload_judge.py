"""The judge of an overload is shown to see planted faults."""

from collections.abc import Callable

import msgspec
import pytest

from loadtests.crowd import Asked
from loadtests.overload_judge import Phase, Record, judge, verdict_of

MIB = 2**20


def phase(begun_s: float, seconds: float, *kinds: tuple[int, float, float]) -> Phase:
    """Make a phase of calls: for each kind its status, how many a second, and what one takes."""
    asked = [
        Asked(begun_s + n / rate, begun_s + n / rate + took_s, status, "1" * (status == 503))
        for status, rate, took_s in kinds
        for n in range(int(rate * seconds))
    ]
    return Phase(begun_s, begun_s + seconds, asked, bare(begun_s, 0.004))


def bare(begun_s: float, took_s: float) -> list[Asked]:
    return [Asked(begun_s + n, begun_s + n + took_s, 200) for n in range(10)]


GOOD = Record(
    usual=phase(0.0, 5.0, (200, 30.0, 0.02)),
    peak=phase(10.0, 10.0, (200, 100.0, 0.1)),
    overload=phase(20.0, 30.0, (200, 98.0, 0.4), (503, 850.0, 0.005), (504, 1.0, 1.0)),
    after=phase(50.0, 10.0, (200, 30.0, 0.02)),
    memory=[(20.0 + n, 300 * MIB) for n in range(30)],
)


def changed(**parts: object) -> Record:
    return msgspec.structs.replace(GOOD, **parts)


def with_late_answers(until_s: float) -> Record:
    late = Asked(50.0 + until_s - 1.0, 50.0 + until_s, 200)
    return changed(after=Phase(50.0, 60.0, [*GOOD.after.asked, late], GOOD.after.bare))


def bad(record: Record) -> list[str]:
    return [finding.check for finding in judge(record) if not finding.is_good]


def test_a_promise_that_held_is_believed() -> None:
    assert bad(GOOD) == []
    assert bad(with_late_answers(4.9)) == []


def busy(one: Phase) -> Phase:
    return msgspec.structs.replace(one, bare=bare(one.begun_s, 0.06))


FAULTS: dict[str, tuple[Callable[[], Record], str]] = {
    "too small a load": (
        lambda: changed(overload=phase(20.0, 30.0, (200, 98.0, 0.4), (503, 400.0, 0.005))),
        "the load was an overload",
    ),
    "somebody hung": (
        lambda: changed(after=phase(50.0, 10.0, (200, 30.0, 0.02), (0, 0.1, 4.0))),
        "answered, or politely refused",
    ),
    "somebody failed": (
        lambda: changed(
            overload=phase(20.0, 30.0, (200, 98.0, 0.4), (503, 850.0, 0.0), (500, 0.1, 0.1))
        ),
        "answered, or politely refused",
    ),
    "nobody was told when to come back": (
        lambda: changed(
            overload=msgspec.structs.replace(
                GOOD.overload,
                asked=[msgspec.structs.replace(a, retry_after="") for a in GOOD.overload.asked],
            )
        ),
        "answered, or politely refused",
    ),
    "fewer answers": (
        lambda: changed(overload=phase(20.0, 30.0, (200, 89.0, 0.4), (503, 850.0, 0.005))),
        "goodput",
    ),
    "memory grew": (
        lambda: changed(memory=[(20.0 + n, (300 + 2 * n) * MIB) for n in range(30)]),
        "memory is flat",
    ),
    "memory was not measured": (lambda: changed(memory=[]), "memory is flat"),
    "refused late": (
        lambda: changed(
            overload=phase(20.0, 30.0, (200, 98.0, 0.4), (503, 830.0, 0.005), (503, 20.0, 0.06))
        ),
        "refused at once",
    ),
    "answered late": (
        lambda: changed(overload=phase(20.0, 30.0, (200, 98.0, 1.1), (503, 850.0, 0.005))),
        "answered in time",
    ),
    "some answered very late": (
        lambda: changed(
            overload=phase(20.0, 30.0, (200, 96.0, 0.4), (200, 2.0, 2.6), (503, 850.0, 0.005))
        ),
        "answered in time",
    ),
    "a machine that is busy": (
        lambda: changed(overload=busy(GOOD.overload)),
        "the machine could tell",
    ),
    "no bare server": (
        lambda: changed(after=msgspec.structs.replace(GOOD.after, bare=[])),
        "the machine could tell",
    ),
    "slow for long": (lambda: with_late_answers(5.1), "normal soon after"),
    "refused for long": (
        lambda: changed(after=phase(50.0, 10.0, (200, 30.0, 0.02), (503, 1.0, 0.01))),
        "normal soon after",
    ),
    "nothing was asked": (
        lambda: changed(after=Phase(50.0, 60.0, [], GOOD.after.bare)),
        "normal soon after",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(fault: str) -> None:
    plant, check = FAULTS[fault]

    assert check in bad(plant())


LATE = phase(20.0, 30.0, (200, 98.0, 0.4), (503, 850.0, 0.08))
VERDICTS: dict[str, tuple[Callable[[], Record], str]] = {
    "a promise that held": (lambda: GOOD, "PASS"),
    "refusals that are late": (lambda: changed(overload=LATE), "FAIL"),
    "held, on a busy machine": (lambda: changed(overload=busy(GOOD.overload)), "PASS"),
    "as late as a busy machine": (lambda: changed(overload=busy(LATE)), "PASS"),
    "later than a busy machine": (
        lambda: changed(overload=busy(phase(20.0, 30.0, (200, 98.0, 0.4), (503, 850.0, 0.2)))),
        "INCONCLUSIVE",
    ),
    "nobody refused, on a busy machine": (
        lambda: changed(overload=busy(phase(20.0, 30.0, (200, 98.0, 0.4)))),
        "FAIL",
    ),
    "nobody answered, on a busy machine": (
        lambda: changed(overload=busy(phase(20.0, 30.0, (503, 850.0, 0.2)))),
        "FAIL",
    ),
    "a failure, on a busy machine": (
        lambda: changed(
            overload=busy(phase(20.0, 30.0, (200, 98.0, 0.4), (503, 850.0, 0.2), (500, 0.1, 0.1)))
        ),
        "FAIL",
    ),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_a_busy_machine_is_told_apart_from_a_fault(case: str) -> None:
    make, verdict = VERDICTS[case]

    assert verdict_of(judge(make())) == verdict
