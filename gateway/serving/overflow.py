"""Whether a queue has run over, so that it is kept short for a while. Pure.

Callers who wait for their answers before they ask again fill a queue to a length that stays: it is
no overload, however long it stands. More than a model can answer makes a queue grow until it
refuses. So a queue is short from its first refusal on, and not from when it stands. ``pacing`` and
``gathering`` keep one each; ``admission`` acts on it.
"""

import math

from msgspec import Struct

QUIET_S = 2.0
"""Without a refusal for so long, there is no overload any more."""

FIRST_HOLD_S = 10.0
"""After so long it is tried out whether all would find room again."""

MOST_HOLD_S = 300.0
"""The pauses between two such trials double up to this: each lets a queue grow to its full length.
"""


class Overflow(Struct, frozen=True, gc=False):
    """When a queue ran over. Immutable; starts with never.

    Args:
        began_s: When it first refused somebody for the length of the wait.
        last_s: When it did so last.
        hold_s: For how long it is short, from ``began_s`` on.
    """

    began_s: float = -math.inf
    last_s: float = -math.inf
    hold_s: float = 0.0

    def is_on(self, now_s: float) -> bool:
        """Say whether the queue has to be short."""
        return now_s - self.last_s < QUIET_S and now_s - self.began_s < self.hold_s

    def after_refusal(self, now_s: float) -> "Overflow":
        """Return what holds after somebody was refused for the length of the wait."""
        if self.is_on(now_s):
            return Overflow(self.began_s, now_s, self.hold_s)
        is_again = now_s - self.began_s < 2.0 * self.hold_s
        hold_s = min(2.0 * self.hold_s, MOST_HOLD_S) if is_again else FIRST_HOLD_S
        return Overflow(now_s, now_s, hold_s)
