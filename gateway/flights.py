"""Predict requests answered outside of ASGI: no task, no coroutine, no future.

A whole request on a known line, for a version with an engine, needs nothing that has to be waited
for but its turn. ``predict`` lets it board; the engine's ``gathering`` tells it the answer; then it
lands. Whatever else happens diverts it to the usual way, which starts anew and knows every refusal.
Event loop only.
"""

import time
from collections.abc import Callable

from msgspec import Struct

from gateway.asgi import Flight, Scope
from gateway.lines import Line, Way, read_asked
from gateway.protocols.wires import is_plain
from gateway.routing.bucketing import check_key
from gateway.serving.engine_servable import EngineServable
from gateway.serving.lease import Lease
from registry.route import VersionKey
from registry.tensors import InferRequest, Prediction
from tracking.errors import StagedoorError


class Boarding(Struct, frozen=True):
    """What a request brings along.

    Args:
        flight: The request, as the server has it.
        lease: Lends a version.
        started_s: When its head was read.
    """

    flight: Flight
    lease: Callable[[VersionKey], Lease]
    started_s: float


def board(line: Line, scope: Scope, body: bytes, boarding: Boarding) -> bool:
    """Let a request board, if it can; say whether it did.

    Raises:
        StagedoorError: It has to be refused: the usual way does that.
    """
    asked = read_asked(line.call, scope, scope["state"]["request_id"])
    check_key(asked.key)
    if asked.body_head.head_length is not None:
        return False
    way = line.keyed if asked.key else line.unkeyed
    lease = boarding.lease(way.assignment.key)
    with lease as servable:
        if type(servable) is not EngineServable:
            return False
        request = line.wire.decode(body, asked.body_head.content_type, servable.signature)
        if request.routing_key or not is_plain(request):
            return False
        request_id = asked.request_id.encode()
        waiter = Passenger(line, way, request, (boarding, request_id, lease))
        if not servable.ask(request.batch, request.params, waiter):
            return False
        waiter.take_off()
        return True


class Passenger:
    """Waits for the answer of an engine, and holds its version meanwhile. See ``Waiter``."""

    __slots__ = ("_boarding", "_lease", "_line", "_request", "_request_id", "_way")

    def __init__(
        self,
        line: Line,
        way: Way,
        request: InferRequest,
        luggage: tuple[Boarding, bytes, Lease],
    ) -> None:
        self._line = line
        self._way = way
        self._request = request
        self._boarding, self._request_id, self._lease = luggage

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
            self._boarding.flight.divert()
            return
        self._let_go()
        flight = self._boarding.flight
        if flight.is_over():
            return
        head = b"%bstagedoor-request-id: %b\r\ncontent-length: %d\r\n" % (
            line.head,
            self._request_id,
            len(body),
        )
        flight.land(head, body)
        way.tally.add(time.perf_counter() - self._boarding.started_s)

    def set_exception(self, error: StagedoorError) -> None:
        """Go the usual way: the same error comes up there, and is told to the caller."""
        del error
        self._let_go()
        self._boarding.flight.divert()

    def _let_go(self) -> None:
        self._line.level.__exit__()
        self._lease.__exit__(None, None, None)
