"""What the metrics learn of loads: every state a version is in, how long, and how it failed.

The manager's ``on_change`` calls it, in whichever thread changed something.
"""

import threading
import time
from collections.abc import Callable, Mapping

from gateway.metrics import (
    observe_load_failure,
    observe_load_phase,
    observe_reload,
    observe_state,
)
from gateway.serving.inventory import Seen
from gateway.serving.states import LOAD_STATES, READY_STATES, State
from registry.route import VersionKey


class StateMetrics:
    """Compares what is held with what was held before. Safe from any thread.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[VersionKey, Seen] = {}
        self._since_s: dict[VersionKey, float] = {}

    def follow(self, view: Mapping[VersionKey, Seen]) -> None:
        """Count what has changed since the last call."""
        with self._lock:
            now_s = self._clock()
            for key in self._last.keys() | view.keys():
                before, after = self._last.get(key), view.get(key)
                if before != after:
                    self._count(key, before, after, now_s - self._since_s.get(key, now_s))
                    self._since_s[key] = now_s
            self._last = dict(view)
            self._since_s = {key: self._since_s[key] for key in view}

    def _count(
        self, key: VersionKey, before: Seen | None, after: Seen | None, elapsed_s: float
    ) -> None:
        was = before.state if before else State.ABSENT
        now = after.state if after else State.ABSENT
        if was is not now:
            observe_state(key.model, str(key.version), _shown(was), _shown(now))
        if was in LOAD_STATES[1:] and was is not now:
            observe_load_phase(key.model, was, elapsed_s)
        if now in READY_STATES and was in LOAD_STATES:
            observe_reload(key.model)
        if now is State.FAILED and after is not None and after.failure is not None:
            kind = "permanent" if after.failure.retry_at_s is None else "transient"
            observe_load_failure(key.model, after.failure.stage, kind)


def _shown(state: State) -> str:
    return "" if state is State.ABSENT else str(state)
