"""v2 over gRPC: one server a worker, beside its HTTP one, on the same event loop.

``app.py`` starts it when the worker serves and stops it when the worker drains. Every worker binds
the port with SO_REUSEPORT, and the kernel spreads connections; grpcio takes no socket that somebody
else has bound. A call passes the door, and goes to ``predict``; grpc is imported here at the first
start, in the worker: it does not outlive a fork.
"""

import asyncio
import importlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from gateway import logs
from gateway.auth.door import Door, Head
from gateway.auth.policy import Permission, Principal
from gateway.errors import Refusal, render
from gateway.grpc_head import read_head, scope_of, tell_who
from gateway.grpc_health import HEALTH, Health
from gateway.grpc_status import code_of, end
from gateway.lines import Asked, labels_of
from gateway.metrics import observe_request
from gateway.outcomes import observe_departure, observe_refusal
from gateway.predict import Predict
from gateway.probe import Ending
from gateway.protocols.call import Action, Call, ProtocolName
from gateway.protocols.v2_grpc import parse
from gateway.protocols.v2_messages import (
    METHODS,
    PACKAGE,
    SERVICE,
    STREAM,
    descriptor_pool,
    message,
)
from gateway.protocols.wires import BodyHead
from gateway.replies import Answer
from gateway.request_ids import RequestIds
from gateway.routing.table import Assignment
from gateway.talks import Told
from gateway.turns import STALLED_S, Stalled, Stream, Turn
from gateway.watching import Watcher
from registry.references import Live, parse_ref
from tracking.errors import (
    InvalidRequest,
    MalformedBody,
    ModelNotReady,
    ResourceMissing,
    Unavailable,
)

_OVERHEAD_BYTES = 1 << 20
"""What a message may hold besides its tensors."""
_PARTING_S = 1.0
"""How long the last word to somebody who takes nothing is waited for."""
_SCOPE = {"raw_path": b"/v2/grpc", "method": "POST"}


class Method(Struct, frozen=True):
    """What a method of the service asks for.

    Args:
        action: As over REST.
        permission: What the caller must hold.
        name: The field with the model's name; empty if none is named.
        version: The field with its version; empty if there is none.
        absent: The field that says no where REST answers 503 or 404; empty if it is an error here.
    """

    action: Action
    permission: Permission = Permission.PREDICT
    name: str = ""
    version: str = ""
    absent: str = ""


TABLE = {
    "ServerLive": Method(Action.SERVER_LIVE, Permission.OPEN),
    "ServerReady": Method(Action.SERVER_READY, Permission.OPEN, absent="ready"),
    "ModelReady": Method(Action.READY, name="name", version="version", absent="ready"),
    "ServerMetadata": Method(Action.SERVER_METADATA),
    "ModelMetadata": Method(Action.METADATA, name="name", version="version"),
    "ModelInfer": Method(Action.INFER, name="model_name", version="model_version"),
    "RepositoryIndex": Method(Action.INDEX, Permission.ADMIN),
    "RepositoryModelLoad": Method(Action.LOAD, Permission.ADMIN, "model_name"),
    "RepositoryModelUnload": Method(Action.UNLOAD, Permission.ADMIN, "model_name"),
}
"""Every method, as ``PREDICT_ROUTES`` has every path."""


