from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.serving.policy import Held, Plan, Retention, choose, delay_s, may_retry
from gateway.serving.states import LOAD_STATES, READY_STATES, State
from registry.route import VersionKey

NOW_S = 1000.0
KEPT = Retention(window_s=60.0, count=1)


def held(number: int, state: State, *, is_aspired: bool = True, **others: Any) -> Held:
    dropped_at_s = others.pop("dropped_at_s", None if is_aspired else NOW_S)
    return Held(_key(number), state, is_aspired, dropped_at_s=dropped_at_s, **others)


def _key(number: int) -> VersionKey:
    return VersionKey("iris", number, "")


ONE, TWO, THREE = map(_key, (1, 2, 3))


@pytest.mark.parametrize(
    ("given_held", "plan"),
    [
        ([], Plan()),
        ([held(1, State.ABSENT), held(2, State.ABSENT)], Plan(load=ONE)),
        ([held(1, State.LOADING), held(2, State.ABSENT)], Plan()),
        ([held(1, State.FAILED)], Plan()),
        ([held(1, State.FAILED, retry_at_s=NOW_S)], Plan(load=ONE)),
        ([held(1, State.FAILED, retry_at_s=NOW_S + 5)], Plan(wake_at_s=NOW_S + 5)),
        ([held(1, State.FAILED, retry_at_s=1.0, attempt=2), held(2, State.ABSENT)], Plan(load=TWO)),
        ([held(1, State.STANDBY)], Plan(activate=(ONE,))),
        ([held(1, State.DRAINING)], Plan(activate=(ONE,))),
        ([held(1, State.ACTIVE)], Plan()),
        ([held(1, State.FETCHING, is_aspired=False)], Plan(cancel=(ONE,))),
        ([held(1, State.FAILED, is_aspired=False)], Plan(forget=(ONE,))),
        ([held(1, State.ABSENT, is_aspired=False)], Plan(forget=(ONE,))),
        ([held(1, State.ACTIVE, is_aspired=False)], Plan(keep=(ONE,), wake_at_s=NOW_S + 60)),
        ([held(1, State.STANDBY, is_aspired=False)], Plan(wake_at_s=NOW_S + 60)),
        ([held(1, State.STANDBY, is_aspired=False, dropped_at_s=940.0)], Plan(drain=(ONE,))),
        (
            [
                held(1, State.STANDBY, is_aspired=False, dropped_at_s=990.0),
                held(2, State.STANDBY, is_aspired=False, dropped_at_s=980.0),
            ],
            Plan(drain=(TWO,), wake_at_s=1050.0),
        ),
        ([held(1, State.DRAINING, is_aspired=False)], Plan(unload=(ONE,))),
        ([held(1, State.DRAINING, is_aspired=False, leases=1)], Plan()),
        ([held(1, State.UNLOADING)], Plan()),
    ],
)
def test_what_is_done_for_what_is_held(given_held: list[Held], plan: Plan) -> None:
    assert choose(given_held, KEPT, now_s=NOW_S) == plan


_anything = st.builds(
    Held,
    key=st.builds(_key, st.integers(1, 5)),
    state=st.sampled_from(State),
    is_aspired=st.booleans(),
    leases=st.integers(0, 2),
    attempt=st.integers(0, 3),
    dropped_at_s=st.none() | st.floats(900, 1000),
    retry_at_s=st.none() | st.floats(900, 1100),
)


@settings(deadline=None)
@given(st.lists(_anything, unique_by=lambda one: one.key))
def test_no_choice_breaks_a_promise(everything: list[Held]) -> None:
    plan = choose(everything, KEPT, now_s=NOW_S)

    by_key = {one.key: one for one in everything}
    assert all(by_key[key].leases == 0 for key in plan.unload)
    assert all(by_key[key].state in READY_STATES for key in (*plan.drain, *plan.keep))
    dropped = (*plan.keep, *plan.drain, *plan.unload, *plan.cancel, *plan.forget)
    assert not any(by_key[key].is_aspired for key in dropped)
    if plan.load is not None:
        assert by_key[plan.load].is_aspired
        assert not any(one.state in LOAD_STATES[1:] for one in everything)
    assert plan.wake_at_s is None or plan.wake_at_s > NOW_S


@pytest.mark.parametrize(
    ("failures", "longest_s"), [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0), (7, 60.0), (10**6, 60.0)]
)
def test_delays_double_up_to_a_minute(failures: int, longest_s: float) -> None:
    assert delay_s(failures, chance=1.0) == longest_s
    assert delay_s(failures, chance=0.0) == 0.0


@pytest.mark.parametrize(
    ("stage", "attempt", "is_transient", "expected"),
    [
        (State.FETCHING, 1000, True, True),
        (State.ACTIVE, 1000, True, True),
        (State.LOADING, 4, True, True),
        (State.LOADING, 5, True, False),
        (State.WARMING, 5, True, False),
        (State.LOADING, 1, False, False),
        (State.FETCHING, 1, False, False),
    ],
)
def test_a_load_is_given_up_a_download_is_not(
    stage: State, attempt: int, *, is_transient: bool, expected: bool
) -> None:
    assert may_retry(stage, attempt, is_transient=is_transient) is expected
