"""What the metrics learn of routes: how far registry and workers are from what is committed.

Called by ``reconciler`` in its thread, about once a second.
"""

from collections.abc import Mapping

from gateway.delivery.progress import is_diverged
from gateway.work_metrics import observe_behind, observe_divergence
from registry.route import ModelState


class Standing:
    """Remembers since when each route has diverged. One per reconciler."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}
        self._shown: dict[str, tuple[float, int]] = {}

    def tell(
        self, states: Mapping[str, ModelState], behind: Mapping[str, int], now_s: float
    ) -> None:
        """Show for how long routes have diverged, and how many workers are behind.

        Args:
            states: Every model's.
            behind: How many live workers have not published the committed epoch, where some have.
            now_s: Seconds that only grow.
        """
        gone = self._shown.keys() - states.keys()
        for model in gone:
            self._since_s.pop(model, None)
            self._show(model, 0.0, 0)
            del self._shown[model]
        for model, state in states.items():
            late = behind.get(model, 0)
            if late or is_diverged(state):
                since_s = self._since_s.setdefault(model, now_s)
                self._show(model, now_s - since_s, late)
            else:
                self._since_s.pop(model, None)
                self._show(model, 0.0, 0)

    def _show(self, model: str, seconds: float, late: int) -> None:
        """Tell only what is new: most models stand still."""
        if self._shown.get(model) != (seconds, late):
            self._shown[model] = (seconds, late)
            observe_divergence(model, seconds)
            observe_behind(model, late)
