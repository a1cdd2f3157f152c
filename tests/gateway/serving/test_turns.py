"""In which order those go who wait: by priority, then by fair shares, and none starves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.callers import Caller, Priority, priority_of
from gateway.serving.turns import Turns
from tracking.errors import InvalidRequest

CRITICAL, DEFAULT, BATCH, SHADOW = (Caller("a", priority) for priority in Priority)
NOISY, QUIET = Caller("noisy"), Caller("quiet")


def turns_of(*callers: Caller, rows: int = 1) -> Turns[list[object]]:
    """Let one request of each come, one after the other; each is a list with who asked."""
    turns: Turns[list[object]] = Turns()
    for number, caller in enumerate(callers):
        turns.add([caller, number], caller, rows, 0.0)
    return turns


def order_of(turns: Turns[list[object]], now_s: float = 0.0) -> list[object]:
    return [caller for caller, _ in turns.in_order(now_s)]


@pytest.mark.parametrize(
    ("told", "priority"),
    [
        (b"critical", Priority.CRITICAL),
        (b" Batch ", Priority.BATCH),
        ("shadow", Priority.SHADOW),
        (0, Priority.DEFAULT),
        (1, Priority.CRITICAL),
        (4, Priority.SHADOW),
    ],
)
def test_priorities_have_names_and_numbers(told: object, priority: Priority) -> None:
    assert priority_of(told) is priority


@pytest.mark.parametrize("told", [b"", b"urgent", "high", 5, -1, 1.0, True, b"\xff"])
def test_another_priority_is_a_bad_request(told: object) -> None:
    with pytest.raises(InvalidRequest, match="send one of critical, default, batch, shadow"):
        priority_of(told)


def test_priorities_go_in_order() -> None:
    turns = turns_of(SHADOW, BATCH, DEFAULT, CRITICAL, DEFAULT)

    assert order_of(turns) == [CRITICAL, DEFAULT, DEFAULT, BATCH, SHADOW]


def test_who_has_waited_long_goes_before_a_higher_priority() -> None:
    turns = turns_of(BATCH)
    turns.add([DEFAULT, 1], DEFAULT, 1, 0.9)
    later = turns_of(BATCH)
    later.add([DEFAULT, 1], DEFAULT, 1, 1.1)

    assert order_of(turns, 5.0) == [DEFAULT, BATCH]
    assert order_of(later, 5.0) == [BATCH, DEFAULT]


def test_two_callers_take_turns_however_many_requests_one_has() -> None:
    turns = turns_of(*[NOISY] * 6, QUIET, QUIET)

    assert order_of(turns)[:4].count(QUIET) == 2
    assert turns.ahead_of(QUIET, 0.0)[0] <= 6


def test_who_comes_new_finds_next_to_nobody_before_it() -> None:
    turns = turns_of(*[NOISY] * 100)
    for ask in turns.in_order(0.0)[:50]:
        turns.take([ask])

    assert turns.ahead_of(NOISY, 0.0) == (50, 50)
    assert turns.ahead_of(QUIET, 0.0)[0] <= 1
    assert [row for _, row in zip(range(3), turns.behind(QUIET, 0.0), strict=False)] == [
        ([NOISY, number], 1) for number in (99, 98, 97)
    ]


def test_whoever_has_a_request_in_the_call_under_way_goes_behind_a_newcomer() -> None:
    turns = turns_of(NOISY)
    turns.take(turns.in_order(0.0))
    turns.add([NOISY, 1], NOISY, 1, 0.0)

    assert turns.ahead_of(QUIET, 0.0) == (0, 0)
    turns.add([QUIET, 2], QUIET, 1, 0.0)
    assert order_of(turns) == [QUIET, NOISY]


def test_a_caller_of_whom_nobody_waits_is_forgotten() -> None:
    turns = turns_of(NOISY, QUIET)

    gone = [turns.remove(ask) for ask in turns.in_order(0.0)]

    assert gone == [True, True]
    assert (len(turns), turns.rows, turns.oldest_s, turns._shares) == (0, 0, None, {})  # noqa: SLF001


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(Priority), st.integers(0, 9)),
        min_size=1,
        max_size=30,
    ),
    st.tuples(st.sampled_from("abcd"), st.sampled_from(Priority)),
)
def test_all_go_and_a_newcomer_parts_them(
    waiting: list[tuple[str, Priority, int]], asking: tuple[str, Priority]
) -> None:
    turns: Turns[int] = Turns()
    for number, (key, priority, rows) in enumerate(waiting):
        turns.add(number, Caller(key, priority), rows, number / 10)
    newcomer = Caller(*asking)

    ahead, _ = turns.ahead_of(newcomer, 3.0)
    behind = [number for number, _ in turns.behind(newcomer, 3.0)]

    assert sorted(turns.in_order(3.0)) == list(range(len(waiting)))
    assert ahead + len(behind) == len(waiting)
    assert set(turns.in_order(3.0)[ahead:]) == set(behind)


@given(st.integers(1, 50), st.integers(1, 20))
def test_of_two_who_always_wait_each_gets_half(noisy: int, rows: int) -> None:
    turns: Turns[object] = Turns()
    served = {NOISY: 0, QUIET: 0}
    owners: dict[int, Caller] = {}
    kept = []

    def ask(caller: Caller) -> None:
        item = object()
        kept.append(item)
        owners[id(item)] = caller
        turns.add(item, caller, rows, 0.0)

    for caller in [*[NOISY] * noisy, QUIET]:
        ask(caller)
    for _ in range(60):
        first = turns.in_order(0.0)[0]
        turns.take([first])
        caller = owners[id(first)]
        served[caller] += 1
        ask(caller)

    assert served[QUIET] >= 25