class GrpcServer:
    """A worker's gRPC server. Event loop only.

    Args:
        predict: What answers.
        door: Who may come in.
        address: Host and port.
        max_body_bytes: Cap on a message's tensors.
        watcher: Chooses whose phases are noted; without it nobody's are.
        stalled_s: How long a stream is kept for somebody who takes nothing.
    """

    def __init__(
        self,
        predict: Predict,
        door: Door,
        address: str,
        *,
        max_body_bytes: int,
        watcher: Watcher | None = None,
        stalled_s: float = STALLED_S,
    ) -> None:
        self._predict = predict
        self._ids = RequestIds()
        self._door = door
        self._address = address
        self._watcher = watcher
        self._stalled_s = stalled_s
        self._max_message_bytes = max_body_bytes + _OVERHEAD_BYTES
        self._server: Any = None
        self._health = Health(predict, self._admit)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            InvalidRequest: grpcio is not installed, or the address is not to be had.
        """
        try:
            grpc = importlib.import_module("grpc")
            reflection = importlib.import_module("grpc_reflection.v1alpha.reflection")
        except ImportError as error:
            message = "server.grpc_port is set, but grpcio is not installed: add stagedoor[grpc]."
            raise InvalidRequest(message) from error
        self._server = grpc.aio.server(options=self._options())
        self._server.add_generic_rpc_handlers([self._handlers(grpc), self._health.handlers(grpc)])
        names = (f"{PACKAGE}.{SERVICE}", HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server, pool=_all_descriptors())
        try:
            self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            message = f"Cannot listen on {self._address!r} for gRPC."
            raise InvalidRequest(message) from error
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and let those under way finish."""
        if self._server is not None:
            self._health.stop()
            await self._server.stop(grace_s)
            self._server = None

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 1 << 15),
        ]

    def _handlers(self, grpc: Any) -> Any:
        unary = grpc.unary_unary_rpc_method_handler
        handlers = {name: unary(partial(self._serve, name)) for name in METHODS}
        handlers[STREAM] = grpc.stream_stream_rpc_method_handler(partial(self._stream, grpc))
        return grpc.method_handlers_generic_handler(f"{PACKAGE}.{SERVICE}", handlers)

    async def _serve(self, name: str, request: bytes, context: Any) -> bytes:
        """Answer one call, or end it with a status."""
        answered, refusal = await self._answered(name, request, context)
        if refusal is None:
            return answered
        await end(context, refusal)
        raise AssertionError  # that has raised

    async def _stream(self, grpc: Any, requests: AsyncIterator[bytes], context: Any) -> None:
        """Answer all requests of a stream; a refusal is an answer like any other."""

        async def answer(turn: Turn, request: bytes) -> None:
            answered, refusal = await self._answered("ModelInfer", request, context, turn)
            if refusal is not None:
                await turn.refuse(refusal.message)
            elif answered:
                await turn.answer(answered)

        try:
            await Stream(context.write, self._stalled_s).serve(requests, answer)
        except Stalled:
            message = f"No answer was taken for {self._stalled_s:g} s."
            # It is sent at once, and waits behind what was not taken; the caller may be gone, too.
            with suppress(TimeoutError, grpc.aio.BaseError):
                async with asyncio.timeout(_PARTING_S):
                    await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, message)
            raise asyncio.CancelledError from None

    async def _answered(
        self, name: str, request: bytes, context: Any, turn: Turn | None = None
    ) -> tuple[bytes, Refusal | None]:
        """Answer one call, and note its phases if it is one of those watched."""
        watcher, probe = self._watcher, None
        if watcher is not None and name == "ModelInfer":
            metadata = context.invocation_metadata() or ()
            method = f"{PACKAGE}.{SERVICE}/{name}"
            probe = watcher.begin_call(method, metadata, time.perf_counter())
        if watcher is None or probe is None:
            return await self._tried(name, request, context, turn)
        with watcher.watching(probe):
            return await self._tried(name, request, context, turn)

    async def _tried(
        self, name: str, request: bytes, context: Any, turn: Turn | None
    ) -> tuple[bytes, Refusal | None]:
        request_id = self._ids.take()
        logs.request_id.set(request_id)
        try:
            principal = await self._admit(TABLE[name].permission, context)
            if name == "ModelInfer":
                return await self._infer(request, (request_id, principal), context, turn)
            tell_who(context, self._predict.headers(request_id, None))
            return await self._ask(name, request, request_id), None
        except Exception as error:  # noqa: BLE001  # the outermost frame: rendered, or logged there
            refusal = render(error, request_id)
            self._note_refusal(refusal)
            return b"", refusal

    def _note_refusal(self, refusal: Refusal, blamed: Assignment | None = None) -> None:
        rpc_status = code_of(refusal.status)
        told = Ending(refusal.request_id, refusal.status, refusal.code, rpc_status=rpc_status)
        self._predict.note_ending(blamed, told)

    async def _admit(self, permission: Permission, context: Any) -> Principal | None:
        """Let a call in, and return who asks."""
        head = Head()
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                head.authorization = value.encode() if isinstance(value, str) else value
        return await self._door.admit(_SCOPE, head, permission)

    async def _infer(
        self, request: bytes, who: tuple[str, Principal | None], context: Any, turn: Turn | None
    ) -> tuple[bytes, Refusal | None]:
        """Answer one request's rows, or say why not; either is counted.

        Of an answer that its turn told in pieces nothing is left.
        """
        request_id, principal = who
        started_s = time.perf_counter()
        asked: Asked | None = None
        try:
            parsed = parse("ModelInferRequest", request) if turn is None else turn.read(request)
            call = _call(TABLE["ModelInfer"], ProtocolName.V2_GRPC, parsed)
            asked = read_head(call, parsed, scope_of(context, principal), request_id)
            deadline_s = self._deadline_of(asked, context)
            with self._predict.intake.hold(asked.call.model, len(request), asked.caller):
                answer = await self._made(asked, request, deadline_s, turn)
        except asyncio.CancelledError:
            labels = labels_of(self._predict.blamed(asked), ProtocolName.V2_GRPC)
            observe_departure(labels, "cancelled", time.perf_counter() - started_s)
            raise
        except Exception as error:  # noqa: BLE001  # rendered, or logged there
            refusal, blamed = render(error, request_id), self._predict.blamed(asked)
            if turn is None:
                tell_who(context, self._predict.headers(request_id, blamed))
            self._note_refusal(refusal, blamed)
            labels = labels_of(blamed, ProtocolName.V2_GRPC)
            observe_refusal(labels, error, refusal.status, time.perf_counter() - started_s)
            return b"", refusal
        told = _told(answer)
        if turn is None:
            tell_who(context, self._predict.headers(request_id, told.assignment), told.fallback)
        self._count(asked, told, started_s)
        return answer.encoded.body if isinstance(answer, Answer) else b"", None

    def _count(self, asked: Asked, told: Told, started_s: float) -> None:
        """Count an answered request, and note its ending if it is watched."""
        rpc_status = "OK" if told.status == HTTPStatus.OK else code_of(told.status)
        ending = Ending(
            asked.request_id,
            told.status,
            told.code,
            rpc_status=rpc_status,
            fallback=told.fallback,
            key=asked.key,
        )
        self._predict.note_ending(told.assignment, ending)
        labels = labels_of(told.assignment, ProtocolName.V2_GRPC)
        observe_request(labels, str(int(told.status)), time.perf_counter() - started_s)

    async def _made(
        self, asked: Asked, request: bytes, deadline_s: float, turn: Turn | None
    ) -> Answer | Told:
        """Answer in pieces, where that is wanted and can be, or else whole."""
        if turn is not None and turn.wish.is_piecewise:
            answer = partial(self._predict.grpc_talks.answer, asked=asked, body=request, turn=turn)
            if (told := await self._predict.talk(asked, deadline_s, answer)) is not None:
                return told
        return await self._predict.answer(asked, request, deadline_s)

    def _deadline_of(self, asked: Asked, context: Any) -> float:
        left_s = context.time_remaining()
        deadline_s = self._predict.admit(asked)
        return deadline_s if left_s is None else min(deadline_s, time.monotonic() + left_s)

    async def _ask(self, name: str, request: bytes, request_id: str) -> bytes:
        """Answer a call without rows by what REST answers."""
        method = TABLE[name]
        parsed = parse(f"{name}Request", request)
        asked = Asked(_call(method, ProtocolName.V2, parsed), BodyHead(), b"", request_id)
        try:
            told = await self._predict.ask(asked, _body(method, parsed))
        except (Unavailable, ModelNotReady, ResourceMissing):
            if not method.absent:
                raise
            told = json.dumps({method.absent: False}).encode()
        found = json.loads(told or b"{}")
        fields = {"models": found} if isinstance(found, list) else found
        json_format = importlib.import_module("google.protobuf.json_format")
        response = message(f"{name}Response")()
        json_format.ParseDict(fields, response, ignore_unknown_fields=True)
        written: bytes = response.SerializeToString()
        return written


