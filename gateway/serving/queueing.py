"""Those who wait for one runner: let in or not, taken together, let go in time. Event loop only.

Used by ``runner``. Nobody is executed whose time is over or who has left; who has waited longer
than anybody should is let go, too. Next hops: ``asks`` holds them, ``pacing`` knows the calls.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from gateway.logs import request_id
from gateway.probe import PROBE
from gateway.queue_metrics import QueueGauges
from gateway.serving import batching
from gateway.serving.admission import Shed
from gateway.serving.asks import Ask, Asks
from gateway.serving.batching import Merged, Merging
from gateway.serving.callers import CALLER
from gateway.serving.entrance import Newcomer
from gateway.serving.failure import Overloaded, name_version
from gateway.serving.pacing import Pacing, QueueLimits
from gateway.serving.talking import Talk
from registry.route import VersionKey
from registry.tensors import Batch, Prediction
from tracking.errors import DeadlineExceeded, StagedoorError

_LOOK_EVERY_S = 0.05
"""Between two looks at who has waited too long, while anybody waits."""


class Queue:
    """One per runner.

    Args:
        key: Returns the version; a renamed model's is another one.
        limits: How it is held.
        max_rows: Cap on the rows of one call.
        merging: Which requests may share a call.
    """

    def __init__(
        self,
        key: Callable[[], VersionKey],
        limits: QueueLimits,
        max_rows: int,
        *,
        merging: Merging,
    ) -> None:
        self._key = key
        self._asks = Asks()
        self._pacing = Pacing(limits, max_rows, is_alone=merging.which is Merged.NEVER)
        self._parts_params = merging.which is Merged.PLAIN
        self._gauges = QueueGauges(key().model)
        self._look: asyncio.TimerHandle | None = None
        self._lone = itertools.count(1)
        self._is_open = False

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._asks)

    def open(self, rows: int, call_s: float) -> None:
        """Begin to let requests in.

        Args:
            rows: Of a call that was made for trial; 0 if there was none.
            call_s: What it took.
        """
        self._is_open = True
        self._pacing.learn(rows, call_s)
        self._show()

    def check(self, rows: int, deadline_s: float) -> None:
        """Let a request wait, or turn it away.

        Raises:
            Overloaded: It should not wait.
        """
        newcomer = Newcomer(CALLER.get(), rows, deadline_s)
        going = self._pacing.check(self._key(), self._asks, newcomer)
        if rows:  # known, so this is no look in advance
            self._displace(going)

    def add(
        self,
        batch: Batch,
        params: Mapping[str, Any],
        deadline_s: float,
        *,
        talk: Talk | None = None,
    ) -> Ask:
        """Take a request in; one that is answered piece by piece goes alone.

        Raises:
            InvalidRequest: The params hold something that is no plain data.
        """
        layout = batching.describe(batch, params)
        if talk is not None or (params and self._parts_params):
            layout = replace(layout, alone=next(self._lone))
        loop = asyncio.get_running_loop()
        caller, answer = CALLER.get(), loop.create_future()
        ask = Ask(batch, params, layout, answer, deadline_s, talk=talk, caller=caller)
        ask.request_id = request_id.get()
        if (probe := PROBE.get()) is not None:
            ask.probe, ask.asked_s = probe, time.perf_counter()
        self._asks.add(ask)
        if self._look is None:
            self._look = loop.call_later(_LOOK_EVERY_S, self._look_after)
        return ask

    async def answer_to(self, ask: Ask) -> Prediction:
        """Wait for the answer, no longer than the request's time; whoever leaves is let go."""
        alarm: asyncio.TimerHandle | None = None
        if ask.deadline_s < math.inf:
            left_s = ask.deadline_s - time.monotonic()
            alarm = asyncio.get_running_loop().call_later(left_s, self._expire, ask)
        try:
            return await ask.answer
        finally:
            self._asks.remove(ask)
            if alarm is not None:
                alarm.cancel()

    def take(self) -> list[Ask]:
        """Take out who goes in the next call; empty when nobody waits."""
        pacing = self._pacing
        return self._asks.take(max_rows=pacing.max_rows, max_requests=pacing.max_requests)

    def begin(self, asks: list[Ask]) -> None:
        """Note that a call begins."""
        self._pacing.begin(sum(ask.batch.rows for ask in asks))

    def end(self) -> None:
        """Note that it has been answered."""
        self._pacing.end()

    def refuse(self, asks: list[Ask], error: StagedoorError) -> None:
        """Fail a request; of several, ask again for each half, so that only bad rows fail."""
        self._asks.refuse(asks, error)

    def close(self, error: StagedoorError) -> None:
        """Let nobody in any more, and fail everyone who waits."""
        self._is_open = False
        self._asks.fail_all(error)
        self._show()

    def _expire(self, ask: Ask) -> None:
        """Tell somebody that its time is over: before it was executed, or while it is."""
        if ask.answer.done():
            return
        version = name_version(self._key())
        if self._asks.remove(ask):
            message = f"The time for this request was over while it waited for {version}."
            ask.answer.set_exception(Overloaded(message, Shed.LATE))
        else:
            message = f"{version} gave no answer within the time for this request."
            ask.answer.set_exception(DeadlineExceeded(message))

    def _displace(self, going: list[Ask]) -> None:
        """Let go who has to make room for somebody."""
        for ask in going:
            self._asks.remove(ask)
            message = f"Others go first at {name_version(self._key())}: try again shortly."
            drain_s = self._pacing.drain_s(self._asks)
            if not ask.answer.done():
                ask.answer.set_exception(Overloaded(message, Shed.DISPLACED, drain_s=drain_s))

    def _look_after(self) -> None:
        """Let go who has waited longer than anybody should."""
        self._look = None
        patience_s = self._pacing.patience_s
        message = f"{name_version(self._key())} did not come to this request: try again shortly."
        for ask in self._asks.waiting_for(patience_s):
            self._asks.remove(ask)
            if not ask.answer.done():
                ask.answer.set_exception(Overloaded(message, Shed.WAITED, drain_s=patience_s))
        self._show()
        if len(self._asks):
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(_LOOK_EVERY_S, self._look_after)

    def _show(self) -> None:
        limit = self._pacing.max_requests if self._is_open else 0
        self._gauges.show(len(self._asks), self._asks.age_s, limit)
