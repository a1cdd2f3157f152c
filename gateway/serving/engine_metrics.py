"""What the metrics learn of engines: which one answers each version that is ready here.

The manager's ``on_change`` calls it, in whichever thread changed something.
"""

import threading
from collections.abc import Callable, Iterable, Mapping

from gateway.metrics import observe_engine
from gateway.serving.inventory import Seen
from gateway.serving.states import READY_STATES
from registry.route import VersionKey


class EngineMetrics:
    """Shows one engine for each version that is ready. Safe from any thread.

    Args:
        name_of: Returns the name of what answers a version; none if unknown.
    """

    def __init__(self, name_of: Callable[[VersionKey], str | None]) -> None:
        self._name_of = name_of
        self._lock = threading.Lock()
        self._shown: dict[VersionKey, str] = {}

    def follow(self, view: Mapping[VersionKey, Seen], changed: Iterable[VersionKey]) -> None:
        """Show which of those that changed became ready, and hide which no longer are."""
        with self._lock:
            for key in changed:
                seen, shown = view.get(key), self._shown.get(key)
                is_ready = seen is not None and seen.state in READY_STATES
                if shown is not None and not is_ready:
                    self._show(key, self._shown.pop(key), is_there=False)
                elif shown is None and is_ready and (name := self._name_of(key)) is not None:
                    self._shown[key] = name
                    self._show(key, name, is_there=True)

    def _show(self, key: VersionKey, name: str, *, is_there: bool) -> None:
        observe_engine(key.model, str(key.version), name, is_there=is_there)
