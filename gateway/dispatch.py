"""The outermost ASGI callable: every request gets an id, passes the door, and goes one of two ways.

uvicorn calls it on the event loop. Predict paths go straight to ``gateway.predict``, everything
else to Litestar. Both find ``request_id`` and ``principal`` in ``scope["state"]``.
"""

import time
from collections.abc import Callable
from functools import partial

from gateway import logs
from gateway.asgi import (
    IS_PROBE,
    App,
    FindTicket,
    Flight,
    Message,
    Receive,
    Scope,
    Send,
    Ticket,
    send_at_once,
)
from gateway.auth.door import (
    HEALTH_PATHS,
    Door,
    Head,
    Pass,
    PermissionOf,
    check_body_size,
    read_head,
)
from gateway.auth.policy import Permission
from gateway.control_flights import ControlTicket, Named, lines_of, log_request
from gateway.errors import Refusal, render
from gateway.protocols import v2_rest
from gateway.request_ids import RequestIds
from tracking.errors import InvalidRequest, StagedoorError

_PREDICT_PREFIXES = (b"/models/", b"/v1/models/", b"/v2/", b"/endpoints/")
_PREDICT_PATHS = frozenset({b"/v2", b"/invocations", b"/ping"})
_CONTROL_PREFIX = b"/api/2.0/mlflow/runs/"
_OPEN_PREDICT_PATHS = frozenset({b"/ping", b"/v2/health/live", b"/v2/health/ready"})
# What load balancers and downloaders ask by HEAD: answered as GET is, and the server sends no body.
_PROBED_PATHS = HEALTH_PATHS | {b"/version"}
_PROBED_PREFIX = b"/api/2.0/mlflow-artifacts/artifacts/"
REWRITES = (("/ajax-api/", "/api/"), ("/api/2.0/preview/", "/api/2.0/"))
"""Other names of MLflow's paths, and the name that ours have."""
_GUARDS = {b"x-content-type-options": b"nosniff", b"x-frame-options": b"SAMEORIGIN"}
_NUL = b"%00"
_LENGTH = b"content-length"
_OK = 200
FindControl = Callable[[Scope], ControlTicket | None]


