"""A model in a process of its own, as the worker sees it: a Servable.

``start_runner`` blocks, in a load thread. Everything else is on the event loop: requests that come
while the process is busy wait, and go together in its next call. Next hop: ``runner_process``.
"""

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from gateway.serving import messages
from gateway.serving.asks import Ask, deliver, fail
from gateway.serving.calls import Call, encode_call, error_of, note_call, read_answer
from gateway.serving.ending import OUTSIDE_SIGNALS, Ending, describe_end
from gateway.serving.failure import NotAsked, name_version
from gateway.serving.frames import Assembler, FrameError
from gateway.serving.launch import Child, Ground, RunnerLimits, await_ready, launch, log_last_words
from gateway.serving.memory import process_bytes
from gateway.serving.metering import CallMeter
from gateway.serving.progress import Progress
from gateway.serving.queueing import Queue
from gateway.serving.states import State
from gateway.serving.talking import Talk
from gateway.serving.trace_log import TraceLog
from registry.route import VersionKey
from registry.tensors import Batch, Prediction
from tracking.errors import DeadlineExceeded, ModelFailed, ModelNotReady, TooLarge

_OF_CALLS = messages.Answer | messages.Failed | messages.Piece | messages.Done
_NO_ROWS = Batch((), (), is_matrix=True)
_NOTHING = Prediction((), ())
_NOT_BY_ROW = "The model did not give one answer for each row."


def start_runner(
    key: VersionKey,
    folder: Path,
    *,
    limits: RunnerLimits,
    ground: Ground,
    progress: Progress,
    engine_folder: Path | None = None,
) -> "Runner":
    """Start a process that loads and proves a model; return when it is ready. Blocking.

    Args:
        key: The version.
        folder: Its files.
        limits: What the process may take.
        ground: Where the process is started.
        progress: Told of states; calls the load off.
        engine_folder: Where an engine made of the model goes; none when none is wanted.

    Raises:
        ConversionFailed: The process ended while it made an engine; without one it may load.
        LoadFailed: The model cannot be loaded, or was not ready in time; nothing is left behind.
        LoadCancelled: The load was called off.
    """
    progress.enter(State.LOADING)
    child = launch(folder, limits, ground, engine_folder=engine_folder)
    try:
        ready = await_ready(child, limits, progress)
    except BaseException:
        child.end_now()
        child.end.close()
        log_last_words(child, name_version(key))
        child.output.close()
        raise
    return Runner(key, child, ready=ready, limits=limits)


