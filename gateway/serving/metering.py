"""How many calls a version was asked for, and of how many rows. Event loop only.

A counter shared between processes takes a microsecond for each change: calls are counted here and
given to the metrics a few times a second.
"""

import asyncio
from typing import Protocol

from gateway.work_metrics import observe_calls
from registry.route import VersionKey

FLUSH_EVERY_S = 0.25


class Named(Protocol):
    """What is counted: a model may be renamed while it answers."""

    key: VersionKey


class CallMeter:
    """Counts the calls of one version.

    Args:
        owner: Whose calls.
    """

    def __init__(self, owner: Named) -> None:
        self._owner = owner
        self._sizes: dict[int, int] = {}

    def add(self, rows: int) -> None:
        """Count one call of so many rows."""
        sizes = self._sizes
        if not sizes:
            asyncio.get_running_loop().call_later(FLUSH_EVERY_S, self.flush)
        sizes[rows] = sizes.get(rows, 0) + 1

    def flush(self) -> None:
        """Give what was counted to the metrics."""
        if self._sizes:
            sizes, self._sizes = self._sizes, {}
            key = self._owner.key
            observe_calls(key.model, str(key.version), sizes)