class Dispatch:
    """The door, and behind it predict and the control plane. Event loop only.

    Args:
        predict: Answers predict paths, with its own headers.
        control: Litestar; it also gets the lifespan.
        door: Who may come in.
        permission_of: What each control route asks for.
        worker_id: Told in every answer of the control plane.
        static_prefix: What a proxy in front leaves on paths, ``/mlops``, or an empty text.
    """

    def __init__(
        self,
        predict: App,
        control: App,
        door: Door,
        *,
        permission_of: PermissionOf,
        worker_id: str,
        static_prefix: str = "",
    ) -> None:
        self._find_ticket: FindTicket | None = getattr(predict, "ticket", None)
        self._find_control: FindControl | None = getattr(control, "ticket", None)
        self._predict = predict
        self._control = control
        self._door = door
        self._permission_of = permission_of
        self._worker_header = (b"stagedoor-worker", worker_id.encode())
        prefix = static_prefix.rstrip("/")
        self._rewrites = ((f"{prefix}/", "/"), *REWRITES) if prefix else REWRITES
        self._aliases = tuple(alias.encode() for alias, _ in self._rewrites)
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._control(scope, receive, send)
            return
        if scope["raw_path"].startswith(self._aliases):
            rewrite(scope, self._rewrites)
        if scope["method"] == "HEAD":
            scope = _answered(scope)
        request_id = self._ids.take()
        scope.setdefault("state", {})["request_id"] = request_id
        logs.request_id.set(request_id)
        if is_predict_path(scope["raw_path"]):
            await self._serve_predict(scope, receive, send)
        else:
            await self._serve_control(scope, receive, send)

    def ticket(self, scope: Scope) -> Ticket | None:
        """Read a head by which whole requests can be answered at once, if it is one.

        Whoever is not let in, and whatever fails, goes the usual way and is refused there.
        """
        find, permission = self._finder(scope["raw_path"])
        if find is None:
            return None
        if not self._door.is_local:
            renew = partial(self._open, scope, find, permission)
            opened = renew()
            return None if opened is None else _Checked(opened, renew)
        try:
            local = self._door.admit_local(scope, read_head(scope["headers"]), permission)
        except StagedoorError:
            return None
        scope["state"] = {"principal": local}
        scope["max_body_bytes"] = self._door.body_limit(scope)
        return find(scope)

    def _finder(self, raw_path: bytes) -> tuple[FindTicket | None, Permission]:
        """Return who reads the head of a request by POST, and what it has to be allowed."""
        if raw_path.startswith(_PREDICT_PREFIXES):
            return self._find_ticket, Permission.PREDICT
        if self._find_control is None or not raw_path.startswith(_CONTROL_PREFIX):
            return None, Permission.OPEN
        permission = self._permission_of("POST", raw_path.decode("ascii"))
        if permission is None:
            return None, Permission.OPEN
        return partial(self._find_named, self._find_control), permission

    def _find_named(self, find: FindControl, scope: Scope) -> Ticket | None:
        ticket = find(scope)
        headers = [self._worker_header, *_GUARDS.items()]
        return None if ticket is None else Named(ticket, scope, headers, self._ids)

    def _open(
        self, scope: Scope, find_ticket: FindTicket, permission: Permission
    ) -> tuple[Ticket, Pass] | None:
        """Read a head of somebody who has to be known, and is."""
        head = read_head(scope["headers"])
        try:
            admitted = self._door.find_pass(scope, head, permission)
        except StagedoorError:
            return None
        if admitted is None:
            return None
        scope["state"] = {"principal": admitted.principal}
        scope["max_body_bytes"] = self._door.body_limit(scope)
        ticket = find_ticket(scope)
        return None if ticket is None else (ticket, admitted)

    async def _serve_predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["raw_path"] in _OPEN_PREDICT_PATHS
        permission = Permission.OPEN if is_open else Permission.PREDICT
        try:
            if self._door.is_local:
                head = read_head(scope["headers"])
                scope["state"]["principal"] = self._door.admit_local(scope, head, permission)
                if head.length < 0:
                    receive = _capped(receive, head, self._door.body_limit(scope))
            else:
                receive = await self._admitted(scope, receive, permission)
            await self._predict(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the outermost frame: nothing leaves it raw
            refusal = render(error, scope["state"]["request_id"])
            identity = [(b"stagedoor-request-id", refusal.request_id.encode()), self._worker_header]
            await _refuse(scope, send, refusal, identity)

    async def _serve_control(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        answer = _Answer(scope, send, self._worker_header)
        try:
            _check_text(scope)
            permission = self._permission_of(scope["method"], scope["path"])
            receive = await self._admitted(scope, receive, permission)
            await self._control(scope, receive, answer)
        except Exception as error:
            if answer.status:
                raise
            await _refuse(scope, answer, render(error, answer.request_id), [])
        finally:
            took_s = time.perf_counter() - started_s
            log_request(scope["method"], scope["path"], answer.status, took_s)

    async def _admitted(
        self, scope: Scope, receive: Receive, permission: Permission | None
    ) -> Receive:
        """Let a request through the door, and return what its body is received by."""
        head = read_head(scope["headers"])
        scope["state"]["principal"] = await self._door.admit(scope, head, permission)
        return _capped(receive, head, self._door.body_limit(scope))


class _Checked:
    """A ticket of somebody who has to be known, checked at the door for each request.

    Args:
        opened: What the head says, and who sent it.
        renew: Reads the head again, should that be another one by now.
    """

    __slots__ = ("_opened", "_renew")

    def __init__(
        self, opened: tuple[Ticket, Pass], renew: Callable[[], tuple[Ticket, Pass] | None]
    ) -> None:
        self._opened = opened
        self._renew = renew

    def board(self, body: bytes, flight: Flight) -> bool:
        """Let a request board, if it would come in at the door."""
        ticket, admitted = self._opened
        if admitted.holds():
            return ticket.board(body, flight)
        opened = self._renew()
        if opened is None:
            return False
        self._opened = opened
        return opened[0].board(body, flight)


class _Answer:
    """Sends a control answer with the headers that all have, and remembers its status.

    What has all its body in one message leaves at one go, if the server can do that.
    """

    def __init__(self, scope: Scope, send: Send, worker_header: tuple[bytes, bytes]) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self.request_id: str = scope["state"]["request_id"]
        self.status = 0
        self._headers = [
            (b"stagedoor-request-id", self.request_id.encode()),
            worker_header,
            *_GUARDS.items(),
        ]

    async def __call__(self, message: Message) -> None:
        """Send one message; the start waits for the first piece of the body."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = [header for header in message.get("headers", ()) if header[0] not in _GUARDS]
            message["headers"] = [*given, *self._headers]
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if not message.get("more_body", False) and self._has_left_at_once(start, message):
                return
            await self._send(start)
        await self._send(message)

    def _has_left_at_once(self, start: Message, message: Message) -> bool:
        if self.status != _OK or self._scope["method"] == "HEAD":
            return False
        lines = lines_of([header for header in start["headers"] if header[0] != _LENGTH])
        return send_at_once(self._scope, lines, message.get("body", b""))


def _answered(scope: Scope) -> Scope:
    """Return what is answered in place of a request by HEAD: one by GET, where that is meant."""
    raw_path = scope["raw_path"]
    if raw_path not in _PROBED_PATHS and not raw_path.startswith(_PROBED_PREFIX):
        return scope
    state = {**scope.get("state", {}), IS_PROBE: True}
    return {**scope, "method": "GET", "extensions": {}, "state": state}


def is_predict_path(raw_path: bytes) -> bool:
    """Decide whether a path is answered by ``gateway.predict``, by the bytes as they came."""
    return raw_path.startswith(_PREDICT_PREFIXES) or raw_path in _PREDICT_PATHS


def rewrite(scope: Scope, rewrites: tuple[tuple[str, str], ...]) -> None:
    """Give the paths that are other names of ours their one name, in place.

    Only what the raw path spells out is rewritten, so that both forms of the path stay one.
    """
    for alias, name in rewrites:
        if scope["raw_path"].startswith(alias.encode()):
            scope["raw_path"] = name.encode() + scope["raw_path"][len(alias) :]
            scope["path"] = name + scope["path"][len(alias) :]


def _check_text(scope: Scope) -> None:
    """Check that neither path nor query holds what not every database could look for.

    Raises:
        InvalidRequest: There is a NUL character.
    """
    if _NUL in scope.get("query_string", b"") or "\x00" in scope["path"]:
        message = "The path or the query holds a NUL character. Leave it out."
        raise InvalidRequest(message)


def _capped(receive: Receive, head: Head, limit_bytes: int) -> Receive:
    """Return ``receive`` with a cap; a told length was checked, and the parser holds it to that."""
    if head.length >= 0:
        return receive
    seen_bytes = 0

    async def receive_capped() -> Message:
        nonlocal seen_bytes
        message = await receive()
        seen_bytes += len(message.get("body", b""))
        check_body_size(seen_bytes, limit_bytes)
        return message

    return receive_capped


async def _refuse(
    scope: Scope, send: Send, refusal: Refusal, identity: list[tuple[bytes, bytes]]
) -> None:
    body = refusal.body()
    if scope["raw_path"].startswith((b"/v1/", b"/v2")):
        body = v2_rest.render_error(
            refusal.status, refusal.code, refusal.message, refusal.request_id
        )
    headers = [
        *identity,
        *refusal.headers(),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
