from itertools import pairwise

import pytest

from gateway.serving.states import LOAD_STATES, IllegalMoveError, State, check_move


def test_a_load_goes_through_its_states_in_order() -> None:
    path = (*LOAD_STATES, State.STANDBY, State.ACTIVE, State.DRAINING, State.UNLOADING)

    moves = [check_move(before, after) for before, after in pairwise(path)]

    assert moves == list(path[1:])


@pytest.mark.parametrize("state", LOAD_STATES)
def test_every_state_of_a_load_may_fail(state: State) -> None:
    assert check_move(state, State.FAILED) is State.FAILED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.ABSENT, State.ACTIVE),
        (State.FETCHING, State.LOADING),
        (State.LOADING, State.ACTIVE),
        (State.FAILED, State.ACTIVE),
        (State.ACTIVE, State.UNLOADING),
        (State.UNLOADING, State.ACTIVE),
    ],
)
def test_no_check_can_be_skipped_and_nothing_is_freed_without_draining(
    before: State, after: State
) -> None:
    with pytest.raises(IllegalMoveError):
        check_move(before, after)
