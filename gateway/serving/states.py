"""The states of a version in one worker, and the moves between them. Pure."""

from enum import StrEnum


class State(StrEnum):
    """How far a version has come in this worker."""

    ABSENT = "ABSENT"
    """Nothing of it is here."""
    FETCHING = "FETCHING"
    """Its files are on their way into the host's cache."""
    VERIFYING = "VERIFYING"
    """The bytes that will be loaded are being compared with the digest."""
    BUILDING = "BUILDING"
    """The environment that it needs is being built, if that is another one than the server's."""
    LOADING = "LOADING"
    """A process of its own unpickles it."""
    WARMING = "WARMING"
    """It answers its input example, again and again."""
    TESTING = "TESTING"
    """Its answers are being compared with what its signature promises."""
    STANDBY = "STANDBY"
    """Loaded and proved, and kept although nothing asks for it now."""
    ACTIVE = "ACTIVE"
    """Loaded, proved and aspired: it answers."""
    DRAINING = "DRAINING"
    """It answers whom it was promised to, and nobody else."""
    UNLOADING = "UNLOADING"
    """It is being taken down."""
    FAILED = "FAILED"
    """It cannot answer here; the failure says why and whether it is tried again."""


LOAD_STATES = (
    State.ABSENT,
    State.FETCHING,
    State.VERIFYING,
    State.BUILDING,
    State.LOADING,
    State.WARMING,
    State.TESTING,
)
"""In the order of a load; any of them may fail, and any but the first may be called off."""

READY_STATES = frozenset({State.STANDBY, State.ACTIVE})
"""A lease is given, and a route may point here."""

_MOVES: dict[State, frozenset[State]] = {
    State.ABSENT: frozenset({State.FETCHING, State.FAILED}),
    # A cached copy that is refused by VERIFYING is fetched anew.
    State.FETCHING: frozenset({State.VERIFYING, State.FAILED, State.ABSENT}),
    # Most versions need no environment of their own.
    State.VERIFYING: frozenset(
        {State.FETCHING, State.BUILDING, State.LOADING, State.FAILED, State.ABSENT}
    ),
    State.BUILDING: frozenset({State.LOADING, State.FAILED, State.ABSENT}),
    # Without an input example there is nothing to warm up or test with.
    State.LOADING: frozenset({State.WARMING, State.STANDBY, State.FAILED, State.ABSENT}),
    State.WARMING: frozenset({State.TESTING, State.FAILED, State.ABSENT}),
    # A process that died over making an engine is followed by one that makes none.
    State.TESTING: frozenset({State.STANDBY, State.LOADING, State.FAILED, State.ABSENT}),
    State.STANDBY: frozenset({State.ACTIVE, State.DRAINING, State.FAILED}),
    State.ACTIVE: frozenset({State.STANDBY, State.DRAINING, State.FAILED}),
    State.DRAINING: frozenset({State.ACTIVE, State.STANDBY, State.UNLOADING}),
    State.UNLOADING: frozenset({State.ABSENT}),
    State.FAILED: frozenset({State.FETCHING, State.ABSENT}),
}


class IllegalMoveError(RuntimeError):
    """A bug of ours: this state does not follow that one."""


def check_move(before: State, after: State) -> State:
    """Return the second state.

    Raises:
        IllegalMoveError: It does not follow the first.
    """
    if after not in _MOVES[before]:
        raise IllegalMoveError(f"{before} is not followed by {after}.")
    return after
