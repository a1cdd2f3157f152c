"""Whole predict requests, answered without a task, a scope or a cycle of uvicorn's.

A connection that repeats its head has it read once: see ``gateway.asgi.Ticket``. Where a request
turns out to need more, it starts anew as any other does, by ``http_protocol``. Event loop only.
"""

import asyncio
import weakref
from typing import Any, cast
from urllib.parse import unquote

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.asgi import REPLY, Headers, Ticket
from gateway.http_protocol import DoorProtocol, LimitedConfig

_OK = STATUS_LINE[200]
_LENGTH = b"content-length"
_MAX_AWAITED_BYTES = 8_192
"""A body up to here is awaited: many clients send head and body one after the other."""


class QuickProtocol(DoorProtocol):
    """One connection.

    While a request *boards*, its head was taken by a ticket and its body is being received; it
    flies once all of it is there, and lands with its answer.
    """

    def __init__(
        self,
        config: LimitedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._find_ticket = config.find_ticket
        self._is_receiving = False
        self._length: bytes | None = None
        self._ticket: Ticket | None = None
        self._ticket_head: tuple[bytes, Headers] = (b"", [])
        self._boarding: Flight | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._boarding = None
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection, after the answer to what has come in part."""
        self._start_early()
        super().shutdown()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; what is large and not whole by then goes the usual way."""
        self._is_receiving = True
        super().data_received(data)
        self._is_receiving = False

    def _look_after(self) -> None:
        if self._boarding is not None and not self._boarding.is_small():
            self._start_early()
        super()._look_after()

    def _start_early(self) -> None:
        """Start what boards the usual way, with what came of it."""
        flight, self._boarding = self._boarding, None
        if flight is not None and not self._is_refused and not self.transport.is_closing():
            self.start_again(flight)

    def on_message_begin(self) -> None:
        """Begin with a request."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._length = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; the length is kept apart, as it differs where all others are repeated."""
        name = name.lower()
        if name == _LENGTH:
            self._length = value
        else:
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def _take_head(self) -> None:
        if self._may_fly() and (ticket := self._ticket_for()) is not None:
            flight = Flight(self, ticket, self.url, self.headers, self._length)
            flight.keep_alive = self.parser.should_keep_alive()
            self._boarding = flight
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(with_length(headers, self._length))
        super()._take_head()

    def _may_fly(self) -> bool:
        """Whether nothing of what stands in no ticket is in the way."""
        return (
            self._is_receiving
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.server_state.is_draining  # type: ignore[attr-defined] # a DoorState
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
        )

    def _ticket_for(self) -> Ticket | None:
        head = (self.url, self.headers)
        if head == self._ticket_head:
            return self._ticket
        if self._find_ticket is None or not self.url.startswith(b"/") or not self.url.isascii():
            return None
        if b"?" in self.url or b"#" in self.url:
            return None
        found = self._find_ticket(
            {
                "type": "http",
                "method": "POST",
                "raw_path": self.url,
                "headers": self.headers,
                "client": self.client,
            }
        )
        if found is not None:
            self._ticket, self._ticket_head = found, head
        return found

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._boarding is None:
            super().on_body(body)
            return
        self._window_bytes += len(body)
        self._boarding.body += body

    def on_message_complete(self) -> None:
        """End a request's body; one that boards flies."""
        flight = self._boarding
        if flight is None or self._is_refused:
            super().on_message_complete()
            return
        self._end_body()
        self._boarding = None
        flight.more_body = False
        self.cycle = cast("RequestResponseCycle", flight)
        if not flight.ticket.board(flight.body, flight):
            flight.divert()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # ASGI's own extensions are mappings; ours is a call. A cycle is in no circle with its own
        # scope: what only the garbage collector frees costs a tenth of all time, and stalls.
        cycle.scope["extensions"] = {REPLY: Reply(weakref.proxy(cycle))}  # type: ignore[dict-item]
        super()._start_asgi_task(cycle, app)

    def start_again(self, flight: "Flight") -> None:
        """Start a request that boarded, or flew, the usual way."""
        cycle = self._open_cycle(flight)
        if (
            cast("object", self.cycle) is flight
            or self.cycle is None
            or self.cycle.response_complete
        ):
            self.cycle = cycle
        self._start_asgi_task(cycle, self.app)

    def _open_cycle(self, flight: "Flight") -> RequestResponseCycle:
        path = flight.url.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": self.root_path,
            "path": self.root_path + (unquote(path) if "%" in path else path),
            "raw_path": self.root_path.encode("ascii") + flight.url,
            "query_string": b"",
            "headers": with_length(flight.headers, flight.length),
            "state": self.app_state.copy(),
        }
        cycle = RequestResponseCycle(
            scope=scope,  # type: ignore[arg-type] # a dict that has all that is asked for
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=flight.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.body = bytearray(flight.body)
        cycle.more_body = flight.more_body
        cycle.message_event.set()
        return cycle


class _NoEvent:
    """What uvicorn sets when something arrived: nobody waits for it."""

    def set(self) -> None:
        """Do nothing."""


class Flight:
    """A request that is answered at once: see ``gateway.asgi.Flight``. One per request.

    It stands where uvicorn has a cycle, and has what uvicorn asks of one.

    Args:
        protocol: Its connection.
        ticket: What its head said.
        url: Its path as it came.
        headers: Its headers, but for the length.
        length: Of its body, if it was told.
    """

    __slots__ = (
        "_protocol",
        "body",
        "disconnected",
        "headers",
        "keep_alive",
        "length",
        "more_body",
        "response_complete",
        "response_started",
        "ticket",
        "url",
    )
    message_event = _NoEvent()
    waiting_for_100_continue = False

    def __init__(
        self,
        protocol: QuickProtocol,
        ticket: Ticket,
        url: bytes,
        headers: Headers,
        length: bytes | None,
    ) -> None:
        self._protocol = protocol
        self.ticket = ticket
        self.url = url
        self.headers = headers
        self.length = length
        self.keep_alive = True
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False

    def is_small(self) -> bool:
        """Say whether its body may be awaited."""
        return self.length is not None and int(self.length) <= _MAX_AWAITED_BYTES

    def is_over(self) -> bool:
        """Say whether the connection is gone."""
        return self.disconnected

    def land(self, head: bytes, body: bytes, status: int = 200) -> None:
        """Write the answer; callers who read slowly were sent the usual way before."""
        protocol = self._protocol
        if protocol.transport.is_closing():
            return
        self.response_started = self.response_complete = True
        for name, value in protocol.server_state.default_headers:
            head += b"%b: %b\r\n" % (name, value)
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        protocol.transport.write(b"".join((STATUS_LINE[status], head, end, body)))
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()

    def divert(self) -> None:
        """Start anew, the usual way."""
        if not self.disconnected:
            self._protocol.start_again(self)


def with_length(headers: Headers, length: bytes | None) -> Headers:
    """Return headers and the one that was kept apart."""
    return headers if length is None else [*headers, (_LENGTH, length)]


class Reply:
    """Takes a whole answer with status 200 and writes it at one go. One per request.

    What ``RequestResponseCycle.send`` does in two steps and with a look at each header. The caller
    vouches for its headers.
    """

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def __call__(self, head: bytes, body: bytes) -> bool:
        """Write an answer; tell whether it was, or has to be sent the usual way.

        Args:
            head: Header lines with their ends, the body's length among them.
            body: All of it.
        """
        cycle = self._cycle
        if cycle.disconnected or cycle.response_started or cycle.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        for name, value in cycle.default_headers:
            head += b"%b: %b\r\n" % (name, value)
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.transport.write(_OK + head + end + body)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True
