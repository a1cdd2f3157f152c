"""How much of a request's time its candidate may use, so that stable can still answer after it.

``predict`` tells how long stable took, and asks. One per worker, event loop only.
"""

import math
from collections import deque
from collections.abc import Iterable

from gateway.series import MAX_MODELS

_KEPT = 128
_TAIL = 0.99


class Slices:
    """What stable versions took of late, by model."""

    def __init__(self) -> None:
        self._taken_s: dict[str, deque[float]] = {}

    def note(self, model: str, seconds: float) -> None:
        """Take in how long stable took to answer."""
        taken_s = self._taken_s.get(model)
        if taken_s is None:
            if len(self._taken_s) >= MAX_MODELS:
                self._taken_s.pop(next(iter(self._taken_s)))
            taken_s = self._taken_s[model] = deque(maxlen=_KEPT)
        taken_s.append(seconds)

    def candidate_deadline_s(self, model: str, deadline_s: float) -> float:
        """Return when a candidate has to give up."""
        return deadline_s - tail_s(self._taken_s.get(model, ()))


def tail_s(taken_s: Iterable[float]) -> float:
    """Return the time that one answer in a hundred exceeds; 0 when there are none."""
    ascending = sorted(taken_s)
    return ascending[math.ceil(_TAIL * len(ascending)) - 1] if ascending else 0.0
