"""How many requests a model answers at once: a number that is set, or one that finds itself. Pure.

The gradient compares how long a call takes with how long one takes at the least: while both are
alike, more requests go together; when calls become longer, fewer. Asked by ``runner``.
"""

import math

from msgspec import Struct

_TOLERANCE = 0.5
"""By how much a call may be longer than the shortest before fewer go together."""

_LEAST_GRADIENT = 0.5
_REPROBE_AFTER = 200
"""After so many calls, what a call takes at the least is found out anew: models change."""


class Concurrency(Struct, frozen=True, gc=False):
    """How many requests go at once. Immutable.

    Args:
        limit: As many.
        least: Never fewer.
        most: Never more.
        least_s: What a call takes at the least; 0 while that is not known.
        calls: Since that was found out.
    """

    limit: float
    least: int
    most: int
    least_s: float = 0.0
    calls: int = 0

    @property
    def requests(self) -> int:
        """Return how many requests go in the next call."""
        return int(self.limit)

    def after(self, call_s: float) -> "Concurrency":
        """Return what holds after a call that took so long."""
        if self.calls >= _REPROBE_AFTER:
            return Concurrency(float(self.least), self.least, self.most)
        least_s = min(self.least_s, call_s) if self.least_s else call_s
        limit = next_limit(self.limit, gradient(least_s, call_s), self.least, self.most)
        return Concurrency(limit, self.least, self.most, least_s, self.calls + 1)


def fixed(requests: int) -> Concurrency:
    """Return a limit that stays as it is."""
    return Concurrency(float(requests), requests, requests)


def adaptive(most: int, least: int = 1) -> Concurrency:
    """Return a limit that begins low and finds itself."""
    return Concurrency(float(least), least, most)


def gradient(least_s: float, call_s: float) -> float:
    """Return by how much calls have become longer: 1 for not at all, down to a half."""
    if call_s <= 0:
        return 1.0
    return min(1.0, max(_LEAST_GRADIENT, least_s * (1.0 + _TOLERANCE) / call_s))


def next_limit(limit: float, slope: float, least: int, most: int) -> float:
    """Return the limit after a call: what the gradient leaves, and room to grow."""
    return min(float(most), max(float(least), slope * limit + math.sqrt(limit)))
