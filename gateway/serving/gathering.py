"""Which waiting rows an engine answers together. No timers: who is there goes. Event loop only.

Cheap calls are made on the loop: all rows that came in one turn of it go in one call. Dear ones go
to a thread, one call at a time, and what comes while one runs goes together in the next.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.probe import PROBE, Probe
from gateway.serving.admission import Bounds, Machine, Shed
from gateway.serving.batching import part
from gateway.serving.callers import CALLER
from gateway.serving.cost import Cost
from gateway.serving.engines.in_worker import InWorker
from gateway.serving.engines.refusal import Refused, refusal
from gateway.serving.entrance import Entrance, Newcomer, who_makes_room
from gateway.serving.failure import Overloaded
from gateway.serving.metering import CallMeter
from gateway.serving.turns import Turns
from registry.tensors import Prediction
from tracking.errors import DeadlineExceeded, ModelFailed, StagedoorError, Unavailable

_LOG = logging.getLogger("stagedoor.serving")

DEAR_S = 1e-3
"""A request that takes longer than this is not answered on the event loop."""

_TURN_S = 2e-3
"""The event loop is not held for longer than this by one call."""

_TIMED_ROWS = (1, 128)
_TIMED_CALLS = 3


class Limits(Struct, frozen=True):
    """What may wait, and go together.

    Args:
        max_rows: Of one call; one request goes even when it is alone above it.
        bounds: How far those who wait may grow: for the thread, and for their turn on the loop.
    """

    max_rows: int
    bounds: Bounds = Bounds(max_waiting=1000, max_queue_s=2.0, standing_s=0.1)


class Waiter(Protocol):
    """Who is told the outcome; a future of an answer is one. Told on the event loop.

    One with a ``caller`` says who asks; for others it is the task's.
    """

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def set_result(self, answer: Prediction, /) -> None:
        """Take the answer."""

    def set_exception(self, error: StagedoorError, /) -> None:
        """Take an error in its place."""


class _Ask(Struct, eq=False, gc=False):
    rows: NDArray[Any]
    method: str
    answer: Waiter
    probe: Probe | None = None
    asked_s: float = 0.0
    deadline_s: float = math.inf


class Gathering:
    """Those who wait for one engine. Event loop only, but for ``close``.

    Args:
        engine: Answers.
        cost: What its calls take here.
        limits: What may wait, and go together.
    """

    def __init__(self, engine: InWorker, cost: Cost, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        self._cost = cost
        self._dear_rows = cost.rows_within(DEAR_S)
        self._turn_rows = min(cost.rows_within(_TURN_S), limits.max_rows)
        self._max_waiting_rows = cost.rows_within(limits.bounds.max_queue_s)
        self._waiting: list[_Ask] = []
        self._waiting_rows = 0
        self._dear: Turns[_Ask] = Turns()
        self._busy_until_s = 0.0
        self._entrance = Entrance(limits.bounds)
        self._thread: ThreadPoolExecutor | None = None
        self._is_busy = False
        self.meter: CallMeter | None = None

    def ask(
        self, rows: NDArray[Any], method: str, deadline_s: float = math.inf
    ) -> "asyncio.Future[Prediction]":
        """Take in one request's rows; the future ends with their answer, or with their time.

        Raises:
            Overloaded: Too much waits.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Prediction] = loop.create_future()
        ask = _Ask(rows, method, future, deadline_s=deadline_s)
        if (probe := PROBE.get()) is not None:
            ask.probe, ask.asked_s = probe, time.perf_counter()
        self._add(ask)
        if len(rows) > self._dear_rows and deadline_s < math.inf:
            alarm = loop.call_later(deadline_s - time.monotonic(), self._expire, ask)
            future.add_done_callback(lambda _: alarm.cancel())
        return future

    def add(self, rows: NDArray[Any], method: str, answer: Waiter) -> None:
        """Take in one request's rows; the waiter is told what becomes of them.

        Raises:
            Overloaded: Too much waits.
        """
        self._add(_Ask(rows, method, answer))

    def _add(self, ask: _Ask) -> None:
        if len(ask.rows) > self._dear_rows:
            self._add_dear(ask)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        elif self._waiting_rows > self._max_waiting_rows:
            drain_s = self._cost.of(self._waiting_rows)
            message = f"{len(self._waiting)} requests wait for this model: try again shortly."
            raise Overloaded(message, Shed.WAIT, drain_s=drain_s)
        self._waiting.append(ask)
        self._waiting_rows += len(ask.rows)

    def close(self) -> None:
        """End the thread, if there is one. Safe from any thread."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _turn(self) -> None:
        """Answer who waits; if that takes long, let others have a turn in between."""
        asks, self._waiting = _split(self._waiting, self._turn_rows)
        self._waiting_rows = 0
        if self._waiting:
            self._waiting_rows = sum(len(ask.rows) for ask in self._waiting)
            asyncio.get_running_loop().call_soon(self._turn)
        self._settle(asks, _call(self._engine, asks))

    def _settle(self, asks: Sequence[_Ask], call: "_Call") -> None:
        """Tell everybody what has become of their rows; first the meter, which tells others."""
        rows = 0
        for ask in asks:
            rows += len(ask.rows)
            if ask.probe is not None:
                ask.probe.note_call(ask.asked_s, call.started_s, call.ended_s)
        if self.meter is not None and rows:
            self.meter.add(rows)
        _settle(asks, call.outcomes)

    def _add_dear(self, ask: _Ask) -> None:
        now_s = time.monotonic()
        caller = getattr(ask.answer, "caller", None) or CALLER.get()
        if self._is_busy:
            self._check(Newcomer(caller, len(ask.rows), ask.deadline_s), now_s)
        self._dear.add(ask, caller, len(ask.rows), now_s)
        self._send_dear()

    def _check(self, newcomer: Newcomer, now_s: float) -> None:
        """Let somebody wait for the thread, or not; others may have to go for it."""
        busy_s = abs(self._busy_until_s - now_s)
        machine = Machine(self._cost, self._limits.max_rows, busy_s)
        entry = self._entrance.decide(newcomer, self._dear, machine, now_s)
        drain_s = entry.forecast.wait_s
        if entry.shed is not None:
            message = f"{len(self._dear)} large requests wait for this model: try again shortly."
            raise Overloaded(message, entry.shed, drain_s=drain_s)
        for ask in who_makes_room(newcomer, self._dear, now_s) if entry.needs_room else ():
            self._dear.remove(ask)
            if not ask.answer.done():
                message = "Others go first at this model: try again shortly."
                ask.answer.set_exception(Overloaded(message, Shed.DISPLACED, drain_s=drain_s))

    def _expire(self, ask: _Ask) -> None:
        """Tell somebody that its time is over: before its rows had their turn, or after."""
        if ask.answer.done():
            return
        if self._dear.remove(ask):
            message = "The time for this request was over while it waited for the model."
            ask.answer.set_exception(Overloaded(message, Shed.LATE))
        else:
            message = "The model gave no answer within the time for this request."
            ask.answer.set_exception(DeadlineExceeded(message))

    def _send_dear(self) -> None:
        """Give the thread its next call, unless it has one or nobody waits."""
        if self._is_busy:
            return
        now_s = time.monotonic()
        for gone in [a for a in self._dear if a.deadline_s <= now_s or a.answer.done()]:
            self._dear.remove(gone)
        asks, _ = _split(self._dear.in_order(now_s), self._limits.max_rows)
        if not asks:
            return
        self._dear.take(asks)
        self._busy_until_s = now_s + self._cost.of(sum(len(ask.rows) for ask in asks))
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._is_busy = True
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(self._thread, _call, self._engine, asks)
        call.add_done_callback(lambda done: self._receive(asks, done))

    def _receive(self, asks: list[_Ask], call: "asyncio.Future[_Call]") -> None:
        self._is_busy = False
        if call.cancelled() or call.exception() is not None:
            _settle(asks, [Unavailable("The worker is stopping.")] * len(asks))
        else:
            self._settle(asks, call.result())
        self._send_dear()


def measure(engine: InWorker) -> Cost:
    """Find out what calls of an engine take here, by a few of them. Takes some milliseconds."""
    few, many = (_least_s(engine, rows) for rows in _TIMED_ROWS)
    row_s = max(0.0, many - few) / (_TIMED_ROWS[1] - _TIMED_ROWS[0])
    return Cost(call_s=few, row_s=row_s)


def _least_s(engine: InWorker, rows: int) -> float:
    """Return the least time of a few calls: what else the machine does only adds to it."""
    cells = engine.sample(rows)
    times_s = []
    for _ in range(_TIMED_CALLS):
        started_s = time.perf_counter()
        with suppress(Refused):
            engine.answer(cells, engine.default_method)
        times_s.append(time.perf_counter() - started_s)
    return min(times_s)


def _split(asks: list[_Ask], max_rows: int) -> tuple[list[_Ask], list[_Ask]]:
    """Part those who go now from those who go later: the first, and all that fit it."""
    if len(asks) <= 1:
        return asks, []
    first, total = asks[0], 0
    going: list[_Ask] = []
    staying: list[_Ask] = []
    for ask in asks:
        if ask.answer.done():
            continue
        fits = ask.method == first.method and ask.rows.dtype == first.rows.dtype
        if not going or (fits and total + len(ask.rows) <= max_rows):
            first = going[0] if going else ask
            going.append(ask)
            total += len(ask.rows)
        else:
            staying.append(ask)
    return going, staying


_Outcome = Prediction | StagedoorError


class _Call(Struct, frozen=True, gc=False):
    outcomes: list[_Outcome]
    started_s: float
    ended_s: float


def _call(engine: InWorker, asks: Sequence[_Ask]) -> _Call:
    started_s = time.perf_counter()
    return _Call(_answer(engine, asks), started_s, time.perf_counter())


def _answer(engine: InWorker, asks: Sequence[_Ask]) -> list[_Outcome]:
    """Answer all in one call; if the model would refuse that, find out whom it refuses."""
    try:
        if len(asks) == 1:
            return [engine.tell(engine.answer(asks[0].rows, asks[0].method))]
        rows = np.concatenate([ask.rows for ask in asks])
        answer = engine.tell(engine.answer(rows, asks[0].method))
        return [*part(answer, [len(ask.rows) for ask in asks])]
    except Refused as error:
        if len(asks) == 1:
            return [refusal(error, asks[0].method, len(asks[0].rows))]
        middle = len(asks) // 2
        return _answer(engine, asks[:middle]) + _answer(engine, asks[middle:])
    except Exception:  # noqa: BLE001 - a bad engine harms no other request
        _LOG.exception("an engine failed on rows that its model may answer")
        reason = f"The engine of {engine.description.kind} failed on these rows."
        return [ModelFailed(reason) for _ in asks]


def _settle(asks: Sequence[_Ask], outcomes: Sequence[_Outcome]) -> None:
    for ask, outcome in zip(asks, outcomes, strict=True):
        if ask.answer.done():
            continue
        if isinstance(outcome, StagedoorError):
            ask.answer.set_exception(outcome)
        else:
            ask.answer.set_result(outcome)