def _call(method: Method, protocol: ProtocolName, parsed: Any) -> Call:
    model = getattr(parsed, method.name) if method.name else None
    version = getattr(parsed, method.version) if method.version else ""
    if method.action in (Action.LOAD, Action.UNLOAD) and model is not None:
        # As over REST, where the version stands behind the name; no name holds a slash.
        model, _, version = model.partition("/versions/")
    if model == "":
        raise MalformedBody("The request names no model.")
    ref = parse_ref(version) if version else Live()
    return Call(protocol, method.action, method.permission, model, ref)


def _told(answer: Answer | Told) -> Told:
    if isinstance(answer, Told):
        return answer
    return Told(answer.assignment, fallback=answer.fallback)


def _body(method: Method, parsed: Any) -> bytes:
    """Return what a call without rows has as its body over REST."""
    if method.action is Action.INDEX:
        return json.dumps({"ready": parsed.ready}).encode()
    if method.action in (Action.LOAD, Action.UNLOAD):
        return json.dumps({"parameters": dict.fromkeys(parsed.parameters, True)}).encode()
    return b""


def _all_descriptors() -> Any:
    """Return one pool with the service of health checks and reflection beside ours."""
    pool = descriptor_pool()
    pb2 = importlib.import_module("google.protobuf.descriptor_pb2")
    for name in ("grpc_health.v1.health_pb2", "grpc_reflection.v1alpha.reflection_pb2"):
        file = pb2.FileDescriptorProto()
        importlib.import_module(name).DESCRIPTOR.CopyToProto(file)
        pool.Add(file)
    return pool
