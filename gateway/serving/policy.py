"""What a worker loads next, keeps and drops: the manager's choices. Pure."""

from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct

from gateway.serving.states import LOAD_STATES, READY_STATES, State
from registry.route import VersionKey

MOST_LOADS = 3
"""How many loads are under way at most."""

_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_LOAD_TRIES = 5
_COSTLY_STATES = frozenset({State.BUILDING, State.LOADING, State.WARMING, State.TESTING})
_IDLE_STATES = frozenset({State.STANDBY, State.DRAINING})


class Urgency(IntEnum):
    """Which loads go first."""

    ASKED = 0
    """Somebody waits for it now."""
    DUE = 1
    """This worker is not complete without it."""
    SPARE = 2
    """It should be there, and can wait."""


class Held(Struct, frozen=True):
    """One version as the manager holds it.

    Args:
        key: Its identity.
        state: How far it is.
        is_aspired: Whether this worker should hold it.
        leases: How many requests it is promised to.
        attempt: How many tries in a row have failed.
        dropped_at_s: When it stopped being aspired; none while it is.
        retry_at_s: When a FAILED one is tried again; none if it is not.
        urgency: How soon it is loaded, compared with others.
        idle_at_s: When it is unloaded if nobody asks for it before; none for what routes name.
    """

    key: VersionKey
    state: State
    is_aspired: bool
    leases: int = 0
    attempt: int = 0
    dropped_at_s: float | None = None
    retry_at_s: float | None = None
    urgency: Urgency = Urgency.DUE
    idle_at_s: float | None = None


class Retention(Struct, frozen=True):
    """How long versions that are no longer aspired stay loaded, for a quick way back.

    Args:
        window_s: Seconds since they were dropped.
        count: How many of them at most, the latest dropped first.
    """

    window_s: float = 900.0
    count: int = 2


class Plan(Struct, frozen=True):
    """What to do now.

    Args:
        load: The version to load next, when that may begin now.
        activate: Loaded and aspired: to ACTIVE.
        keep: Loaded and no longer aspired: to STANDBY.
        drain: Loaded and no longer worth keeping.
        unload: Drained, and nobody holds it.
        cancel: Being loaded, and no longer aspired.
        forget: Failed, or never begun, and no longer aspired.
        idle: Loaded because somebody asked, which nobody has done for long enough.
        wake_at_s: When something changes by the clock alone.
    """

    load: VersionKey | None = None
    activate: tuple[VersionKey, ...] = ()
    keep: tuple[VersionKey, ...] = ()
    drain: tuple[VersionKey, ...] = ()
    unload: tuple[VersionKey, ...] = ()
    cancel: tuple[VersionKey, ...] = ()
    forget: tuple[VersionKey, ...] = ()
    idle: tuple[VersionKey, ...] = ()
    wake_at_s: float | None = None


def choose(held: Sequence[Held], retention: Retention, *, now_s: float) -> Plan:
    """Choose what to do so that loaded becomes aspired.

    Args:
        held: Every version that the manager knows, in the order in which they were aspired.
        retention: What is kept for a way back.
        now_s: The time, on the clock of ``dropped_at_s`` and ``retry_at_s``.
    """
    dropped = [one for one in held if not one.is_aspired]
    standby = _choose_standby(dropped, retention, now_s)
    loaded = [one for one in dropped if one.state in READY_STATES]
    return Plan(
        load=_choose_load(held, now_s),
        activate=tuple(x.key for x in held if x.is_aspired and x.state in _IDLE_STATES),
        keep=tuple(x.key for x in loaded if x.key in standby and x.state is State.ACTIVE),
        drain=tuple(x.key for x in loaded if x.key not in standby),
        unload=tuple(x.key for x in dropped if x.state is State.DRAINING and not x.leases),
        cancel=tuple(x.key for x in dropped if x.state in LOAD_STATES[1:]),
        forget=tuple(x.key for x in dropped if x.state in (State.FAILED, State.ABSENT)),
        idle=tuple(x.key for x in held if _is_idle(x, now_s)),
        wake_at_s=_find_wake(held, standby, now_s),
    )


def may_retry(stage: State, attempt: int, *, is_transient: bool) -> bool:
    """Whether a version that failed is tried again by itself.

    Fetching is tried for ever: a store that is down for an hour must not cost a version. A load
    that fails again and again holds up all others each time, and is given up.

    Args:
        stage: The state in which it failed.
        attempt: How many tries in a row have failed.
        is_transient: Whether the same bytes may load at another time.
    """
    return is_transient and (stage not in _COSTLY_STATES or attempt < _LOAD_TRIES)


def delay_s(failures: int, *, chance: float) -> float:
    """Return how long to wait before the next try: exponential, with full jitter.

    Args:
        failures: How many tries in a row have failed; 0 waits for nothing.
        chance: Uniform in [0, 1).
    """
    if failures < 1:
        return 0.0
    return chance * min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(failures - 1, 16))


def _choose_load(held: Sequence[Held], now_s: float) -> VersionKey | None:
    """What has failed least often goes first: a bad one delays no other.

    One at a time; a few more only of those that somebody waits for, so that one that hangs does not
    hold up the others.
    """
    loading = sum(one.state in LOAD_STATES[1:] for one in held)
    due = [one for one in held if one.is_aspired and _is_due(one, now_s)]
    if loading:
        due = [one for one in due if one.urgency is Urgency.ASKED]
    if loading >= MOST_LOADS or not due:
        return None
    return min(due, key=lambda one: (one.attempt, one.urgency)).key


def _is_idle(one: Held, now_s: float) -> bool:
    if not one.is_aspired or one.state not in READY_STATES or one.leases:
        return False
    return one.idle_at_s is not None and one.idle_at_s <= now_s


def _is_due(one: Held, now_s: float) -> bool:
    if one.state is State.ABSENT:
        return True
    return one.state is State.FAILED and one.retry_at_s is not None and one.retry_at_s <= now_s


def _choose_standby(
    dropped: Sequence[Held], retention: Retention, now_s: float
) -> dict[VersionKey, float]:
    """Return what is kept, and until when."""
    until = {
        one.key: one.dropped_at_s + retention.window_s
        for one in dropped
        if one.dropped_at_s is not None and one.state in READY_STATES
    }
    latest = sorted(until, key=lambda key: until[key], reverse=True)[: retention.count]
    return {key: until[key] for key in latest if until[key] > now_s}


def _find_wake(
    held: Sequence[Held], standby: dict[VersionKey, float], now_s: float
) -> float | None:
    retries = [
        one.retry_at_s
        for one in held
        if one.is_aspired and one.state is State.FAILED and one.retry_at_s is not None
    ]
    idle = [one.idle_at_s for one in held if one.is_aspired and one.idle_at_s is not None]
    later = [at_s for at_s in (*retries, *standby.values(), *idle) if at_s > now_s]
    return min(later, default=None)
