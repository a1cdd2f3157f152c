"""The failures of a model in the worker's log, when they happen: bounded in size and in number.

Each names the request, the model and the version, and where the model raised; no payload is in it
(see ``traces``). Used by ``runner``.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from gateway.serving.failure import name_version
from gateway.serving.messages import Failed, tidy
from gateway.serving.traces import clip
from registry.route import VersionKey

AT_ONCE = 5
"""So many failures of a runner are logged one after the other, and then one in ``EVERY_S``."""
EVERY_S = 10.0

_LOG = logging.getLogger("stagedoor.serving")


class TraceLog:
    """Logs the failures of one runner: the first ones, and then few. Event loop only.

    Args:
        key: Returns the version; a renamed model's is another one.
        clock: Seconds that only grow.
    """

    def __init__(
        self, key: Callable[[], VersionKey], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._key = key
        self._clock = clock
        self._left = float(AT_ONCE)
        self._at_s = clock()
        self._unlogged = 0

    def note(self, request_ids: Sequence[str], failed: Failed) -> None:
        """Log that a model raised on a request.

        Args:
            request_ids: Of the requests that it was asked; of several nobody knows which it was,
                so that they are asked again, and nothing is logged yet.
            failed: What its process said.
        """
        if len(request_ids) != 1 or not failed.trace:
            return
        if not self._may_log():
            self._unlogged += 1
            return
        told = {"not_logged": self._unlogged, "trace": clip(failed.trace)}
        self._unlogged = 0
        self._log(f"failed: {tidy(failed.reason)}", request_ids[0], told)

    def note_death(self, request_id: str) -> None:
        """Log which request the process died of; its last words follow, if it had any."""
        self._log("died while it answered a request", request_id, {})

    def _log(self, what: str, request_id: str, told: Mapping[str, object]) -> None:
        key = self._key()
        who = {"request_id": request_id, "model": key.model, "version": key.version}
        _LOG.error("%s %s", name_version(key), what, extra={**who, **told})

    def _may_log(self) -> bool:
        now_s = self._clock()
        self._left = min(float(AT_ONCE), self._left + (now_s - self._at_s) / EVERY_S)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
