"""When a queue is short: never for callers who wait for their answers, soon for too many others."""

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from gateway.serving.admission import Backlog, Bounds, Machine, Shed, foresee, refuse
from gateway.serving.cost import Cost
from gateway.serving.overflow import FIRST_HOLD_S, MOST_HOLD_S, QUIET_S, Overflow

BOUNDS = Bounds(max_waiting=1000, max_queue_s=2.0, standing_s=0.1)
ROWS = 1000
"""Of each request, and of each call."""


class Model(Struct):
    """A model that answers one request after the other, and what its queue decides.

    Args:
        call_s: What each takes.
    """

    call_s: float
    free_s: float = 0.0
    overflow: Overflow = Overflow()

    def take(self, now_s: float) -> float | None:
        """Return how long a request that comes now waits; ``None`` if it is refused."""
        ahead_s = max(0.0, self.free_s - now_s)
        calls = math.ceil(ahead_s / self.call_s)
        waiting = max(0, calls - 1)
        backlog = Backlog(waiting, waiting * ROWS, ahead_s - waiting * self.call_s)
        cost = Cost(0.0, self.call_s / ROWS)
        forecast, is_over = (
            foresee(backlog, ROWS, Machine(cost, ROWS, 0.0)),
            self.overflow.is_on(now_s),
        )
        shed = refuse(backlog, forecast, BOUNDS, remaining_s=60.0, is_over=is_over)
        if shed is Shed.WAIT:
            self.overflow = self.overflow.after_refusal(now_s)
        if shed is not None:
            return None
        self.free_s = max(self.free_s, now_s) + self.call_s
        return ahead_s


def ask_again_and_again(
    model: Model, callers: int, seconds: float, began_s: float = 0.0
) -> list[float | None]:
    """Let each caller ask as soon as it was answered, or refused; return all waits."""
    due = [began_s + 0.001 * n for n in range(callers)]
    waits = []
    while due[0] < began_s + seconds:
        now_s = heapq.heappop(due)
        waits.append(wait_s := model.take(now_s))
        heapq.heappush(due, now_s + (0.005 if wait_s is None else wait_s + model.call_s))
    return waits


def ask_steadily(model: Model, rate: float, seconds: float) -> list[tuple[float, float | None]]:
    """Let calls come whatever becomes of others; return when each came, and its wait."""
    return [(n / rate, model.take(n / rate)) for n in range(int(rate * seconds))]


@settings(deadline=None, max_examples=25)
@given(callers=st.integers(1, 200), call_s=st.floats(0.002, 0.5))
def test_callers_who_wait_for_their_answers_are_never_refused(callers: int, call_s: float) -> None:
    callers = min(callers, int(BOUNDS.max_queue_s / call_s))

    waits = ask_again_and_again(Model(call_s), callers, seconds=5.0)

    assert None not in waits
    assert max(wait for wait in waits if wait is not None) <= BOUNDS.max_queue_s


@settings(deadline=None, max_examples=8)
@given(times=st.floats(1.5, 12.0), call_s=st.floats(0.02, 0.05))
def test_under_overload_the_model_is_never_idle_and_few_wait_long(
    times: float, call_s: float
) -> None:
    seconds = 60.0

    asked = ask_steadily(Model(call_s), times / call_s, seconds)

    waits = sorted(wait for _, wait in asked if wait is not None)
    assert len(waits) >= 0.97 * seconds / call_s
    assert waits[-1] <= BOUNDS.max_queue_s
    short_s = BOUNDS.standing_s + call_s
    # It fills up at the start and at the trials after 10, 30 and 70 s.
    assert sum(wait > short_s for wait in waits) * call_s <= 3 * (
        BOUNDS.max_queue_s * times / (times - 1.0)
    )


def test_callers_who_wait_find_room_again_after_an_overload() -> None:
    model = Model(0.01)
    ask_steadily(model, 1000.0, 5.0)

    ask_again_and_again(model, 100, seconds=2 * FIRST_HOLD_S, began_s=5.0)
    waits = ask_again_and_again(model, 100, seconds=5.0, began_s=model.free_s)

    assert None not in waits


@pytest.mark.parametrize(
    ("after_s", "is_on"), [(0.0, True), (QUIET_S - 0.1, True), (QUIET_S, False)]
)
def test_an_overload_is_over_when_nobody_is_refused(after_s: float, *, is_on: bool) -> None:
    assert Overflow().after_refusal(100.0).is_on(100.0 + after_s) is is_on


def test_trials_become_rare_while_they_fail() -> None:
    overflow, now_s, holds = Overflow(), 0.0, []
    for _ in range(8):
        overflow = overflow.after_refusal(now_s)
        holds.append(overflow.hold_s)
        now_s += overflow.hold_s
        overflow = Overflow(overflow.began_s, now_s, overflow.hold_s)
        assert not overflow.is_on(now_s)

    assert holds == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, MOST_HOLD_S]
    assert overflow.after_refusal(now_s + 1000.0).hold_s == FIRST_HOLD_S
