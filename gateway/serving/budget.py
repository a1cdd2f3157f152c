"""What the versions of one worker may take together, and what each took when it was weighed.

The manager asks it under the inventory's lock; what goes is ``eviction``'s choice.
"""

import math
import sys
from collections.abc import Sequence

from gateway.serving.eviction import Eviction, Weighed, make_room

LOOK_EVERY_S = 5.0
"""How often versions are weighed again: a process may grow."""

_WORTH_TELLING = 0.05


class Budget:
    """One per manager, which is the only one to use it.

    Args:
        total_bytes: What the versions may take together; without it, as much as they like.
        idle_unload_s: After how long without a request a version goes that no route names.
        look_every_s: How often versions are weighed again.
        model_bytes: What the process of one version may take, with what it started.
    """

    def __init__(
        self,
        total_bytes: int = sys.maxsize,
        *,
        idle_unload_s: float = math.inf,
        look_every_s: float = LOOK_EVERY_S,
        model_bytes: int = sys.maxsize,
    ) -> None:
        self.total_bytes = total_bytes
        self.idle_unload_s = idle_unload_s
        self.look_every_s = look_every_s
        self.model_bytes = model_bytes
        self._known: dict[str, int] = {}

    def note(self, digest: str, size_bytes: int) -> None:
        """Remember what a version takes, for the next time that it is loaded."""
        self._known[digest] = size_bytes

    def expect(self, digest: str) -> int:
        """Return what a version took last time; 0 when it was never here."""
        return self._known.get(digest, 0)

    def make_room(
        self, held: Sequence[Weighed], needed_bytes: int = 0, *, may_evict: bool = True
    ) -> Eviction:
        """Choose what goes so that something new fits."""
        return make_room(
            held,
            budget_bytes=self.total_bytes,
            needed_bytes=needed_bytes,
            may_evict=may_evict,
        )


def is_news(before_bytes: int, after_bytes: int) -> bool:
    """Whether a version takes so much more or less than before that others should know."""
    return abs(after_bytes - before_bytes) > before_bytes * _WORTH_TELLING
