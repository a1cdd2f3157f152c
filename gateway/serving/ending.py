"""Tells a worker that a process has ended, also when what it started holds its socket open."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

_LAST_WORDS_S = 0.1
"""What a process said just before it ended is read within this time."""
OUTSIDE_SIGNALS = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""A process ended by one of these was ended by somebody else, or for lack of memory."""


def describe_end(code: int) -> str:
    """Say how a process ended, to complete the sentence "its process …"."""
    if code >= 0:
        return f"ended with exit code {code}"
    with suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


class Ending:
    """One per runner. Event loop only.

    Args:
        on_end: Called shortly after the end, unless this was closed before.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm = -1
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, alarm: int) -> None:
        """Begin to watch, on the running event loop.

        Args:
            alarm: A descriptor that is readable once the process has ended.
        """
        # Of its own: a loop must not watch what another thread may close.
        self._alarm = os.dup(alarm)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._alarm, self._ring, self._loop)

    def close(self) -> None:
        """Watch no more."""
        self._silence()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._silence()
        self._timer = loop.call_later(_LAST_WORDS_S, self._on_end)

    def _silence(self) -> None:
        if self._loop is not None and self._alarm >= 0:
            self._loop.remove_reader(self._alarm)
            os.close(self._alarm)
            self._alarm = -1
