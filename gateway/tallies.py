"""Counts of the hot path: kept apart for a turn of the event loop, then added to the metrics.

A counter shared with other processes takes about a microsecond for each change: many requests that
are answered in one turn change it once. Used by ``predict`` on the event loop.
"""

import asyncio
from bisect import bisect_left

from gateway.metrics import (
    RequestLabels,
    assignment_count,
    inflight,
    request_count,
    request_duration,
)
from gateway.series import LATENCY_BUCKETS, Bound

_ANSWERED = "200"


class _Turn:
    """Those who have counted something in this turn of the event loop. Event loop only."""

    def __init__(self) -> None:
        self._counting: list[Tally | Level] = []

    def note(self, one: "Tally | Level") -> None:
        """Have someone's counts added to the metrics when the turn is over."""
        if not self._counting:
            asyncio.get_running_loop().call_soon(self.end)
        self._counting.append(one)

    def end(self) -> None:
        """Add up now."""
        counting, self._counting = self._counting, []
        for one in counting:
            one.add_up()


_turn = _Turn()


class Tally:
    """Answered requests of one series, added to the metrics once in a turn of the event loop.

    A counter shared with other processes takes about a microsecond for each change: many requests
    that are answered in one turn change it once. Event loop only.

    Args:
        labels: What they are counted under.
        reason: Why they were assigned to this variant.
    """

    def __init__(self, labels: RequestLabels, reason: str) -> None:
        series = (labels.model, labels.version, labels.variant, labels.protocol)
        self._requests = request_count(*series, _ANSWERED)
        self._duration = request_duration(*series)
        self._assignments = assignment_count(labels.model, "", labels.variant, reason)
        self._count = 0
        self._seconds = 0.0
        self._buckets = [0] * (len(LATENCY_BUCKETS) + 1)

    def add(self, seconds: float) -> None:
        """Count one request, answered with 200 after so long."""
        if not self._count:
            _turn.note(self)
        self._count += 1
        self._seconds += seconds
        self._buckets[bisect_left(LATENCY_BUCKETS, seconds)] += 1

    def add_up(self) -> None:
        """Give what was counted to the metrics."""
        self._requests.inc(self._count)
        self._assignments.inc(self._count)
        # A histogram takes one value at a time by its public method.
        self._duration._sum.inc(self._seconds)  # noqa: SLF001
        for at, count in enumerate(self._buckets):
            if count:
                self._duration._buckets[at].inc(count)  # noqa: SLF001
                self._buckets[at] = 0
        self._count, self._seconds = 0, 0.0


class Level:
    """How many requests of a model are being answered; written once in a turn. Event loop only.

    Args:
        model: The model's name.
    """

    def __init__(self, model: str) -> None:
        self.watch_at_s = 0.0
        """When the next request is to be timed phase by phase; see ``watching``."""
        self.aside_at_s = 0.0
        """When the next request is to leave the short way for that."""
        self._gauge = inflight(model)
        self._change = 0
        self._is_noted = False

    def __enter__(self) -> None:
        """Count one more."""
        self._change += 1
        if not self._is_noted:
            self._is_noted = True
            _turn.note(self)

    def __exit__(self, *_error: object) -> None:
        """Count one less."""
        self._change -= 1
        if not self._is_noted:
            self._is_noted = True
            _turn.note(self)

    def add_up(self) -> None:
        """Give the difference to the metrics."""
        change, self._change, self._is_noted = self._change, 0, False
        if change:
            self._gauge.inc(change)


level_of = Bound(Level)
