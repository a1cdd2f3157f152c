"""What keeps routes from changing, told once: a sweep meets the same failure every second."""

import logging
from collections.abc import Mapping

from tracking.errors import StagedoorError

_LOG = logging.getLogger("stagedoor.delivery")


class Troubles:
    """Failures by model, and which of them are in the log already. The reconciler's thread only."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, failures: Mapping[str, Exception]) -> None:
        """Log those failures that are new."""
        for model, error in failures.items():
            # The first line says what; SQLAlchemy's others hold values that differ each time.
            what = str(error).partition("\n")[0] or type(error).__name__
            if self._told.get(model) == what:
                continue
            self._told[model] = what
            is_bug = not isinstance(error, StagedoorError)
            _LOG.error(
                "the route of %r cannot be changed now: %s",
                model,
                what,
                exc_info=error if is_bug else None,
            )

    def replace(self, failures: Mapping[str, Exception]) -> None:
        """Log those that are new, and forget those that are over: they are news if they return."""
        self._told = {model: what for model, what in self._told.items() if model in failures}
        self.tell(failures)
