"""In which order those go who wait: by priority, then by fair shares. Pure, but for what it holds.

Within a priority, each caller has a clock that advances by the rows it asks for, and the one that
is behind goes first (start-time fair queueing; Goyal, Vin, Cheng 1996): of two callers each gets
half of the model, however many requests one has waiting. A priority is worth a second of waiting,
so that none starves. Used by ``asks`` and ``gathering``, event loop only.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from msgspec import Struct

from gateway.serving.callers import Caller, Priority

_LEVEL_S = 1.0
"""Who has waited for so much longer goes with those of the next higher priority."""

Item = TypeVar("Item")


class _Turn(Struct, Generic[Item], eq=False):
    item: Item
    caller: Caller
    rows: int
    since_s: float
    tag: int


_Place = tuple[float, int]
_Order = Callable[["_Turn[Item]"], _Place]


class _Share(Struct, eq=False):
    waiting: int = 0
    finish: int = 0


class Turns(Generic[Item]):
    """Those who wait.

    Attributes:
        rows: Theirs, together.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._turns: dict[int, _Turn[Item]] = {}
        self._shares: dict[Caller, _Share] = {}
        self._served: dict[Caller, int] = {}
        self._clock = 0

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[Item]:
        """Go through them, the one that came first first."""
        return (turn.item for turn in self._turns.values())

    def __contains__(self, item: Item) -> bool:
        return id(item) in self._turns

    @property
    def oldest_s(self) -> float | None:
        """When the first came of those who wait; ``None`` when nobody does."""
        return next((turn.since_s for turn in self._turns.values()), None)

    def add(self, item: Item, caller: Caller, rows: int, now_s: float) -> None:
        """Let somebody wait, behind all others with the same caller."""
        if (share := self._shares.get(caller)) is None:
            share = self._shares[caller] = _Share(finish=self._served.get(caller, 0))
        tag = max(self._clock, share.finish)
        share.waiting += 1
        share.finish = tag + max(1, rows)
        self._turns[id(item)] = _Turn(item, caller, rows, now_s, tag)
        self.rows += rows

    def remove(self, item: Item) -> bool:
        """Let somebody go; say whether it waited."""
        turn = self._turns.pop(id(item), None)
        if turn is None:
            return False
        self.rows -= turn.rows
        share = self._shares[turn.caller]
        share.waiting -= 1
        if not share.waiting:
            del self._shares[turn.caller]
        return True

    def take(self, items: Iterable[Item]) -> None:
        """Let those go who are in the next call. What they had is remembered until the one after.

        Otherwise whoever has one request answered and one waiting would be as new as a newcomer.
        """
        self._served = {}
        for item in items:
            turn = self._turns[id(item)]
            self._clock = max(self._clock, turn.tag)
            self._served[turn.caller] = self._shares[turn.caller].finish
            self.remove(item)

    def clear(self) -> None:
        """Let all go."""
        self._turns.clear()
        self._shares.clear()
        self._served.clear()
        self.rows = 0

    def came_before(self, moment_s: float) -> list[Item]:
        """Return those who came before a moment."""
        return [turn.item for turn in self._turns.values() if turn.since_s < moment_s]

    def in_order(self, now_s: float) -> list[Item]:
        """Return all in the order in which they should go."""
        if len(self._shares) <= 1:
            return [turn.item for turn in self._turns.values()]
        return [turn.item for turn in sorted(self._turns.values(), key=self._order(now_s))]

    def ahead_of(self, caller: Caller, now_s: float) -> tuple[int, int]:
        """Return how many would go before one who comes now, and their rows."""
        if len(self._shares) <= 1 and caller in self._shares:
            return len(self._turns), self.rows
        place, order = self._place(caller, now_s)
        ahead = [turn.rows for turn in self._turns.values() if order(turn) <= place]
        return len(ahead), sum(ahead)

    def behind(self, caller: Caller, now_s: float) -> Iterator[tuple[Item, int]]:
        """Go through those who would go after one who comes now, and their rows, the last first."""
        place, order = self._place(caller, now_s)
        behind = [turn for turn in self._turns.values() if order(turn) > place]
        for turn in sorted(behind, key=order, reverse=True):
            yield turn.item, turn.rows

    def _place(self, caller: Caller, now_s: float) -> tuple[_Place, "_Order[Item]"]:
        """Return where one who comes now would stand, and what tells where others do."""
        share = self._shares.get(caller)
        order = self._order(now_s, caller.priority)
        finish = self._served.get(caller, 0) if share is None else share.finish
        tag = max(self._clock, finish)
        return order(_Turn(None, caller, 0, now_s, tag)), order

    def _order(self, now_s: float, *others: Priority) -> "_Order[Any]":
        """Return what to sort by: higher priorities first, and what has waited longer sooner."""
        levels = dict.fromkeys(others, now_s)
        for turn in reversed(self._turns.values()):
            levels[turn.caller.priority] = turn.since_s
        for priority, since_s in levels.items():
            levels[priority] = priority - (now_s - since_s) / _LEVEL_S
        return lambda turn: (levels[turn.caller.priority], turn.tag)