class Runner(asyncio.Protocol):
    """One model's process. Event loop only, but for ``close``.

    It dies once: a dead runner answers nothing any more, and its owner starts another.

    Args:
        key: The version in it.
        child: The process, ready.
        ready: What it said of the model.
        limits: What it may take.
    """

    def __init__(
        self, key: VersionKey, child: Child, *, ready: messages.Ready, limits: RunnerLimits
    ) -> None:
        self.key = key
        self.signature = ready.signature
        self.flavor = ready.flavor
        self.warm_calls = ready.warm_calls
        self.ready = ready
        self.merging = ready.merging
        self.can_talk = ready.can_talk
        self.takes_documents = ready.takes_documents
        self.pid = child.process.pid
        self._child = child
        self._limits = limits
        self._assembler = Assembler(limits.max_answer_bytes)
        self._numbers = itertools.count(1)
        rows, merging = limits.max_batch_rows, ready.merging
        self._queue = Queue(lambda: self.key, limits.queue, rows, merging=merging)
        self._call: Call | None = None
        self._death: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._on_death: Callable[[str], None] = _ignore
        self._burial: asyncio.Task[None] | None = None
        self._meter = CallMeter(self)
        self._traces = TraceLog(lambda: self.key)
        self._ending = Ending(lambda: self._die(None))

    async def attach(self, on_death: Callable[[str], None]) -> None:
        """Begin to answer on the running event loop.

        Args:
            on_death: Called once, on the loop, with one sentence, if the process ends by itself or
                has to be killed; not after ``close``.
        """
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._child.output.attach(self._loop)
        self._child.end.setblocking(False)  # noqa: FBT003  the standard library's signature
        transport, _ = await self._loop.create_connection(lambda: self, sock=self._child.end)
        self._transport = transport
        self._ending.watch(self._child.alarm)
        self._queue.open(self.ready.warm_rows, self.ready.warm_call_s)

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        """Answer one request's rows.

        Raises:
            ModelFailed: The model raised on these rows, or its process died of them.
            ModelNotReady: The process has died and is not back yet.
            DeadlineExceeded: The request's time is over, or the model took too long and its process
                was killed.
            Overloaded: Too much waits for this model.
            TooLarge: The rows do not fit in one call.
            InvalidRequest: The params hold what cannot be sent, or ask for what the model lacks, or
                there is text where it takes numbers.
        """
        if self.ready.row_form is not None:
            self.ready.row_form.check(batch, params)
        self.check_admission(batch.rows, deadline_s)
        ask = self._queue.add(batch, params, deadline_s)
        self._send_next()
        return await self._queue.answer_to(ask)

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let a request wait, or turn it away.

        Raises:
            ModelNotReady: The process has died and is not back yet.
            Overloaded: Too much waits for this model.
        """
        if self._death is not None:
            raise NotAsked(self._explain())
        self._queue.check(rows, deadline_s)

    async def talk(
        self, asked: Batch | dict[str, Any], params: Mapping[str, Any], *, is_stream: bool
    ) -> Talk:
        """Ask for an answer in pieces; return when the first is there, or the end.

        Args:
            asked: Rows, or a document.
            params: What is asked besides.
            is_stream: Whether pieces are wanted, or all at once.

        Raises:
            StagedoorError: As ``predict`` does, until the first piece.
        """
        self.check_admission()
        document = None if isinstance(asked, Batch) else asked
        batch = asked if isinstance(asked, Batch) else _NO_ROWS
        talk = Talk(document, is_stream=is_stream)
        ask = self._queue.add(batch, params, math.inf, talk=talk)
        self._send_next()
        try:
            await self._queue.answer_to(ask)
        except BaseException:
            talk.close()
            raise
        return talk

    @property
    def busyness(self) -> tuple[bool, bool, int]:
        """Whether it is dead, whether it talks, and for how many it has yet to answer."""
        asks = () if self._call is None else self._call.asks
        talks = any(ask.talk is not None for ask in asks)
        return self._death is not None, talks, len(asks) + len(self._queue)

    def memory_bytes(self) -> int:
        """Return what the process takes now. Blocking, safe from any thread."""
        return process_bytes(self.pid)

    def end(self, cause: str) -> None:
        """End the process, as one that died, for a cause that completes "its process …"."""
        self._die(cause)

    def output(self) -> str:
        """Return the last of what the model printed."""
        return self._child.output.tail()

    def close(self) -> None:
        """End the process and free everything. Safe from any thread; may take some milliseconds."""
        self._on_death = _ignore
        self._meter.flush()
        self._child.end_now()
        if self._loop is None or self._loop.is_closed():
            self._release()
        else:
            self._loop.call_soon_threadsafe(self._release)

    # --- the event loop calls these ---------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take a piece of what the process said."""
        try:
            for frame in self._assembler.feed(data):
                self._hear(messages.decode_from_runner(frame), frame.body)
        except FrameError:
            self._die("sent something that is no answer and was killed")

    def connection_lost(self, exc: Exception | None) -> None:
        """Learn that the process is gone."""
        del exc
        self._die(None)

    # --- calls ------------------------------------------------------------------------------------

    def _send_next(self) -> None:
        """Start the next call, unless one is under way or nobody waits."""
        while self._call is None and self._death is None and (asks := self._queue.take()):
            self._send(asks)

    def _send(self, asks: list[Ask]) -> None:
        number = next(self._numbers)
        try:
            pieces = encode_call(number, asks, max_frame_bytes=self._limits.max_frame_bytes)
        except FrameError as error:
            self._queue.refuse(asks, TooLarge(f"These rows cannot be sent to the model: {error}"))
            return
        self._call = Call(number, asks, self._watchdog(number), time.perf_counter())
        self._meter.add(max(1, sum(ask.batch.rows for ask in asks)))
        if (talk := asks[0].talk) is not None:
            talk.grant = partial(self._grant, self._call)
            talk.stop = partial(self._stop, self._call)
        else:
            self._queue.begin(asks)
        if self._transport is not None:
            self._transport.writelines(pieces)

    def _hear(self, message: messages.FromRunner, body: bytearray) -> None:
        call = self._call
        if call is None or not isinstance(message, _OF_CALLS):
            raise FrameError("Nothing was asked.")
        if message.call != call.number:
            raise FrameError("Another call was asked.")
        if isinstance(message, messages.Failed):
            self._traces.note([ask.request_id for ask in call.asks], message)
        if (talk := call.asks[0].talk) is not None:
            self._hear_talk(call, talk, message)
            return
        if isinstance(message, messages.Piece | messages.Done):
            raise FrameError("No talk was asked for.")
        answer = message if isinstance(message, messages.Failed) else read_answer(message, body)
        call.watchdog.cancel()
        self._call = None
        note_call(call)
        self._queue.end()
        if isinstance(answer, messages.Failed):
            self._queue.refuse(call.asks, error_of(answer))
        else:
            self._deliver(call.asks, answer)
        self._send_next()

    def _hear_talk(self, call: Call, talk: Talk, message: messages.FromRunner) -> None:
        """Take a piece in, or the end; a talk holds the process until it ends."""
        call.watchdog.cancel()
        answer = call.asks[0].answer
        match message:
            case messages.Piece(value=piece):
                talk.put(piece)
                if talk.is_waited_for:
                    call.watchdog = self._watchdog(call.number)
            case messages.Failed() if answer.done():
                talk.end(error_of(message))
            case messages.Failed():
                fail(call.asks, error_of(message))
            case messages.Done():
                talk.end()
            case _:
                raise FrameError("A talk was asked for.")
        if not isinstance(message, messages.Piece):
            note_call(call)
            self._call = None
        if not answer.done():
            answer.set_result(_NOTHING)
        self._send_next()

    def _grant(self, call: Call, pieces: int) -> None:
        """Let the model give more, and watch that it does."""
        call.watchdog.cancel()
        call.watchdog = self._watchdog(call.number)
        self._say(messages.Credit(call.number, pieces))

    def _stop(self, call: Call) -> None:
        """Want no more of a talk, and watch that it ends."""
        call.watchdog.cancel()
        call.watchdog = self._watchdog(call.number)
        self._say(messages.Stop(call.number))

    def _say(self, message: messages.ToRunner) -> None:
        if self._transport is not None and self._death is None:
            limit = self._limits.max_frame_bytes
            self._transport.writelines(messages.encode(message, max_frame_bytes=limit))

    def _watchdog(self, number: int) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later(self._limits.predict_timeout_s, self._on_timeout, number)

    def _deliver(self, asks: list[Ask], prediction: Prediction) -> None:
        rows = sum(ask.batch.rows for ask in asks)
        found = {array.shape[0] for array in prediction.arrays}
        if len(asks) == 1 or found == {rows}:
            deliver(asks, prediction)
        else:
            self._queue.refuse(asks, ModelFailed(_NOT_BY_ROW))

    # --- death ------------------------------------------------------------------------------------

    def _on_timeout(self, number: int) -> None:
        if self._call is None or self._call.number != number:
            return
        cause = f"gave no answer in {self._limits.predict_timeout_s:g} s and was killed"
        message = f"The process of {name_version(self.key)} {cause}."
        fail(self._call.asks, DeadlineExceeded(message))
        self._die(cause)

    def _die(self, cause: str | None) -> None:
        """Refuse whoever waits, see how it ended, and tell the owner when it is gone."""
        if self._death is not None:
            return
        call = self._silence(cause or "ended")
        self._burial = asyncio.get_running_loop().create_task(self._bury(cause, call))

    def _silence(self, cause: str) -> Call | None:
        """Refuse whoever waits; return the call that was under way."""
        self._death = cause
        self._ending.close()
        call, self._call = self._call, None
        if call is not None:
            call.watchdog.cancel()
        self._queue.close(NotAsked(self._explain()))
        return call

    async def _bury(self, cause: str | None, call: Call | None) -> None:
        if cause is None and not await asyncio.to_thread(self._child.ends_within):
            cause = "closed its channel and was killed"
        code = await asyncio.to_thread(self._child.end_now)
        if call is not None:
            self._fail_call(call, is_to_blame=cause is not None or -code not in OUTSIDE_SIGNALS)
        log_last_words(self._child, name_version(self.key))
        self._on_death(f"The model's process {cause or describe_end(code)}.")

    def _fail_call(self, call: Call, *, is_to_blame: bool) -> None:
        """A lone request may have killed the process; of several nobody knows which did."""
        if is_to_blame and len(call.asks) == 1:
            self._traces.note_death(call.asks[0].request_id)
            reason = f"The process of {name_version(self.key)} died while it answered these rows."
            fail(call.asks, ModelFailed(reason))
        else:
            fail(call.asks, ModelNotReady(self._explain()))

    def _explain(self) -> str:
        return f"The process of {name_version(self.key)} {self._death}; try again shortly."

    def _release(self) -> None:
        if self._death is None and (call := self._silence("was stopped")):
            self._fail_call(call, is_to_blame=False)
        if self._transport is None:
            self._child.end.close()
        else:
            self._transport.abort()
        self._child.output.close()


def _ignore(_reason: str) -> None:
    pass
