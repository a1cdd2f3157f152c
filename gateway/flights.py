"""Predict requests answered outside of ASGI: no task, no coroutine, no future.

A whole request on a known line, for a version with an engine, needs nothing that has to be waited
for but its turn. ``quick_protocol`` has a connection's head read once, by a ``Ticket``, and lets
requests board by it; the engine's ``gathering`` tells the answer; then they land. Whatever else
happens diverts them to the usual way, which starts anew and knows every refusal. Event loop only.
"""

import time
from collections.abc import Callable

from gateway.asgi import Flight, Scope
from gateway.decoding import least_large
from gateway.lines import Asked, Line, Lines, Way, read_asked
from gateway.protocols.wires import is_plain
from gateway.quotas import Quotas
from gateway.replies import check_permission
from gateway.request_ids import RequestIds
from gateway.routing.bucketing import check_key
from gateway.routing.table import RouteTable
from gateway.serving.callers import Caller
from gateway.serving.engine_servable import EngineServable
from gateway.serving.lease import Lease
from gateway.watching import Watcher
from registry.route import VersionKey
from registry.tensors import InferRequest, Prediction
from tracking.errors import StagedoorError


class Desk:
    """Gives tickets. One per worker.

    Args:
        table: Returns the snapshot of routes; one read of it decides a request.
        lines: What is known of paths.
        lease: Lends a version.
        watcher: Chooses whose phases are noted: they go all the way. With traces all do.
        quotas: What each client may ask for.
    """

    def __init__(
        self,
        table: Callable[[], RouteTable],
        lines: Lines,
        lease: Callable[[VersionKey], Lease],
        watcher: Watcher | None,
        quotas: Quotas,
    ) -> None:
        self.quotas = quotas if quotas.is_on else None
        self.watcher = watcher
        self.table = table
        self.lines = lines
        self.lease = lease
        self.ids = RequestIds()

    def ticket(self, scope: Scope) -> "Ticket | None":
        """Read a head; ``None`` where each of its requests has to be looked at by itself.

        Args:
            scope: It names the principal, who may predict; whether that still holds is looked at
                for each request, by whoever asks.
        """
        line = self.lines.find_for(scope, self.table())
        if line is None or (self.watcher is not None and self.watcher.tracer is not None):
            return None
        asked = read_asked(line.call, scope, "")
        try:
            check_permission(line.call, scope)
            check_key(asked.key)
            caller = asked.caller
        except StagedoorError:
            return None
        if asked.body_head.head_length is not None or asked.timeout_ms:
            return None
        return Ticket(self, scope, asked, caller)


class Ticket:
    """See ``gateway.asgi.Ticket``. Immutable, shared by requests with the same head."""

    __slots__ = ("_caller", "_content_type", "_desk", "_has_key", "_max_body_bytes", "_raw_path")

    def __init__(self, desk: Desk, scope: Scope, asked: Asked, caller: Caller) -> None:
        self._desk = desk
        self._raw_path: bytes = scope["raw_path"]
        self._has_key = bool(asked.key)
        self._caller = caller
        self._content_type = asked.body_head.content_type
        largest = least_large(asked.call.protocol, self._content_type) - 1
        self._max_body_bytes = min(scope["max_body_bytes"], largest)

    def board(self, body: bytes, flight: Flight) -> bool:
        """Let a request board, if it can; say whether it did."""
        started_s = time.perf_counter()
        desk = self._desk
        line = desk.lines.find(self._raw_path, desk.table())
        if line is None or len(body) > self._max_body_bytes:
            return False
        if desk.quotas is not None and desk.quotas.wait_s(*self._account(line), started_s):
            return False
        if desk.watcher is not None and started_s >= line.level.aside_at_s:
            desk.watcher.send_aside(line.level, started_s)
            return False
        try:
            return self._embark(line, body, flight, started_s)
        except StagedoorError:
            return False  # the usual way refuses it

    def _embark(self, line: Line, body: bytes, flight: Flight, started_s: float) -> bool:
        desk = self._desk
        way = line.keyed if self._has_key else line.unkeyed
        lease = desk.lease(way.assignment.key)
        with lease as servable:
            if type(servable) is not EngineServable:
                return False
            request = line.wire.decode(body, self._content_type, servable.signature)
            if request.routing_key or request.timeout_us or not is_plain(request):
                return False
            if request.priority is not None:
                return False
            luggage = (flight, desk.ids.take(), lease, started_s, self._caller)
            waiter = Passenger(line, way, request, luggage)
            if not servable.ask(request.batch, request.params, waiter):
                return False
            waiter.take_off()
        if desk.quotas is not None:
            desk.quotas.take(*self._account(line), started_s)
        return True

    def _account(self, line: Line) -> tuple[str, str]:
        return self._caller.key, line.call.model or ""


class Passenger:
    """Waits for the answer of an engine, and holds its version meanwhile. See ``Waiter``."""

    __slots__ = (
        "_flight",
        "_lease",
        "_line",
        "_request",
        "_request_id",
        "_started_s",
        "_way",
        "caller",
    )

    def __init__(
        self,
        line: Line,
        way: Way,
        request: InferRequest,
        luggage: tuple[Flight, str, Lease, float, Caller],
    ) -> None:
        self._line = line
        self._way = way
        self._request = request
        self._flight, self._request_id, self._lease, self._started_s, self.caller = luggage

    def take_off(self) -> None:
        """Hold the version until the answer is there."""
        self._lease.__enter__()
        self._line.level.__enter__()

    def done(self) -> bool:
        """Never: somebody who has left is told, too, and gives the version back."""
        return False

    def set_result(self, answer: Prediction) -> None:
        """Land with an answer."""
        line, way = self._line, self._way
        try:
            body = line.wire.encode(answer, self._request, way.assignment.key)
        except Exception:  # noqa: BLE001 - the usual way meets it again, and logs it
            self._let_go()
            self._flight.divert()
            return
        self._let_go()
        flight = self._flight
        if flight.is_over():
            return
        head = b"%bstagedoor-request-id: %b\r\ncontent-length: %d\r\n" % (
            line.head,
            self._request_id.encode(),
            len(body),
        )
        flight.land(head, body)
        way.tally.add(time.perf_counter() - self._started_s)

    def set_exception(self, error: StagedoorError) -> None:
        """Go the usual way: the same error comes up there, and is told to the caller."""
        del error
        self._let_go()
        self._flight.divert()

    def _let_go(self) -> None:
        self._line.level.__exit__()
        self._lease.__exit__(None, None, None)
