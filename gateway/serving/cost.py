"""What a call of a model takes, learned from the calls there were. Pure.

``gathering`` and ``runner`` ask it how many rows may go together, ``admission`` how long a backlog
takes.
"""

import math
import sys

from msgspec import Struct

_KEPT = 0.9
"""How much of the past a further call leaves: about ten calls are remembered."""

_LEAST_SPREAD = 0.2
"""Calls whose sizes differ less than this, of their mean, do not tell what one row more costs."""

_GROWTH = 2.0
"""How much larger than calls so far one may be while nobody knows what one row more costs."""

_FIXED_SHARES = 4.0
"""How many times its fixed part a call may take: below, rows that go alone waste the model."""


class Cost(Struct, frozen=True):
    """What a call takes.

    Args:
        call_s: Whatever comes.
        row_s: For each row.
        seen_rows: How large calls were, about; what larger ones take is not known.
        is_told_apart: Whether it was measured what a row more takes, so that larger ones follow.
    """

    call_s: float
    row_s: float
    seen_rows: float = math.inf
    is_told_apart: bool = True

    def of(self, rows: float) -> float:
        """Return the seconds that a call with so many rows takes, as far as that is known."""
        return self.call_s + self.row_s * rows if self.is_told_apart else self.as_seen(rows)

    def as_seen(self, rows: float) -> float:
        """Return the same, for no more rows than calls have had."""
        return self.call_s + self.row_s * min(rows, self.seen_rows)

    def rows_within(self, seconds: float) -> int:
        """Return how many rows a call of that length answers; always one."""
        if self.row_s <= 0:
            return sys.maxsize
        return max(1, int((seconds - self.call_s) / self.row_s))


class CallTimes(Struct, frozen=True, gc=False):
    """How long calls took, the late ones weighing most. Immutable; starts with none.

    Args:
        weight: How many calls are remembered.
        rows: Their mean size.
        seconds: Their mean length.
        spread: Variance of their sizes.
        slope: Covariance of size and length.
        most_rows: The largest size; one of long ago counts as less.
    """

    weight: float = 0.0
    rows: float = 0.0
    seconds: float = 0.0
    spread: float = 0.0
    slope: float = 0.0
    most_rows: float = 0.0

    def after(self, rows: int, seconds: float) -> "CallTimes":
        """Return what is known after one more call."""
        weight = self.weight * _KEPT + 1.0
        share = 1.0 / weight
        more_rows, more_s = rows - self.rows, seconds - self.seconds
        most_rows = self.rows + _KEPT * (self.most_rows - self.rows)
        return CallTimes(
            weight=weight,
            rows=self.rows + share * more_rows,
            seconds=self.seconds + share * more_s,
            spread=(1.0 - share) * (self.spread + share * more_rows * more_rows),
            slope=(1.0 - share) * (self.slope + share * more_rows * more_s),
            most_rows=max(float(rows), most_rows),
        )

    @property
    def is_known(self) -> bool:
        """Whether there was a call."""
        return self.weight > 0.0

    @property
    def cost(self) -> Cost:
        """What a call takes; where that is not told apart, all of it is charged to the rows.

        Then a call with more rows than there were is not charged more than twice as much: most of
        it may come with any call.

        Nothing, before the first call.
        """
        if not self.is_known:
            return Cost(0.0, 0.0)
        each_s = self.seconds / self.rows
        if not self._tells_rows_apart:
            return Cost(0.0, each_s, self.rows * _GROWTH, is_told_apart=False)
        row_s = min(max(self.slope / self.spread, 0.0), each_s)
        return Cost(max(self.seconds - row_s * self.rows, 0.0), row_s, self.most_rows)

    def max_rows(self, target_s: float, cap: int) -> int:
        """Return how many rows should go in the next call.

        Args:
            target_s: How long it should take; longer where its fixed part is.
            cap: At the most.
        """
        if not self.is_known:
            return 1
        cost = self.cost
        rows = cost.rows_within(max(target_s, _FIXED_SHARES * cost.call_s))
        if not self._tells_rows_apart:
            rows = max(rows, math.ceil(self.rows * _GROWTH))
        return min(rows, cap)

    @property
    def _tells_rows_apart(self) -> bool:
        return self.spread > (_LEAST_SPREAD * self.rows) ** 2
