"""How many calls a version was asked for, and of how many rows. Event loop only.

A counter shared between processes takes a microsecond for each change: calls are counted here and
given to the metrics a few times a second.
"""

import asyncio
import weakref
from typing import Protocol

from gateway.work_metrics import observe_calls
from registry.route import VersionKey

FLUSH_EVERY_S = 0.25


class Named(Protocol):
    """What is counted: a model may be renamed while it answers."""

    key: VersionKey


class CallMeter:
    """Counts the calls of one version.

    It does not hold its owner: a version that is unloaded frees its memory at once, and not when
    the next look at the counts is due.

    Args:
        owner: Whose calls; calls ``flush`` when it closes.
    """

    def __init__(self, owner: Named) -> None:
        self._owner = weakref.ref(owner)
        self._sizes: dict[int, int] = {}

    def add(self, rows: int) -> None:
        """Count one call of so many rows."""
        sizes = self._sizes
        if not sizes:
            asyncio.get_running_loop().call_later(FLUSH_EVERY_S, self.flush)
        sizes[rows] = sizes.get(rows, 0) + 1

    def flush(self) -> None:
        """Give what was counted to the metrics."""
        owner = self._owner()
        if self._sizes and owner is not None:
            sizes, self._sizes = self._sizes, {}
            observe_calls(owner.key.model, str(owner.key.version), sizes)
