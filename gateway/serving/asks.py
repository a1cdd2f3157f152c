"""The requests that wait for one model, and who of them goes next. Event loop only.

Used by ``runner``; which of them fit together is ``batching``'s choice.
"""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct

from gateway.probe import Probe
from gateway.serving import batching
from gateway.serving.talking import Talk
from registry.tensors import Batch, Prediction
from tracking.errors import StagedoorError


class Ask(Struct, eq=False):
    """One request on its way to a model, and the future of its answer."""

    batch: Batch
    params: Mapping[str, Any]
    layout: batching.Layout
    answer: asyncio.Future[Prediction]
    probe: Probe | None = None
    asked_s: float = 0.0
    talk: Talk | None = None


class Asks:
    """Those who wait. One per runner.

    Args:
        max_rows: Cap on the rows of one call.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._waiting: dict[int, Ask] = {}
        self._halves: list[list[Ask]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, ask: Ask) -> None:
        """Take a request in, behind all others."""
        self._waiting[id(ask)] = ask

    def remove(self, ask: Ask) -> None:
        """Let a request go whose caller has left; one that is not here is no matter."""
        self._waiting.pop(id(ask), None)

    def take(self) -> list[Ask]:
        """Take out who goes in the next call; empty when nobody waits."""
        while self._halves:
            if asks := [ask for ask in self._halves.pop() if not ask.answer.done()]:
                return asks
        waiting = list(self._waiting.values())
        sizes = ((ask.layout, ask.batch.rows) for ask in waiting)
        chosen = batching.choose(sizes, max_rows=self._max_rows)
        asks = [waiting[position] for position in chosen]
        for ask in asks:
            self.remove(ask)
        return asks

    def refuse(self, asks: list[Ask], error: StagedoorError) -> None:
        """Fail a request; of several, ask again for each half, so that only bad rows fail."""
        if len(asks) == 1:
            fail(asks, error)
            return
        middle = len(asks) // 2
        self._halves += [asks[middle:], asks[:middle]]

    def fail_all(self, error: StagedoorError) -> None:
        """Fail everyone who waits."""
        fail([*self._waiting.values(), *chain(*self._halves)], error)
        self._waiting.clear()
        self._halves.clear()


def deliver(asks: Sequence[Ask], prediction: Prediction) -> None:
    """Give each request its rows of the answer."""
    pieces = batching.part(prediction, [ask.batch.rows for ask in asks])
    for ask, piece in zip(asks, pieces, strict=True):
        if not ask.answer.done():
            ask.answer.set_result(piece)


def fail(asks: Sequence[Ask], error: StagedoorError) -> None:
    """Give each request an error of its own: one that is raised twice mixes up its traces."""
    for ask in asks:
        own = type(error)(error.message)
        if ask.talk is not None:
            ask.talk.end(own)
        if not ask.answer.done():
            ask.answer.set_exception(own)
