"""The writes that training loops send all the time, past Litestar and without a thread for each.

Called by ``gateway.dispatch`` on the event loop, behind the door: by ``quick_protocol`` with whole
requests on a known head, by ASGI with all others. The body becomes the same struct by the same
rules as on the long way, the store is asked for the same piece of work, and the answer has the same
bytes. What is not asked for in exactly this form goes the long way.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct

from gateway.api.mlflow.decoding import check_content_type, decode
from gateway.api.mlflow.runs import batch_of_metric, batch_of_param, batch_of_tag
from gateway.asgi import App, Receive, Scope, Send, again, read_body, send_answer
from gateway.control_flights import ControlFlight
from tracking.errors import StagedoorError
from tracking.wire import (
    CreateRun,
    LogBatch,
    LogMetric,
    LogParam,
    Nothing,
    Run,
    RunAnswer,
    RunInfo,
    RunInfoAnswer,
    SetTag,
    StartRun,
    UpdateRun,
)

T = TypeVar("T")

_OK = 200
_JSON = [(b"content-type", b"application/json")]
_CONTENT_TYPE = b"content-type"
_NOTHING = msgspec.json.encode(Nothing())
_PREFIX = b"/api/2.0/mlflow/runs/"


class SoonStore(Protocol):
    """The part of a tracking store that writes without making its caller wait."""

    def create_run_soon(self, request: CreateRun) -> "Future[Run]":
        """Start a run."""

    def update_run_soon(self, request: UpdateRun) -> "Future[RunInfo]":
        """Change status, end time or name."""

    def log_batch_soon(self, request: LogBatch) -> "Future[None]":
        """Write metrics, params and tags of one run."""


class Write(Struct, frozen=True):
    """One kind of call. Immutable.

    Args:
        body: The struct that its body stands for.
        begin: Asks the store for it.
        answer: Turns what the store gave into the body of an answer.
    """

    body: type[Any]
    begin: Callable[[SoonStore, Any], "Future[Any]"]
    answer: Callable[[Any], bytes]


class ShortWay:
    """Answers those calls, and gives all others to the control plane. One per worker, on the loop.

    Args:
        control: Litestar.
        tracking: Where runs are kept.
    """

    def __init__(self, control: App, tracking: SoonStore) -> None:
        self._control = control
        self._tracking = tracking

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or serve the lifespan.

        Raises:
            StagedoorError: It is refused, and nothing was sent.
        """
        write = _find(scope)
        if write is None:
            await self._control(scope, receive, send)
            return
        body = await read_body(receive)
        if not body:
            await self._control(scope, again(body, receive), send)
            return
        check_content_type(_content_type(scope))
        asked = decode(body, write.body)
        done = await _end_of(write.begin(self._tracking, asked))
        await send_answer(send, _OK, write.answer(done), _JSON)

    def ticket(self, scope: Scope) -> "WriteTicket | None":
        """Read a head, if each request that repeats it is one of those calls."""
        write = WRITES.get(scope["raw_path"])
        if write is None:
            return None
        try:
            check_content_type(_content_type(scope))
        except StagedoorError:
            return None
        return WriteTicket(write, self._tracking)


class WriteTicket:
    """Whole requests of one kind of call, answered outside of ASGI. Immutable.

    Args:
        write: The kind.
        tracking: Where runs are kept.
    """

    __slots__ = ("_tracking", "_write")

    def __init__(self, write: Write, tracking: SoonStore) -> None:
        self._write = write
        self._tracking = tracking

    def board(self, body: bytes, flight: ControlFlight) -> bool:
        """Begin to write; what is wrong with a request is for the usual way to say.

        What comes here came in one read or is small: no cap on bodies is as low.
        """
        if not body:
            return False
        try:
            asked = decode(body, self._write.body)
            writing = self._write.begin(self._tracking, asked)
        except StagedoorError:
            return False
        loop = asyncio.get_running_loop()
        writing.add_done_callback(
            lambda ended: loop.call_soon_threadsafe(self._settle, flight, ended)
        )
        return True

    def _settle(self, flight: ControlFlight, ended: "Future[Any]") -> None:
        try:
            body = self._write.answer(ended.result())
        except Exception as error:  # noqa: BLE001 - the outermost frame: it is rendered
            flight.refuse(error)
        else:
            flight.land(body)


def _find(scope: Scope) -> Write | None:
    """Return what a request asks for, if it is one of those calls in the form that clients send."""
    if scope["type"] != "http" or scope["method"] != "POST" or scope["query_string"]:
        return None
    return WRITES.get(scope["raw_path"])


def _content_type(scope: Scope) -> str:
    found: bytes = dict(scope["headers"]).get(_CONTENT_TYPE, b"")
    return found.decode("latin-1")


def _end_of(writing: "Future[T]") -> "asyncio.Future[T]":
    """Return what the loop can wait for; ``asyncio.wrap_future`` costs three times as much.

    What has begun is finished, whoever leaves: the writer does not know of callers.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[T] = loop.create_future()
    writing.add_done_callback(lambda ended: loop.call_soon_threadsafe(_settle, waiter, ended))
    return waiter


def _settle(waiter: "asyncio.Future[T]", ended: "Future[T]") -> None:
    if waiter.cancelled():
        return
    error = ended.exception()
    if error is None:
        waiter.set_result(ended.result())
    else:
        waiter.set_exception(error)


def _nothing(_done: None) -> bytes:
    return _NOTHING


def _run(run: Run) -> bytes:
    return msgspec.json.encode(RunAnswer(run=run))


def _run_info(info: RunInfo) -> bytes:
    return msgspec.json.encode(RunInfoAnswer(run_info=info))


def _log(batch_of: Callable[[Any], LogBatch]) -> Callable[[SoonStore, Any], "Future[None]"]:
    return lambda store, asked: store.log_batch_soon(batch_of(asked))


WRITES: Mapping[bytes, Write] = {
    _PREFIX + b"create": Write(StartRun, lambda store, asked: store.create_run_soon(asked), _run),
    _PREFIX + b"update": Write(
        UpdateRun, lambda store, asked: store.update_run_soon(asked), _run_info
    ),
    _PREFIX + b"log-batch": Write(
        LogBatch, lambda store, asked: store.log_batch_soon(asked), _nothing
    ),
    _PREFIX + b"log-metric": Write(LogMetric, _log(batch_of_metric), _nothing),
    _PREFIX + b"log-parameter": Write(LogParam, _log(batch_of_param), _nothing),
    _PREFIX + b"set-tag": Write(SetTag, _log(batch_of_tag), _nothing),
}
"""By the path as it came."""
