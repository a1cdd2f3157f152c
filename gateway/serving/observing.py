"""What the metrics learn of loads: every state a version is in, how long, and how it failed.

The manager's ``on_change`` calls it, in whichever thread changed something.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from gateway.memory_metrics import MEMORY, MODEL_MEMORY, UNRELEASED
from gateway.metrics import (
    observe_load_failure,
    observe_load_phase,
    observe_reload,
    observe_state,
    shown_names,
)
from gateway.series import Bound
from gateway.serving.inventory import Seen
from gateway.serving.states import LOAD_STATES, READY_STATES, State
from registry.route import VersionKey

_memory = Bound(MODEL_MEMORY.labels)
_unreleased = Bound(UNRELEASED.labels)


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

    def follow(
        self, view: Mapping[VersionKey, Seen], changed: Iterable[VersionKey] | None = None
    ) -> None:
        """Count what has changed since the last call.

        Args:
            view: What is held.
            changed: Of which versions that may be something else than before; none means any.
        """
        with self._lock:
            now_s = self._clock()
            for key in view.keys() | self._last.keys() if changed is None else changed:
                before, after = self._last.pop(key, None), view.get(key)
                if after is not None:
                    self._last[key] = after
                if before is after:  # what has not changed is the same object
                    continue
                self._count(key, before, after, now_s - self._since_s.pop(key, now_s))
                if after is not None:
                    self._since_s[key] = now_s

    def _count(
        self, key: VersionKey, before: Seen | None, after: Seen | None, elapsed_s: float
    ) -> None:
        was, took = (before.state, before.size_bytes) if before else (State.ABSENT, 0)
        now, takes = (after.state, after.size_bytes) if after else (State.ABSENT, 0)
        if took != takes:
            # By steps, because models beyond those that have a series of their own share one.
            _memory(*shown_names(key.model, str(key.version))).inc(takes - took)
            MEMORY.labels("held").inc(takes - took)
        if _is_leaving(was) is not _is_leaving(now):
            _unreleased(key.model).inc(1 if _is_leaving(now) else -1)
        if was is not now:
            observe_state(key.model, str(key.version), _shown(was), _shown(now))
        if was in LOAD_STATES[1:] and was is not now:
            observe_load_phase(key.model, was, elapsed_s)
        if now in READY_STATES and was in LOAD_STATES:
            observe_reload(key.model)
        if now is State.FAILED and after is not None and after.failure is not None:
            kind = "permanent" if after.failure.retry_at_s is None else "transient"
            observe_load_failure(key.model, after.failure.stage, kind)


def _is_leaving(state: State) -> bool:
    return state in (State.DRAINING, State.UNLOADING)


def _shown(state: State) -> str:
    return "" if state is State.ABSENT else str(state)
