"""The hot path: one predict request from its bytes to the answer's. No database, no lock.

``Predict`` is the ASGI callable behind ``dispatch`` for predict paths, on the event loop of each
worker. ``__call__`` alone knows scope, receive and send; ``answer`` is the path itself: protocols
decode, routing assigns, serving answers, protocols encode.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from gateway.auth.policy import Permission, allows
from gateway.errors import Refusal, render
from gateway.metrics import (
    RequestLabels,
    inflight,
    observe_assignment,
    observe_fallback,
    observe_request,
    observe_shed,
)
from gateway.protocols.call import ABOUT_SERVER, Action, Call, ProtocolName, parse_call, protocol_of
from gateway.protocols.wires import HEAD_LENGTH, JSON, WIRES, BodyHead, Encoded, decode, encode
from gateway.questions import Holdings, Questions, Shelf
from gateway.routing.table import CANDIDATE, STABLE, Assignment, Reason, RouteTable, assign
from registry.references import ByNumber, Live, ModelUri
from registry.route import VersionRecord
from tracking.errors import (
    InvalidRequest,
    ModelNotReady,
    PermissionDenied,
    StagedoorError,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Asked(Struct, frozen=True, gc=False):
    """What stands in the head of a predict request.

    Args:
        call: What it asks for.
        body_head: What the headers say about the body.
        key: The sticky key, as received; empty means none.
        request_id: Ours, new for each request; also what stands in for a missing key.
    """

    call: Call
    body_head: BodyHead
    key: bytes
    request_id: str


class Answer(Struct, frozen=True, gc=False):
    """What goes back: who answered, and the bytes.

    Args:
        assignment: The version that answered.
        encoded: The answer.
        fallback: Why stable answered in the candidate's place, or empty.
    """

    assignment: Assignment
    encoded: Encoded
    fallback: str = ""


class Place(Struct, frozen=True):
    """Where predictions are answered.

    Args:
        worker: The worker's id, told in every answer.
        default: What ``/invocations`` stands for, or none.
        load_timeout_s: How long a call by number may wait for its version.
    """

    worker: str
    default: ModelUri | None
    load_timeout_s: float


_PROTOCOL_LABELS = {
    ProtocolName.MLFLOW: "mlflow",
    ProtocolName.V1: "v1",
    ProtocolName.V2: "rest-oip",
    ProtocolName.V2_GRPC: "grpc-oip",
}
_OK = 200
_UNAVAILABLE = 503


class Predict:
    """Answers predict requests. One per worker, event loop only.

    Args:
        table: Returns the snapshot of routes; one read of it decides a request.
        holdings: What this worker holds.
        demand: Asks for a version that is in no route; ends when it is ready.
        unready: Says why this worker should get no traffic; empty when it should.
        place: Where it answers.
        shelf: Answers the calls of the repository extension; without it there are none.
    """

    def __init__(
        self,
        table: Callable[[], RouteTable],
        holdings: Holdings,
        demand: Callable[[VersionRecord], "asyncio.Future[None]"],
        unready: Callable[[], str],
        place: Place,
        *,
        shelf: Shelf | None = None,
    ) -> None:
        self._table = table
        self._holdings = holdings
        self._demand = demand
        self._questions = Questions(table, holdings, unready, shelf)
        self._default = place.default
        self._worker = place.worker.encode()
        self._load_timeout_s = place.load_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one predict request."""
        started_s = time.perf_counter()
        request_id: str = scope["state"]["request_id"]
        protocol = protocol_of(scope["raw_path"])
        asked: Asked | None = None
        assignment: Assignment | None = None
        try:
            call = parse_call(scope["method"], scope["raw_path"])
            check_permission(call, scope)
            asked = _read_head(self._with_default(call), scope, request_id)
            if call.action is Action.INFER:
                answer = await self.answer(asked, await read_body(receive))
                assignment, status = answer.assignment, _OK
                reply, headers = answer.encoded.body, self._headers(answer, request_id)
            else:
                is_change = call.permission is Permission.ADMIN
                told = await read_body(receive) if is_change else b""
                reply, status = await self.ask(asked, told), _OK
                headers = [JSON, _id_header(request_id)]
        except Exception as error:  # noqa: BLE001  # the outermost frame: rendered, or logged there
            refusal = render(error, request_id)
            reply, status = _refused(protocol, refusal), refusal.status
            headers = [JSON, _id_header(request_id), *refusal.headers()]
        await _send(send, status, reply, [*headers, *self._common(reply)])
        if asked is not None and asked.call.action is Action.INFER:
            labels = _labels(assignment or self._blamed(asked), asked.call.protocol)
            if status == _UNAVAILABLE:
                observe_shed(labels.model, "not_ready")
            observe_request(labels, str(status), time.perf_counter() - started_s)

    async def answer(self, asked: Asked, body: bytes) -> Answer:
        """Answer one request's rows.

        Raises:
            ResourceMissing: There is no such model or version, or the slot is empty.
            ModelNotReady: The version cannot answer here and now.
            StagedoorError: The rows do not fit, or the model failed on them.
        """
        assignment = await self._assign(asked)
        try:
            return await self._infer(assignment, asked, body)
        except StagedoorError:
            if assignment.variant != CANDIDATE:
                raise
        stable = self._stable(asked)
        observe_fallback(assignment.model, Reason.FALLBACK_ERROR)
        return msgspec.structs.replace(
            await self._infer(stable, asked, body), fallback=Reason.FALLBACK_ERROR
        )

    async def ask(self, asked: Asked, body: bytes) -> bytes:
        """Answer a call that carries no rows.

        Raises:
            StagedoorError: It cannot be answered, or must not be done.
        """
        action = asked.call.action
        if action in ABOUT_SERVER:
            return self._questions.about_server(action, body)
        if action is not Action.LOAD:
            return self._questions.about_model(action, self._route(asked), body)
        self._questions.check_load(body)
        return self._questions.about_model(action, await self._assign(asked), body)

    async def _assign(self, asked: Asked) -> Assignment:
        """Route a request; wait for a version that is in no route and was asked for by name."""
        assignment = self._route(asked)
        if self._holdings.is_ready(assignment.key) or type(asked.call.ref) is Live:
            return assignment
        entry = self._table().models[assignment.model]
        if assignment.key.version in entry.route.versions():
            return assignment
        record = entry.records[assignment.key.version]
        await self._load(record)
        return assignment

    async def _load(self, record: VersionRecord) -> None:
        if not record.key.digest:
            message = f"version {record.key.version} of {record.key.model!r} has no sealed files."
            raise ModelNotReady(message)
        try:
            async with asyncio.timeout(self._load_timeout_s):
                await self._demand(record)
        except TimeoutError:
            message = (
                f"version {record.key.version} of {record.key.model!r} is still loading after "
                f"{self._load_timeout_s:g} s: try again."
            )
            raise ModelNotReady(message) from None

    def _blamed(self, asked: Asked) -> Assignment | None:
        """Return whose request failed: routing is pure, so asking again gives the same."""
        try:
            return self._route(asked)
        except StagedoorError:
            return None

    def _route(self, asked: Asked) -> Assignment:
        call = asked.call
        if call.model is None:
            message = (
                "This server has no default model: call /models/{name}/invocations, or start it "
                "with server.default_model."
            )
            raise InvalidRequest(message)
        return assign(
            self._table(),
            call.model,
            call.ref,
            key=asked.key,
            nonce=asked.request_id.encode(),
            is_ready=self._holdings.is_ready,
        )

    def _stable(self, asked: Asked) -> Assignment:
        entry = self._table().models[asked.call.model or ""]
        ref = ByNumber(entry.route.production or 0)
        pinned = self._route(
            msgspec.structs.replace(asked, call=msgspec.structs.replace(asked.call, ref=ref))
        )
        return msgspec.structs.replace(pinned, variant=STABLE, reason=Reason.FALLBACK_ERROR)

    async def _infer(self, assignment: Assignment, asked: Asked, body: bytes) -> Answer:
        protocol = asked.call.protocol
        with self._holdings.lease(assignment.key) as servable:
            request = decode(protocol, body, asked.body_head, servable.signature)
            if request.routing_key and not asked.key and type(asked.call.ref) is Live:
                return await self._answer_by_key(asked, request.routing_key, body)
            observe_assignment(assignment.model, assignment.variant, assignment.reason)
            with inflight(assignment.model).track_inprogress():
                prediction = await servable.predict(request.batch, request.params)
            return Answer(assignment, encode(protocol, prediction, request, assignment.key))

    async def _answer_by_key(self, asked: Asked, key: str, body: bytes) -> Answer:
        """Route again, now that a sticky key was found in the body."""
        return await self.answer(msgspec.structs.replace(asked, key=key.encode()), body)

    def _with_default(self, call: Call) -> Call:
        if call.model is not None or self._default is None:
            return call
        return msgspec.structs.replace(call, model=self._default.name, ref=self._default.ref)

    def _headers(self, answer: Answer, request_id: str) -> Headers:
        assignment = answer.assignment
        headers = [
            (b"stagedoor-model", quote(assignment.model, safe="").encode()),
            (b"stagedoor-version", str(assignment.key.version).encode()),
            (b"stagedoor-stage", assignment.stage.encode()),
            (b"stagedoor-variant", assignment.variant.encode()),
            (b"stagedoor-epoch", str(assignment.epoch).encode()),
            _id_header(request_id),
            *answer.encoded.headers,
        ]
        if answer.fallback:
            headers.append((b"stagedoor-fallback", answer.fallback.encode()))
        return headers

    def _common(self, reply: bytes) -> Headers:
        return [
            (b"content-length", str(len(reply)).encode()),
            (b"stagedoor-worker", self._worker),
            (b"x-content-type-options", b"nosniff"),
        ]


