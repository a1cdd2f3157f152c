"""Who may wait for a model, and for how long: what is refused at once instead of too late. Pure.

``runner`` and ``gathering`` ask for each request that would have to wait; ``gateway.intake`` shares
what all models may hold by ``fits``.
"""

import math
from enum import StrEnum

from msgspec import Struct

from gateway.serving.cost import Cost

_PATIENCE_CALLS = 2.0
"""How many whole calls somebody waits, where these are longer than a queue may be."""

_PATIENCE = 1.5
"""How much longer than foreseen somebody waits: forecasts err, and who has waited should get it."""


class Shed(StrEnum):
    """Why a request is turned away or let go without having been executed."""

    FULL = "queue_full"
    """As many wait as may."""
    WAIT = "predicted_wait"
    """It would have to wait too long."""
    LATE = "deadline"
    """It would not be answered within its own time, or its time ended while it waited."""
    WAITED = "waited"
    """It has waited longer than anybody should: calls took longer than foreseen."""
    DISPLACED = "displaced"
    """It had to make room for somebody with a higher priority, or with fewer requests waiting."""
    BYTES = "bytes"
    """Too many bytes are held, for this model or for all."""
    REQUESTS = "requests"
    """Too many requests are held, for this model or for all."""


class Bounds(Struct, frozen=True):
    """How far a queue may grow.

    Args:
        max_waiting: Requests that wait.
        max_queue_s: Predicted wait, in a burst.
        standing_s: Predicted wait, while the queue has run over; a full call, where that is longer.
    """

    max_waiting: int
    max_queue_s: float
    standing_s: float


class Backlog(Struct, frozen=True):
    """What a request finds before it.

    Args:
        waiting: Requests that wait.
        rows: Theirs.
        busy_s: How long the call under way will still take.
    """

    waiting: int
    rows: int
    busy_s: float


class Machine(Struct, frozen=True):
    """What answers.

    Args:
        cost: What its calls take.
        max_rows: How many rows go in one.
        busy_s: How long the call under way will still take.
        is_alone: Whether each request has a call of its own.
    """

    cost: Cost
    max_rows: int
    busy_s: float
    is_alone: bool = False


class Forecast(Struct, frozen=True):
    """What a request that is let in has to expect.

    Args:
        wait_s: Until its call begins.
        call_s: What that takes.
        full_s: What a full call takes.
        is_next: Whether it goes in the very next call.
    """

    wait_s: float
    call_s: float
    full_s: float
    is_next: bool


def foresee(backlog: Backlog, rows: int, machine: Machine) -> Forecast:
    """Say when a request's call would begin, and how long that would take.

    Args:
        backlog: What is before it.
        rows: Its own.
        machine: What answers.
    """
    cost, max_rows = machine.cost, machine.max_rows
    if machine.is_alone:
        own_s = cost.of(rows) if backlog.waiting else cost.as_seen(rows)
        each_s = cost.of(backlog.rows / max(backlog.waiting, 1))
        wait_s = backlog.busy_s + backlog.waiting * each_s
        return Forecast(wait_s, own_s, own_s, is_next=not backlog.waiting)
    calls, rest = divmod(backlog.rows, max_rows)
    if rest and rest + rows > max_rows:
        calls, rest = calls + 1, 0
    full_s = cost.of(max_rows)
    wait_s = backlog.busy_s + calls * full_s
    # Nobody is turned away for what a guess makes of a large request, when nobody waits besides.
    own_s = cost.of(rest + rows) if backlog.waiting else cost.as_seen(rest + rows)
    return Forecast(wait_s, own_s, full_s, is_next=calls == 0)


def refuse(
    backlog: Backlog, forecast: Forecast, bounds: Bounds, *, remaining_s: float, is_over: bool
) -> Shed | None:
    """Decide whether a request is turned away; ``None`` lets it wait.

    Who goes in the very next call is not turned away for the length of the queue: without somebody
    waiting, a model would idle between calls.

    Args:
        backlog: What is before it.
        forecast: What it has to expect.
        bounds: How far the queue may grow.
        remaining_s: Its own time.
        is_over: Whether the queue has run over: see ``overflow``.
    """
    if backlog.waiting >= bounds.max_waiting:
        return Shed.FULL
    if forecast.wait_s + forecast.call_s > remaining_s:
        return Shed.LATE
    if forecast.is_next:
        return None
    limit_s = max(bounds.standing_s, forecast.full_s) if is_over else bounds.max_queue_s
    return Shed.WAIT if forecast.wait_s > limit_s else None


def patience_s(bounds: Bounds, call_s: float | None) -> float:
    """Return how long somebody waits at the most, whatever was foreseen.

    Args:
        bounds: How far the queue may grow.
        call_s: What a full call takes; ``None`` while no call has ended yet.
    """
    if call_s is None:
        return math.inf
    return max(_PATIENCE * bounds.max_queue_s, _PATIENCE_CALLS * call_s)


def busy_s(expected_s: float, elapsed_s: float) -> float:
    """Return how long a call will still take; one that is overdue, as long as it is overdue."""
    return abs(expected_s - elapsed_s)


def fits(size: int, own: int, total: int, limit: int) -> bool:
    """Decide whether a model may hold so much more: as much as is left for all the others.

    So one model alone gets half of the limit, two a third each, and there is always room for the
    next one (Choudhury and Hahne, dynamic queue length thresholds, 1998). What is larger than half
    of the limit is let in when nothing else is held.

    Args:
        size: What it asks for.
        own: What it holds.
        total: What all hold.
        limit: What all may hold.
    """
    return size <= limit if total == 0 else own + size <= limit - total
