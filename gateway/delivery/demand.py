"""Who waits for a version that is not loaded: one load for all, and to each his own patience.

``predict`` asks on the event loop; whoever sees that the manager has changed calls ``settle``.
"""

import asyncio
import threading
from typing import Protocol

from registry.route import VersionKey, VersionRecord
from tracking.errors import ModelNotReady


class Loads(Protocol):
    """What loads versions that are asked for; ``serving.Manager`` is one."""

    def ask(self, record: VersionRecord) -> None:
        """Load a version, unless it is here."""

    def give_up(self, key: VersionKey, *, only_failed: bool = False) -> None:
        """Unload a version that was asked for, or forget its failure, unless a route names it."""

    def is_ready(self, key: VersionKey) -> bool:
        """Whether a version can answer here and now."""

    def why(self, key: VersionKey) -> str | None:
        """Return why a version cannot."""


class Demand:
    """Who waits for which version. Safe from any thread.

    Args:
        loads: What loads them.
    """

    def __init__(self, loads: Loads) -> None:
        self._loads = loads
        self._lock = threading.Lock()
        self._waiting: dict[VersionKey, list[asyncio.Future[None]]] = {}

    def ask(self, record: VersionRecord) -> asyncio.Future[None]:
        """Want a version loaded; the future ends when it is ready, or raises ``ModelNotReady``."""
        future = asyncio.get_running_loop().create_future()
        self._loads.ask(record)
        with self._lock:
            self._waiting.setdefault(record.key, []).append(future)
        self.settle()  # it may have arrived, or failed, before anybody was known to wait
        return future

    def drop(self, key: VersionKey) -> None:
        """Want a version no more; who waits for it is told."""
        self._loads.give_up(key)
        with self._lock:
            self._release(key, "it was unloaded")

    def settle(self) -> None:
        """Answer whoever waits for a version that is ready now, or has failed."""
        if not self._waiting:
            return
        failed = []
        with self._lock:
            for key in list(self._waiting):
                problem = self._loads.why(key)
                if self._loads.is_ready(key):
                    self._release(key, None)
                elif problem is not None:
                    self._release(key, problem)
                    failed.append(key)
        for key in failed:
            # Only if nobody has asked anew meanwhile, and begun another load.
            self._loads.give_up(key, only_failed=True)

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
