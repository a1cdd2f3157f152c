"""What is known of the calls of one runner, and what follows for those who wait. Event loop only.

Used by ``queueing``: it tells when a call begins and ends, and asks whom to let in and how many go
together. What follows from what is ``admission``'s, ``cost``'s and ``concurrency``'s choice.
"""

import time

from msgspec import Struct

from gateway.overload_settings import ADAPTIVE, OverloadSettings
from gateway.serving import admission
from gateway.serving.admission import Backlog, Bounds, Forecast, Machine, foresee
from gateway.serving.asks import Ask, Asks
from gateway.serving.concurrency import Concurrency, adaptive, fixed
from gateway.serving.cost import CallTimes
from gateway.serving.entrance import Entrance, Newcomer, who_makes_room
from gateway.serving.failure import Overloaded, name_version
from registry.route import VersionKey

_MS = 1e-3
_LONGEST_S = 3600.0
"""What a process says of itself is believed within bounds."""


class QueueLimits(Struct, frozen=True):
    """How a queue is held.

    Args:
        bounds: How far it may grow.
        target_s: How long a call that requests share should take.
        concurrency: How many requests go in one call, at the start.
    """

    bounds: Bounds = Bounds(max_waiting=1000, max_queue_s=2.0, standing_s=0.1)
    target_s: float = 0.25
    concurrency: Concurrency = fixed(1024)


def queue_limits(overload: OverloadSettings) -> QueueLimits:
    """Return how queues are held, by the settings."""
    bounds = Bounds(overload.max_waiting, overload.max_queue_ms * _MS, overload.standing_ms * _MS)
    make = adaptive if overload.concurrency == ADAPTIVE else fixed
    return QueueLimits(bounds, overload.max_call_ms * _MS, make(overload.max_concurrency))


class Pacing:
    """One per runner.

    Args:
        limits: How its queue is held.
        max_rows: Cap on the rows of one call.
        is_alone: Whether each request has a call of its own.
    """

    def __init__(self, limits: QueueLimits, max_rows: int, *, is_alone: bool = False) -> None:
        self._limits = limits
        self._cap = max_rows
        self._times = CallTimes()
        self._is_alone = is_alone
        self._concurrency = fixed(1) if is_alone else limits.concurrency
        self._entrance = Entrance(limits.bounds)
        self._began_s = 0.0
        self._expected_s = 0.0
        self._rows = 0

    @property
    def max_rows(self) -> int:
        """How many rows go in the next call; a request with more goes alone."""
        return self._times.max_rows(self._limits.target_s, self._cap)

    @property
    def max_requests(self) -> int:
        """How many requests go in it."""
        return self._concurrency.requests

    @property
    def patience_s(self) -> float:
        """How long anybody waits."""
        full_s = self._full_s if self._times.is_known else None
        return admission.patience_s(self._limits.bounds, full_s)

    def learn(self, rows: int, seconds: float) -> None:
        """Take in how long a call took that nobody waited for."""
        if rows > 0 and 0.0 < seconds < _LONGEST_S:
            self._times = self._times.after(rows, seconds)

    def begin(self, rows: int) -> None:
        """Note that a call begins."""
        self._began_s = time.monotonic()
        self._expected_s = self._times.cost.of(rows)
        self._rows = rows

    def end(self) -> None:
        """Note that it has been answered."""
        taken_s = time.monotonic() - self._began_s
        self.learn(self._rows, taken_s)
        self._concurrency = self._concurrency.after(taken_s)
        self._rows = 0

    def check(self, key: VersionKey, asks: Asks, newcomer: Newcomer) -> list[Ask]:
        """Let a request wait, or turn it away.

        Args:
            key: The version, for the sentence.
            asks: Those who wait.
            newcomer: The request.

        Returns:
            Who has to make room for it.

        Raises:
            Overloaded: It should not wait.
        """
        now_s = time.monotonic()
        if not self._rows and not len(asks) and newcomer.deadline_s > now_s:
            return []  # whatever calls took before, this one shows what they take now
        machine = self._machine(now_s)
        entry = self._entrance.decide(newcomer, asks.turns, machine, now_s)
        if entry.shed is not None:
            message = _say(entry.shed, name_version(key), entry.backlog, entry.forecast)
            raise Overloaded(message, entry.shed, drain_s=entry.forecast.wait_s)
        return who_makes_room(newcomer, asks.turns, now_s) if entry.needs_room else []

    def drain_s(self, asks: Asks) -> float:
        """Return how long those who wait will take."""
        backlog = Backlog(len(asks), asks.turns.rows, self._busy_s(time.monotonic()))
        return foresee(backlog, 0, self._machine(time.monotonic())).wait_s

    @property
    def _full_s(self) -> float:
        """What the longest call takes that requests share; or any, where they share none."""
        return self._times.seconds if self._is_alone else self._times.cost.of(self.max_rows)

    def _machine(self, now_s: float) -> Machine:
        cost, busy_s = self._times.cost, self._busy_s(now_s)
        return Machine(cost, self.max_rows, busy_s, is_alone=self._is_alone)

    def _busy_s(self, now_s: float) -> float:
        if not self._rows:
            return 0.0
        return admission.busy_s(self._expected_s, now_s - self._began_s)


def _say(shed: admission.Shed, version: str, backlog: Backlog, forecast: Forecast) -> str:
    told = f"{version} has {backlog.waiting} requests waiting"
    match shed:
        case admission.Shed.FULL:
            return f"{told}, as many as it may: try again shortly."
        case admission.Shed.LATE:
            needed_s = forecast.wait_s + forecast.call_s
            return f"{told} and would not answer in time: it needs {needed_s:.3g} s."
        case _:
            return f"{told}, {forecast.wait_s:.3g} s of work: try again then."
