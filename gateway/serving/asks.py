"""The requests that wait for one model, and who of them goes next. Event loop only.

Used by ``queueing``; which of them fit together is ``batching``'s choice.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import Struct

from gateway.probe import Probe
from gateway.serving import batching
from gateway.serving.callers import ANYBODY, Caller
from gateway.serving.talking import Talk
from gateway.serving.turns import Turns
from registry.tensors import Batch, Prediction
from tracking.errors import StagedoorError


class Ask(Struct, eq=False):
    """One request on its way to a model.

    Args:
        batch: Its rows.
        params: What it asks besides.
        layout: What others must share to go with it.
        answer: The future of its answer.
        deadline_s: When it is of no use any more, on the monotonic clock.
        probe: What notes its phases, if it is watched.
        asked_s: When it came, on the probe's clock.
        talk: Where its answer goes, piece by piece, if it is to come so.
        caller: Who asks.
        request_id: Ours, for the log.
    """

    batch: Batch
    params: Mapping[str, Any]
    layout: batching.Layout
    answer: asyncio.Future[Prediction]
    deadline_s: float = math.inf
    probe: Probe | None = None
    asked_s: float = 0.0
    talk: Talk | None = None
    caller: Caller = ANYBODY
    request_id: str = ""


class Asks:
    """Those who wait. One per runner.

    Attributes:
        turns: They, in order.
    """

    def __init__(self) -> None:
        self.turns: Turns[Ask] = Turns()
        self._halves: list[list[Ask]] = []

    def __len__(self) -> int:
        return len(self.turns)

    def add(self, ask: Ask) -> None:
        """Take a request in."""
        self.turns.add(ask, ask.caller, ask.batch.rows, time.monotonic())

    def remove(self, ask: Ask) -> bool:
        """Let a request go; say whether it was here, and not on its way or answered."""
        return self.turns.remove(ask)

    @property
    def age_s(self) -> float:
        """How long the one has waited that waits longest."""
        oldest_s = self.turns.oldest_s
        return 0.0 if oldest_s is None else time.monotonic() - oldest_s

    def waiting_for(self, seconds: float) -> list[Ask]:
        """Return those who have waited for longer."""
        return self.turns.came_before(time.monotonic() - seconds)

    def take(self, *, max_rows: int, max_requests: int) -> list[Ask]:
        """Take out who goes in the next call; empty when nobody waits.

        Args:
            max_rows: Cap on the rows of one call; the first goes even when it is alone above it.
            max_requests: Cap on the requests.
        """
        while self._halves:
            if asks := [ask for ask in self._halves.pop() if not ask.answer.done()]:
                return asks
        now_s = time.monotonic()
        # Whose time is over is told so by its own alarm, which may be a little late.
        waiting = [ask for ask in self.turns.in_order(now_s) if ask.deadline_s > now_s]
        sizes = ((ask.layout, ask.batch.rows) for ask in waiting)
        chosen = batching.choose(sizes, max_rows=max_rows, max_requests=max_requests)
        asks = [waiting[position] for position in chosen]
        self.turns.take(asks)
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
        fail([*self.turns, *chain(*self._halves)], error)
        self.turns.clear()
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
