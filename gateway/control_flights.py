"""Control requests answered outside of ASGI, as ``gateway.flights`` does it for predict.

``gateway.dispatch`` wraps the tickets of the control plane in these: each request gets the id, the
headers and the line in the log that it would have got the usual way. Event loop only.
"""

import logging
import time
from typing import Protocol

from gateway import logs
from gateway.asgi import Flight, Headers, Scope
from gateway.errors import render
from gateway.request_ids import RequestIds

_OK = 200
_SERVER_ERROR = 500
_JSON = (b"content-type", b"application/json")
_JSON_LINE = b"content-type: application/json\r\n"
_LOG = logging.getLogger("stagedoor.requests")
_QUIET_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})


class ControlTicket(Protocol):
    """What a head says of control requests: see ``gateway.asgi.Ticket``."""

    def board(self, body: bytes, flight: "ControlFlight") -> bool:
        """Take a whole request, if it can be answered at once; then the flight lands."""


class Named:
    """A ticket whose requests are answered in the name of the control plane. Immutable.

    Args:
        ticket: Who answers.
        scope: The head.
        headers: What all answers have.
        ids: Gives ids.
    """

    __slots__ = ("_ids", "_ticket", "head", "path")

    def __init__(
        self, ticket: ControlTicket, scope: Scope, headers: Headers, ids: RequestIds
    ) -> None:
        self._ticket = ticket
        self._ids = ids
        self.path = scope["raw_path"].decode("ascii")
        self.head = lines_of(headers)

    def board(self, body: bytes, flight: Flight) -> bool:
        """Let a request board, if it can."""
        return self._ticket.board(body, ControlFlight(self, flight, self._ids.take()))


class ControlFlight:
    """A control request that is answered at once. One per request.

    Args:
        named: What its head said.
        flight: The request, as the server knows it.
        request_id: Its id.
    """

    __slots__ = ("_flight", "_named", "_request_id", "_started_s")

    def __init__(self, named: Named, flight: Flight, request_id: str) -> None:
        self._named = named
        self._flight = flight
        self._request_id = request_id
        self._started_s = time.perf_counter()

    def land(self, body: bytes) -> None:
        """Answer with status 200 and a JSON body."""
        self._land(_OK, _JSON_LINE, body)

    def refuse(self, error: BaseException) -> None:
        """Answer with what a caller may know of an error."""
        logs.request_id.set(self._request_id)
        refusal = render(error, self._request_id)
        self._land(refusal.status, lines_of([*refusal.headers(), _JSON]), refusal.body())

    def _land(self, status: int, lines: bytes, body: bytes) -> None:
        logs.request_id.set(self._request_id)
        if not self._flight.is_over():
            head = b"%bstagedoor-request-id: %b\r\n%bcontent-length: %d\r\n" % (
                lines,
                self._request_id.encode(),
                self._named.head,
                len(body),
            )
            self._flight.land(head, body, status)
        log_request("POST", self._named.path, status, time.perf_counter() - self._started_s)


def lines_of(headers: Headers) -> bytes:
    """Return headers as lines with their ends."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def log_request(method: str, path: str, status: int, duration_s: float) -> None:
    """Log one control request; one that got no answer has the status 0."""
    level = logging.INFO
    if path in _QUIET_PATHS:
        level = logging.DEBUG  # a probe that is told to wait is no error
    elif status >= _SERVER_ERROR or not status:
        level = logging.ERROR
    _LOG.log(
        level,
        "%s %s %d",
        method,
        path,
        status,
        extra={"duration_ms": round(duration_s * 1000, 1)},
    )