def check_permission(call: Call, scope: Scope) -> None:
    """Check that the caller may do what this route does.

    Raises:
        PermissionDenied: The caller's token lacks the permission.
    """
    if not allows(scope["state"].get("principal"), call.permission):
        message = f"This call takes the permission {call.permission!r}, which your token lacks."
        raise PermissionDenied(message)


async def read_body(receive: Receive) -> bytes:
    """Return the whole body; ``dispatch`` has put a cap on it."""
    message = await receive()
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return first
    pieces = [first]
    while message.get("more_body", False):
        message = await receive()
        pieces.append(message.get("body", b""))
    return b"".join(pieces)


def _read_head(call: Call, scope: Scope, request_id: str) -> Asked:
    content_type: str | None = None
    head_length: str | None = None
    key = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"stagedoor-key":
            key = value
        elif name == HEAD_LENGTH:
            head_length = value.decode("latin-1")
    return Asked(call, BodyHead(content_type, head_length), key, request_id)


def _labels(assignment: Assignment | None, protocol: ProtocolName) -> RequestLabels:
    name = _PROTOCOL_LABELS[protocol]
    if assignment is None:
        return RequestLabels("", "", "", name)
    version = str(assignment.key.version)
    return RequestLabels(assignment.model, version, assignment.variant, name)


def _id_header(request_id: str) -> tuple[bytes, bytes]:
    return (b"stagedoor-request-id", request_id.encode())


def _refused(protocol: ProtocolName, refusal: Refusal) -> bytes:
    wire = WIRES[protocol]
    return wire.render_error(refusal.status, refusal.code, refusal.message, refusal.request_id)


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
