"""Versions that were called by number and are not in any route: loaded when asked for, a few kept.

``predict`` asks on the event loop; the reconciler's thread reads what is wanted and answers.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable

from registry.route import VersionKey, VersionRecord
from tracking.errors import ModelNotReady

KEPT = 4
"""How many such versions stay loaded; the one not asked for longest goes first."""


class Demand:
    """Who waits for which version. Safe from any thread.

    Args:
        wake: Called when something new is wanted.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._wanted: OrderedDict[VersionKey, VersionRecord] = OrderedDict()
        self._waiting: dict[VersionKey, list[asyncio.Future[None]]] = {}
        self._dropped: set[VersionKey] = set()

    def ask(self, record: VersionRecord) -> asyncio.Future[None]:
        """Want a version loaded; the future ends when it is ready, or raises ``ModelNotReady``."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            self._wanted[record.key] = record
            self._wanted.move_to_end(record.key)
            while len(self._wanted) > KEPT:
                dropped, _ = self._wanted.popitem(last=False)
                self._release(dropped, "too many other versions were asked for at once")
            self._waiting.setdefault(record.key, []).append(future)
        self._wake()
        return future

    def wanted(self) -> dict[VersionKey, VersionRecord]:
        """Return what should be loaded besides the routes."""
        with self._lock:
            return dict(self._wanted)

    def drop(self, key: VersionKey) -> None:
        """Want a version no more; who waits for it is told."""
        with self._lock:
            self._wanted.pop(key, None)
            self._dropped.add(key)
            self._release(key, "it was unloaded")
        self._wake()

    def take_dropped(self) -> set[VersionKey]:
        """Return what was dropped since the last call."""
        with self._lock:
            dropped, self._dropped = self._dropped - self._wanted.keys(), set()
        return dropped

    def settle(
        self, is_ready: Callable[[VersionKey], bool], why: Callable[[VersionKey], str | None]
    ) -> None:
        """Answer whoever waits for a version that is ready now, or has failed."""
        with self._lock:
            for key in list(self._waiting):
                problem = why(key)
                if is_ready(key):
                    self._release(key, None)
                elif problem is not None:
                    self._release(key, problem)
                    self._wanted.pop(key, None)

    def _release(self, key: VersionKey, problem: str | None) -> None:
        for future in self._waiting.pop(key, ()):
            future.get_loop().call_soon_threadsafe(_finish, future, key, problem)


def _finish(future: "asyncio.Future[None]", key: VersionKey, problem: str | None) -> None:
    if future.done():
        return
    if problem is None:
        future.set_result(None)
        return
    message = f"version {key.version} of {key.model!r} cannot answer: {problem}"
    future.set_exception(ModelNotReady(message))
