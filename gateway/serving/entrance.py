"""Lets a request wait for one model or not, and says who has to make room for it. No I/O, no clock.

What all have to expect is ``admission``'s to say. Whoever would be turned away for those who go
behind it is let in, and the last of these are let go instead. ``pacing`` and ``gathering`` have one
for each queue.
"""

from typing import TypeVar

from msgspec import Struct

from gateway.serving.admission import Backlog, Bounds, Forecast, Machine, Shed, foresee, refuse
from gateway.serving.callers import Caller
from gateway.serving.overflow import Overflow
from gateway.serving.turns import Turns

Item = TypeVar("Item")


class Newcomer(Struct, frozen=True):
    """A request that comes.

    Args:
        caller: Who asks.
        rows: Its own; 0 while they are not known.
        deadline_s: When it is of no use any more.
    """

    caller: Caller
    rows: int
    deadline_s: float


class Entry(Struct, frozen=True):
    """What becomes of a newcomer.

    Args:
        shed: Why it is turned away; ``None`` if it may wait.
        backlog: What is before it.
        forecast: What it has to expect.
        needs_room: Whether others have to go for it.
    """

    shed: Shed | None
    backlog: Backlog
    forecast: Forecast
    needs_room: bool = False


class Entrance:
    """One per queue.

    Args:
        bounds: How far the queue may grow.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._overflow = Overflow()

    def decide(
        self, newcomer: Newcomer, turns: Turns[Item], machine: Machine, now_s: float
    ) -> Entry:
        """Decide whether a newcomer may wait."""
        entry = self._judge(
            newcomer, Backlog(len(turns), turns.rows, machine.busy_s), machine, now_s
        )
        if entry.shed is Shed.WAIT:
            self._overflow = self._overflow.after_refusal(now_s)
        if entry.shed is None or not len(turns):
            return entry
        waiting, rows = turns.ahead_of(newcomer.caller, now_s)
        if waiting == len(turns):
            return entry
        own = self._judge(newcomer, Backlog(waiting, rows, machine.busy_s), machine, now_s)
        if own.shed is not None:
            return own
        is_crowded = entry.shed is not Shed.LATE
        return Entry(None, own.backlog, own.forecast, needs_room=is_crowded)

    def _judge(self, newcomer: Newcomer, backlog: Backlog, machine: Machine, now_s: float) -> Entry:
        forecast = foresee(backlog, newcomer.rows, machine)
        left_s, is_over = newcomer.deadline_s - now_s, self._overflow.is_on(now_s)
        shed = refuse(backlog, forecast, self._bounds, remaining_s=left_s, is_over=is_over)
        return Entry(shed, backlog, forecast)


def who_makes_room(newcomer: Newcomer, turns: Turns[Item], now_s: float) -> list[Item]:
    """Return who has to go for somebody who is let in: the last, and none who goes before it."""
    going: list[Item] = []
    rows = 0
    for item, its_rows in turns.behind(newcomer.caller, now_s):
        going.append(item)
        rows += its_rows
        if rows >= newcomer.rows:
            break
    return going
