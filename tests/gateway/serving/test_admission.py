"""Who may wait: the table of cases, and what holds for all of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.admission import (
    Backlog,
    Bounds,
    Forecast,
    Machine,
    Shed,
    busy_s,
    fits,
    foresee,
    patience_s,
    refuse,
)
from gateway.serving.cost import Cost

BOUNDS = Bounds(max_waiting=10, max_queue_s=2.0, standing_s=0.1)
COST = Cost(call_s=0.1, row_s=0.01)
SIZES = st.integers(0, 1000)


def backlog(waiting: int = 0, rows: int = 0, busy: float = 0.0) -> Backlog:
    return Backlog(waiting, rows, busy)


def forecast_of(wait_s: float, call_s: float, *, is_next: bool) -> Forecast:
    return Forecast(wait_s, call_s, call_s, is_next)


@pytest.mark.parametrize(
    ("before", "rows", "wait_s", "call_s", "is_next"),
    [
        (backlog(), 1, 0.0, 0.11, True),
        (backlog(busy=0.5), 1, 0.5, 0.11, True),
        (backlog(rows=7, busy=0.5), 3, 0.5, 0.2, True),
        (backlog(rows=8, busy=0.5), 3, 0.7, 0.13, False),  # full calls go first
        (backlog(rows=25), 1, 0.4, 0.16, False),
        (backlog(rows=20), 30, 0.4, 0.4, False),  # a large one goes alone
    ],
)
def test_a_wait_is_foreseen_in_whole_calls(
    before: Backlog, rows: int, wait_s: float, call_s: float, *, is_next: bool
) -> None:
    forecast = foresee(before, rows, Machine(COST, 10, 0.0))

    assert forecast.wait_s == pytest.approx(wait_s)
    assert forecast.call_s == pytest.approx(call_s)
    assert forecast.is_next is is_next


@pytest.mark.parametrize(
    ("waiting", "forecast", "remaining_s", "reason"),
    [
        (0, forecast_of(0.0, 0.1, is_next=True), math.inf, None),
        (10, forecast_of(0.0, 0.1, is_next=True), math.inf, Shed.FULL),
        (9, forecast_of(1.9, 0.1, is_next=False), math.inf, None),
        (9, forecast_of(2.1, 0.1, is_next=False), math.inf, Shed.WAIT),
        (0, forecast_of(9.0, 9.0, is_next=True), math.inf, None),
        (0, forecast_of(0.4, 0.2, is_next=True), 0.5, Shed.LATE),
        (0, forecast_of(0.4, 0.1, is_next=False), 0.5, None),
    ],
)
def test_the_table_of_refusals(
    waiting: int, forecast: Forecast, remaining_s: float, reason: Shed | None
) -> None:
    before = backlog(waiting)

    assert refuse(before, forecast, BOUNDS, remaining_s=remaining_s, is_over=False) is reason


@pytest.mark.parametrize(
    ("forecast", "reason"),
    [
        (forecast_of(0.2, 0.1, is_next=False), Shed.WAIT),
        (forecast_of(0.2, 0.1, is_next=True), None),
        (forecast_of(0.1, 0.1, is_next=False), None),
        (forecast_of(0.5, 0.5, is_next=False), None),  # no longer than a full call
        (forecast_of(1.0, 0.5, is_next=False), Shed.WAIT),
    ],
)
def test_a_queue_that_has_run_over_is_short(forecast: Forecast, reason: Shed | None) -> None:
    assert refuse(backlog(), forecast, BOUNDS, remaining_s=math.inf, is_over=True) is reason


@given(SIZES, SIZES, st.integers(1, 50))
def test_more_before_it_never_means_less_of_a_wait(rows: int, more: int, max_rows: int) -> None:
    few = foresee(backlog(rows=rows), 1, Machine(COST, max_rows, 0.0))
    many = foresee(backlog(rows=rows + more), 1, Machine(COST, max_rows, 0.0))

    assert many.wait_s + many.call_s >= few.wait_s + few.call_s - 1e-9 or many.wait_s > few.wait_s


def test_an_overdue_call_takes_as_long_again() -> None:
    assert [busy_s(1.0, elapsed) for elapsed in (0.0, 0.75, 1.0, 3.0)] == [1.0, 0.25, 0.0, 2.0]


def test_patience_is_that_of_a_queue_or_of_two_calls() -> None:
    assert patience_s(BOUNDS, None) == math.inf
    assert patience_s(BOUNDS, 0.5) == 3.0
    assert patience_s(BOUNDS, 10.0) == 20.0


@pytest.mark.parametrize(
    ("size", "own", "total", "is_in"),
    [
        (100, 0, 0, True),
        (101, 0, 0, False),
        (1, 49, 49, True),
        (1, 50, 50, False),  # one alone has half
        (1, 0, 50, True),  # there is room for the next one
        (50, 0, 50, True),
        (1, 33, 67, False),  # two have a third each
        (1, 32, 66, True),
        (1, 0, 99, True),
        (1, 0, 100, False),
    ],
)
def test_models_share_what_all_may_hold(size: int, own: int, total: int, *, is_in: bool) -> None:
    assert fits(size, own, total, 100) is is_in


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 30)), max_size=80))
def test_the_limit_holds_and_nobody_is_locked_out(asked: list[tuple[int, int]]) -> None:
    held = [0] * 6
    for model, size in asked:
        if fits(size, held[model], sum(held), 1000):
            held[model] += size

    assert sum(held) < 1000
    assert fits(1, held[5], sum(held), 1000)


def test_a_large_request_alone_is_not_refused_for_its_size() -> None:
    """One call of a row is under way and took 0.3 s before; nobody waits."""
    for cost in (Cost(0.0, 0.3, 2.0, is_told_apart=False), Cost(0.0, 0.3, seen_rows=2.0)):
        before = backlog(busy=0.2)

        forecast = foresee(before, 300, Machine(cost, 2, 0.2))

        assert refuse(before, forecast, BOUNDS, remaining_s=60.0, is_over=False) is None
        assert forecast.call_s == pytest.approx(0.6)


def test_who_has_a_call_alone_waits_for_as_many_calls_as_are_before_it() -> None:
    machine = Machine(COST, 1000, 0.5, is_alone=True)

    forecast = foresee(backlog(waiting=3, rows=6, busy=0.5), 2, machine)

    assert forecast.wait_s == pytest.approx(0.5 + 3 * 0.12)
    assert forecast.call_s == pytest.approx(0.12)
    assert not forecast.is_next
