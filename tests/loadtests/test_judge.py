"""The judge is shown to see planted faults before anybody believes its verdicts."""

from collections.abc import Callable

import msgspec
import pytest

from gateway.routing.bucketing import bucket, is_below
from loadtests.history import Call, Entry, Promotion, read_history
from loadtests.judge import judge
from loadtests.plan import CANDIDATE, STABLE, Plan, Scenario

ROWS = 5
ANSWERS = {STABLE: [0, 1, 2, 3, 4], CANDIDATE: [1, 2, 3, 4, 5]}
WEIGHT_BP = 2000
KEYS = 400
STEP_S = 0.01


def make_plan(scenario: Scenario) -> Plan:
    weight_bp = WEIGHT_BP if scenario is Scenario.CANARY else 0
    return Plan(scenario, "Probe", [[0.0]] * ROWS, ANSWERS, weight_bp=weight_bp, keys=KEYS)


def make_call(turn: int, version: int) -> Call:
    row = turn % ROWS
    return Call(
        key=f"key-{turn % KEYS}",
        row=row,
        started_s=turn * STEP_S,
        ended_s=turn * STEP_S + STEP_S / 2,
        status=200,
        version=version,
        variant="stable" if version == STABLE else "candidate",
        answer=ANSWERS[version][row],
    )


def steady() -> list[Entry]:
    return [make_call(turn, STABLE) for turn in range(200)]


def split() -> list[Entry]:
    def version(turn: int) -> int:
        chosen = is_below(bucket("salt", f"key-{turn % KEYS}".encode()), WEIGHT_BP)
        return CANDIDATE if chosen else STABLE

    return [make_call(turn, version(turn)) for turn in range(2 * KEYS)]


def switched() -> list[Entry]:
    """Promotions at 1, 2, 3 and 4 s, each active 0.5 s later; both versions answer meanwhile."""
    history: list[Entry] = []
    serving = STABLE
    for second in range(5):
        if second:
            serving = CANDIDATE if second % 2 else STABLE
            history.append(Promotion(serving, second, second + 0.5, 200))
        history += [make_call(second * 100 + turn, serving) for turn in range(100)]
    return history


GOOD: dict[Scenario, Callable[[], list[Entry]]] = {
    Scenario.PREDICT: steady,
    Scenario.CANARY: split,
    Scenario.PROMOTE: switched,
}


def broken(history: list[Entry], turn: int, **changes: object) -> list[Entry]:
    """Return the history with one of its calls changed."""
    calls = [index for index, entry in enumerate(history) if isinstance(entry, Call)]
    index = calls[turn]
    return [
        *history[:index],
        msgspec.structs.replace(history[index], **changes),
        *history[index + 1 :],
    ]


@pytest.mark.parametrize("scenario", Scenario)
def test_a_good_history_passes(scenario: Scenario) -> None:
    verdict = judge(make_plan(scenario), GOOD[scenario]())

    assert verdict.is_good, verdict


@pytest.mark.parametrize("scenario", Scenario)
def test_an_empty_history_fails(scenario: Scenario) -> None:
    assert not judge(make_plan(scenario), []).is_good


@pytest.mark.parametrize("scenario", Scenario)
def test_one_swapped_version_header_fails(scenario: Scenario) -> None:
    history = GOOD[scenario]()
    stated = next(entry.version for entry in history if isinstance(entry, Call))
    other = CANDIDATE if stated == STABLE else STABLE

    verdict = judge(make_plan(scenario), broken(history, 0, version=other))

    assert failed_checks(verdict) >= {"each answer is the stated version's own"}


@pytest.mark.parametrize("scenario", Scenario)
@pytest.mark.parametrize("status", [0, 404, 500, 503])
def test_one_failed_call_fails(scenario: Scenario, status: int) -> None:
    history = broken(GOOD[scenario](), 3, status=status, version=0, answer=None, why="no")

    assert failed_checks(judge(make_plan(scenario), history)) >= {"no call failed"}


@pytest.mark.parametrize("scenario", Scenario)
def test_an_answer_of_neither_version_fails(scenario: Scenario) -> None:
    history = broken(GOOD[scenario](), 3, answer=99)

    assert not judge(make_plan(scenario), history).is_good


@pytest.mark.parametrize("scenario", Scenario)
def test_an_answer_without_a_version_fails(scenario: Scenario) -> None:
    history = broken(GOOD[scenario](), 3, version=0)

    assert not judge(make_plan(scenario), history).is_good


def test_the_candidate_answering_before_any_split_fails() -> None:
    history = [*steady(), make_call(200, CANDIDATE)]

    assert failed_checks(judge(make_plan(Scenario.PREDICT), history)) == {
        "version 1 answered alone"
    }


def test_a_key_that_moves_fails() -> None:
    history = [*split(), *(make_call(turn, CANDIDATE) for turn in range(2))]

    verdict = judge(make_plan(Scenario.CANARY), history)

    assert any(check.startswith("keys stick") for check in failed_checks(verdict))


def test_calls_without_a_key_fail() -> None:
    history = broken(split(), 7, key="")

    assert failed_checks(judge(make_plan(Scenario.CANARY), history)) == {"keys stick"}


def test_keys_that_are_used_once_prove_nothing() -> None:
    history = split()[:KEYS]

    assert failed_checks(judge(make_plan(Scenario.CANARY), history)) == {"keys stick"}


@pytest.mark.parametrize("weight_bp", [1000, 3500])
def test_a_share_that_is_not_the_weight_fails(weight_bp: int) -> None:
    plan = msgspec.structs.replace(make_plan(Scenario.CANARY), weight_bp=weight_bp)

    assert failed_checks(judge(plan, split())) == {"the candidate's share"}


def test_a_split_that_never_happens_fails() -> None:
    history = [make_call(turn, STABLE) for turn in range(2 * KEYS)]

    assert failed_checks(judge(make_plan(Scenario.CANARY), history)) == {"the candidate's share"}


def test_a_variant_that_belongs_to_the_other_version_fails() -> None:
    history = broken(split(), 7, variant="nonsense")

    assert failed_checks(judge(make_plan(Scenario.CANARY), history)) == {"variants match versions"}


def test_the_old_version_answering_after_a_promotion_returned_fails() -> None:
    history = [*switched(), make_call(499, CANDIDATE)]

    verdict = judge(make_plan(Scenario.PROMOTE), history)

    assert any(check.startswith("no old answer") for check in failed_checks(verdict))


def test_either_version_may_answer_while_a_promotion_is_under_way() -> None:
    history = [*switched(), make_call(420, CANDIDATE)]

    assert judge(make_plan(Scenario.PROMOTE), history).is_good


def test_a_refused_promotion_fails() -> None:
    history = [*switched(), Promotion(CANDIDATE, 5.0, 5.1, 409, "no")]

    assert not judge(make_plan(Scenario.PROMOTE), history).is_good


def test_no_promotions_prove_nothing() -> None:
    verdict = judge(make_plan(Scenario.PROMOTE), steady())

    assert failed_checks(verdict) >= {"promotions"}


def test_a_history_reads_back_as_it_was_written() -> None:
    history = switched()
    lines = [msgspec.json.encode(entry) + b"\n" for entry in history]

    assert read_history(lines) == history


def failed_checks(verdict: object) -> set[str]:
    return {finding.check for finding in verdict.findings if not finding.is_good}  # type: ignore[attr-defined]
