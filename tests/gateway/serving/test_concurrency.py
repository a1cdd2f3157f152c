"""How many requests a model answers at once finds itself."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.serving.concurrency import Concurrency, adaptive, fixed, gradient, next_limit


def settled(call_s: Callable[[int], float], calls: int = 100) -> list[int]:
    """Return the limits while a model answers that takes so long for so many requests."""
    limit, seen = adaptive(64), []
    for _ in range(calls):
        seen.append(limit.requests)
        limit = limit.after(call_s(limit.requests))
    return seen


def test_a_model_that_answers_many_as_fast_as_one_is_given_many() -> None:
    assert settled(lambda _: 0.05)[-1] == 64


def test_a_model_that_takes_longer_for_more_is_given_few() -> None:
    assert 1 < settled(lambda requests: 0.05 * requests)[-1] < 8


def test_a_model_with_a_fixed_part_is_given_some() -> None:
    assert 4 < settled(lambda requests: 0.05 + 0.005 * requests)[-1] < 32


def test_what_a_call_takes_at_the_least_is_found_out_anew() -> None:
    seen = settled(lambda _: 0.05, calls=400)

    assert seen[:201].count(1) == 1
    assert 1 in seen[201:]
    assert seen[-1] == 64


def test_a_fixed_limit_stays() -> None:
    assert fixed(7).after(0.1).after(10.0).requests == 7


@pytest.mark.parametrize(
    ("least_s", "call_s", "slope"),
    [(1.0, 1.0, 1.0), (1.0, 1.5, 1.0), (1.0, 2.0, 0.75), (1.0, 9.0, 0.5), (1.0, 0.0, 1.0)],
)
def test_the_gradient_is_between_a_half_and_one(
    least_s: float, call_s: float, slope: float
) -> None:
    assert gradient(least_s, call_s) == pytest.approx(slope)


@given(st.floats(1, 100), st.floats(0.5, 1.0))
def test_the_limit_stays_between_its_ends(limit: float, slope: float) -> None:
    assert 2 <= next_limit(limit, slope, 2, 50) <= 50


@given(st.lists(st.floats(0.0, 10.0), max_size=300))
def test_somebody_always_goes(calls: list[float]) -> None:
    limit: Concurrency = adaptive(32)
    for call_s in calls:
        limit = limit.after(call_s)

    assert 1 <= limit.requests <= 32
