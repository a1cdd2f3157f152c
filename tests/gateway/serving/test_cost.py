"""What calls take, and how many rows go in the next."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.cost import CallTimes, Cost

ROWS = st.integers(1, 10_000)
SECONDS = st.floats(1e-6, 100.0)


def after(*calls: tuple[int, float]) -> CallTimes:
    times = CallTimes()
    for rows, seconds in calls:
        times = times.after(rows, seconds)
    return times


def test_before_the_first_call_nothing_is_known_and_one_row_goes() -> None:
    assert not CallTimes().is_known
    assert CallTimes().cost == Cost(0.0, 0.0)
    assert CallTimes().max_rows(1.0, 100) == 1


@pytest.mark.parametrize(("call_s", "row_s"), [(0.05, 0.0), (0.0, 0.01), (0.03, 0.002)])
def test_both_parts_of_a_cost_are_found(call_s: float, row_s: float) -> None:
    times = after(*((rows, call_s + row_s * rows) for rows in (1, 5, 2, 9, 4, 7)))

    assert times.cost.call_s == pytest.approx(call_s, abs=1e-9)
    assert times.cost.row_s == pytest.approx(row_s, abs=1e-9)


def test_calls_of_one_size_are_charged_to_their_rows() -> None:
    cost = after((4, 0.2), (4, 0.2), (4, 0.2)).cost

    assert cost.call_s == 0.0
    assert cost.row_s == pytest.approx(0.05)


def test_a_model_that_has_become_slower_is_noticed() -> None:
    times = after(*[(1, 0.01)] * 50, *[(1, 1.0)] * 20)

    assert times.cost.of(1) > 0.8


@pytest.mark.parametrize(
    ("calls", "target_s", "cap", "rows"),
    [
        ([(1, 0.05)], 0.25, 100, 5),  # as if each row cost as much
        ([(1, 1.0)], 0.25, 100, 2),  # too long, but perhaps two take no longer than one
        ([(1, 1.0), (2, 2.0)], 0.25, 100, 1),  # they do
        ([(1, 1.0), (2, 1.0)], 0.25, 100, 100),  # they do not
        ([(1, 0.111), (5, 0.155)], 0.25, 100, 27),  # four times what comes with each call
        ([(1, 0.001), (9, 0.009)], 0.25, 100, 100),
    ],
)
def test_as_many_rows_go_as_fit_the_time(
    calls: list[tuple[int, float]], target_s: float, cap: int, rows: int
) -> None:
    assert after(*calls).max_rows(target_s, cap) == rows


@given(st.lists(st.tuples(ROWS, SECONDS), min_size=1, max_size=40), st.floats(1e-3, 10.0))
def test_costs_are_never_negative_and_one_row_always_goes(
    calls: list[tuple[int, float]], target_s: float
) -> None:
    times = after(*calls)

    assert times.cost.call_s >= 0.0
    assert times.cost.row_s >= 0.0
    assert 1 <= times.max_rows(target_s, 64) <= 64


def test_rows_that_cost_nothing_fit_any_time() -> None:
    assert Cost(1.0, 0.0).rows_within(0.1) > 10**9
    assert Cost(1.0, 0.5).rows_within(0.1) == 1


def test_a_call_larger_than_all_before_is_not_charged_by_a_guess() -> None:
    """A call takes 0.3 s whatever its rows: 300 of them must not be foreseen to take 90 s."""
    cost = after(*[(1, 0.3)] * 5).cost

    assert cost.of(1) == pytest.approx(0.3)
    assert cost.of(300) == pytest.approx(0.6)


def test_a_slope_that_was_measured_goes_on_but_not_for_who_waits_alone() -> None:
    cost = after((1, 0.1), (5, 0.5), (2, 0.2), (9, 0.9)).cost

    assert cost.of(300) == pytest.approx(30.0)
    assert cost.as_seen(300) == pytest.approx(0.9)


def test_a_size_of_long_ago_is_forgotten() -> None:
    assert after((1000, 1.0), *[(1, 1.0)] * 100).most_rows == pytest.approx(1.0, abs=0.1)
