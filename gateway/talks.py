"""Answers as server-sent events, and answers to documents, of models that talk. Event loop only.

Called by ``predict`` where the usual path may not do. The first piece decides: until it is there a
refusal has its status, later it is an event. A caller who leaves stops the model, and so does the
end of the request's time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import Struct

from gateway.asgi import Headers, Receive, Scope, Send, send_answer
from gateway.deadlines import sooner
from gateway.errors import Refusal, render
from gateway.lines import Asked
from gateway.metrics import observe_assignment, observe_fallback
from gateway.patience import in_time
from gateway.protocols import v2_generate
from gateway.protocols.call import Action, ProtocolName
from gateway.protocols.caps import check_params
from gateway.protocols.events import (
    HEADERS,
    encode_piece,
    event,
    read_document,
    scoring_piece,
    wants_events,
)
from gateway.protocols.wires import JSON, WIRES, decode
from gateway.questions import Holdings
from gateway.routing.table import CANDIDATE, Assignment, Reason
from gateway.serving.crew import Crew
from gateway.serving.runner import Runner
from gateway.tallies import level_of
from registry.route import VersionKey
from registry.tensors import Batch, InferRequest
from tracking.errors import ModelFailed, StagedoorError

TALKING = (ProtocolName.MLFLOW, ProtocolName.GENERATE)
"""The protocols in which a model can talk."""
_OK = 200
_STALLED_S = 60.0
"""Who takes nothing for so long is held for gone."""


class Exchange(Struct, frozen=True):
    """A request and its answer, as ASGI has them."""

    scope: Scope
    receive: Receive
    send: Send
    headers: Callable[[str, Assignment], Headers]


class Told(Struct, frozen=True):
    """What became of a talk.

    Args:
        assignment: The version that talked.
        status: 200, or what the refusal in its events says.
        code: That refusal's code, or empty.
        fallback: Why stable answered in the candidate's place, or empty.
    """

    assignment: Assignment
    status: int = _OK
    code: str = ""
    fallback: str = ""


Telling = Callable[[Assignment, float], Awaitable[Told | None]]
"""Answers by a version until a moment, if its model talks."""


async def tell_or_fall_back(
    telling: Telling, assignment: Assignment, stable: Callable[[], Assignment], deadline_s: float
) -> Told | None:
    """Have a request answered if its model talks; by stable where the candidate refuses in time.

    Raises:
        StagedoorError: It is refused; nothing was told.
    """
    try:
        return await telling(assignment, deadline_s)
    except StagedoorError:
        if assignment.variant != CANDIDATE or time.monotonic() >= deadline_s:
            raise
    told = await telling(stable(), deadline_s)
    if told is not None:
        observe_fallback(assignment.model, Reason.FALLBACK_ERROR)
    return told


class _Left(Exception):
    """The caller is gone."""


class Talks:
    """Answers requests to models that talk. One per worker.

    Args:
        holdings: What this worker holds.
    """

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    async def answer(
        self,
        assignment: Assignment,
        deadline_s: float,
        asked: Asked,
        body: bytes,
        exchange: Exchange,
    ) -> Told | None:
        """Answer a request, if it is one of these; ``None`` where the usual path answers.

        The time that its body gives begins here.

        Raises:
            StagedoorError: It is refused; nothing was sent.
        """
        is_stream, began_s = _is_stream(asked, exchange.scope), time.monotonic()
        with self._holdings.lease(assignment.key) as servable:
            if not isinstance(servable, Runner | Crew) or not servable.can_talk:
                if asked.call.action is not Action.STREAM:
                    return None
                request = _decoded(servable, asked, body)
                until_s = sooner(deadline_s, request.timeout_us, began_s)
                pieces = _in_time(_whole(servable, request, until_s), until_s)
                return await self._stream(assignment, asked, pieces, exchange)
            matter = _matter(servable, asked, body)
            if not is_stream and isinstance(matter.subject, Batch):
                return None
            observe_assignment(assignment.model, assignment.variant, assignment.reason)
            until_s = sooner(deadline_s, matter.timeout_us, began_s)
            with level_of(assignment.model):
                asks = partial(servable.talk, matter.subject, matter.params, is_stream=is_stream)
                talk = await in_time(asks, until_s)
                write = _writer(asked, assignment.key, matter, is_stream=is_stream)
                told = _written(_in_time(talk, until_s), write)
                try:
                    if is_stream:
                        return await self._stream(assignment, asked, told, exchange)
                    return await self._answer_document(assignment, asked, told, exchange)
                finally:
                    talk.close()

    async def _answer_document(
        self,
        assignment: Assignment,
        asked: Asked,
        pieces: AsyncIterator[bytes],
        exchange: Exchange,
    ) -> Told:
        """Send the one piece that there is."""
        given = [piece async for piece in pieces]
        if len(given) != 1:
            raise ModelFailed("The model gave no answer.")
        await send_answer(
            exchange.send, _OK, given[0], [JSON, *exchange.headers(asked.request_id, assignment)]
        )
        return Told(assignment)

    async def _stream(
        self,
        assignment: Assignment,
        asked: Asked,
        pieces: AsyncIterator[Any],
        exchange: Exchange,
    ) -> Told:
        """Send pieces as they come, and an error as the last of them."""
        first = await _next(pieces)  # may refuse: nothing is sent yet
        headers = [*HEADERS, *exchange.headers(asked.request_id, assignment)]
        await exchange.send({"type": "http.response.start", "status": _OK, "headers": headers})
        leaving = asyncio.create_task(_until_left(exchange.receive))
        refusal: Refusal | None = None
        try:
            piece = first
            while piece is not _END:
                await _send_part(exchange.send, event(piece), leaving)
                piece = await _unless_left(_next(pieces), leaving)
        except _Left:
            return Told(assignment)
        except Exception as error:  # noqa: BLE001 - told as an event, or logged by render
            refusal = render(error, asked.request_id)
            with suppress(_Left):
                await _send_part(exchange.send, event(_refused(asked, refusal)), leaving)
        finally:
            leaving.cancel()
        await exchange.send({"type": "http.response.body", "body": b""})
        return (
            Told(assignment) if refusal is None else Told(assignment, refusal.status, refusal.code)
        )


_END = object()


def _is_stream(asked: Asked, scope: Scope) -> bool:
    if asked.call.action is Action.STREAM:
        return True
    return asked.call.protocol is ProtocolName.MLFLOW and wants_events(scope["headers"])


class _Matter(Struct, frozen=True):
    """What a request to a model that talks is about.

    Args:
        subject: Rows, or a document.
        params: Beside rows.
        timeout_us: Its time by its own parameters, if they say.
        request_id: The caller's own, if there is one.
    """

    subject: Batch | dict[str, Any]
    params: dict[str, Any]
    timeout_us: int | None = None
    request_id: str | None = None


def _matter(servable: Runner | Crew, asked: Asked, body: bytes) -> _Matter:
    protocol, content_type = asked.call.protocol, asked.body_head.content_type
    if servable.takes_documents and protocol is ProtocolName.MLFLOW:
        document = read_document(body, content_type)
        if document is not None:
            check_params(document)
            return _Matter(document, {})
    elif servable.takes_documents and protocol is ProtocolName.GENERATE:
        document = v2_generate.read_object(body, content_type)
        check_params(document)
        timeout_us, request_id = v2_generate.timeout_us_in(document), v2_generate.id_in(document)
        return _Matter(document, {}, timeout_us, request_id)
    request = _decoded(servable, asked, body)
    return _Matter(request.batch, dict(request.params), request.timeout_us, request.request_id)


def _decoded(servable: Any, asked: Asked, body: bytes) -> InferRequest:
    return decode(asked.call.protocol, body, asked.body_head, servable.signature)


async def _in_time(pieces: AsyncIterator[Any], until_s: float) -> AsyncIterator[Any]:
    """Yield pieces as they come, while there is time for them."""
    while (piece := await in_time(lambda: anext(pieces, _END), until_s)) is not _END:
        yield piece


async def _whole(servable: Any, request: InferRequest, until_s: float) -> AsyncIterator[bytes]:
    """Yield the answer of a model that does not talk: one piece, as the extension has it."""
    prediction = await servable.predict(request.batch, request.params, until_s)
    key = servable.key
    yield WIRES[ProtocolName.GENERATE].encode(prediction, request, key)


def _writer(
    asked: Asked, key: VersionKey, matter: _Matter, *, is_stream: bool
) -> Callable[[Any], bytes]:
    """Return what writes a piece as the protocol has it."""
    if asked.call.protocol is ProtocolName.GENERATE:
        return partial(v2_generate.encode_value, key=key, request_id=matter.request_id)
    return scoring_piece if is_stream else encode_piece


async def _written(
    pieces: AsyncIterator[Any], write: Callable[[Any], bytes]
) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield write(piece)


def _refused(asked: Asked, refusal: Refusal) -> bytes:
    wire = WIRES[asked.call.protocol]
    return wire.render_error(refusal.status, refusal.code, refusal.message, refusal.request_id)


async def _next(pieces: AsyncIterator[Any]) -> Any:
    return await anext(pieces, _END)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _unless_left(work: Awaitable[Any], leaving: "asyncio.Task[None]") -> Any:
    """Return what comes of some work, unless the caller leaves first.

    Raises:
        _Left: It did.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    raise _Left


async def _send_part(send: Send, part: bytes, leaving: "asyncio.Task[None]") -> None:
    """Send a part of the body; who reads too slowly is waited for, for a while."""
    if leaving.done():
        raise _Left
    message = {"type": "http.response.body", "body": part, "more_body": True}
    try:
        async with asyncio.timeout(_STALLED_S):
            await _unless_left(send(message), leaving)
    except TimeoutError:
        raise _Left from None
