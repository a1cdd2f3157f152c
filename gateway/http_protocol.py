"""How a worker speaks HTTP: uvicorn's httptools protocol, with the deadlines and caps it lacks.

uvicorn has no deadline for a head or a body and httptools no cap on headers; a middleware would run
too late for either. Everything here runs on the event loop, one protocol object per connection. The
application behind it is ``gateway.dispatch``; ``http_server`` makes the server, whose connections
are those of ``quick_protocol``.
"""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.asgi import FindTicket
from gateway.errors import Refusal
from gateway.settings import LimitSettings

MAX_DISCARDED_BYTES = 256 * 1024 * 1024
_HEAD_OVERHEAD_BYTES = 4  # ": " and the line's end


class LimitedConfig(Config):
    """uvicorn's configuration, and what is ours: see ``http_server``.

    Attributes:
        limits: What a connection may send, and how slowly.
        find_ticket: Says what of a head is enough to answer a whole request outside of ASGI.
    """

    limits: LimitSettings
    find_ticket: FindTicket | None = None


class DoorState(ServerState):
    """What the connections of one worker share: uvicorn's, and whether the worker drains."""

    is_draining = False


class DoorProtocol(HttpToolsProtocol):
    """One connection. Event loop only.

    A *head* is what comes before a body: request line and headers. While one is awaited or is
    incomplete a timer runs; while a body is, another looks at what arrived since its last look.
    """

    config: LimitedConfig

    def __init__(
        self,
        config: LimitedConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = config.limits
        self._is_refused = False
        self._is_in_body = False
        self._unparsed_bytes = 0
        self._arrived_bytes = 0
        self._window_bytes = 0
        self._discarded_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or turn it away when there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, "TEMPORARILY_UNAVAILABLE", "Too many connections; try again.")
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and watch what is still missing."""
        if self._is_refused:
            return
        self._unparsed_bytes += len(data)
        self._arrived_bytes = self._unparsed_bytes
        super().data_received(data)
        self._look_after()

    def _look_after(self) -> None:
        """Watch what is still missing of what arrives."""
        if self._is_refused or self.transport.is_closing():
            self._stop_timers()
        elif self._is_in_body:
            self._watch_body()
        elif self._unparsed_bytes > self.limits.max_head_bytes:
            self._refuse_head()
        elif self._unparsed_bytes and self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless its head is too large."""
        if self._is_refused:
            return
        self._end_head()
        max_bytes = self.limits.max_head_bytes
        # Whoever sent fewer bytes than that has no larger head.
        if self._arrived_bytes > max_bytes and self._measure_head() > max_bytes:
            self._refuse_head()
            return
        self._is_in_body = True
        self._take_head()

    def _take_head(self) -> None:
        """Hand the request to the application."""
        super().on_headers_complete()
        if self.server_state.is_draining:  # type: ignore[attr-defined] # a DoorState
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand a part of a body to the application, or drop it when that has answered already."""
        if self._is_refused:
            return
        self._window_bytes += len(body)
        if self.cycle.response_complete:
            self._discarded_bytes += len(body)
            if self._discarded_bytes > MAX_DISCARDED_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request's body."""
        if self._is_refused:
            return
        self._end_body()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin with the next request, if it waits already.

        What uvicorn does, but for the timer: it sets a new one after each answer.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since_s = self.loop.time()
        if self._idle_timer is None:
            self._await_request(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Note that the connection is not idle; its timer sees that when it runs out."""
        self._idle_since_s = None

    def _await_request(self, seconds: float) -> None:
        self._idle_timer = self.loop.call_later(seconds, self._judge_idleness)

    def _judge_idleness(self) -> None:
        self._idle_timer = None
        if self._idle_since_s is None or self.transport.is_closing():
            return  # the next answer sets it again
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._await_request(left_s)
        else:
            self.transport.close()

    def _end_body(self) -> None:
        self._is_in_body = False
        self._unparsed_bytes = self._discarded_bytes = 0
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _measure_head(self) -> int:
        lines = sum(len(n) + len(v) + _HEAD_OVERHEAD_BYTES for n, v in self.headers)
        return lines + len(self.url)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self._head_is_late)

    def _end_head(self) -> None:
        self._unparsed_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._await_head()  # the next head may wait for the answer to the one before
        elif self._unparsed_bytes:
            self._refuse(408, "DEADLINE_EXCEEDED", "The request's head did not arrive in time.")
        else:
            self.transport.close()

    def _refuse_head(self) -> None:
        limit = self.limits.max_head_bytes
        message = f"The request's line and headers are larger than {limit} bytes."
        self._refuse(431, "REQUEST_TOO_LARGE", message)

    def _watch_body(self) -> None:
        if self._body_timer is None and self.limits.min_body_rate_bytes_s:
            self._window_bytes = 0
            self._body_timer = self.loop.call_later(self.limits.body_window_s, self._judge_body)

    def _judge_body(self) -> None:
        self._body_timer = None
        if self.transport.is_closing() or not self._is_in_body:
            return
        rate_bytes_s = self._window_bytes / self.limits.body_window_s
        enough = rate_bytes_s >= self.limits.min_body_rate_bytes_s
        is_asked = self.cycle is not None and self.cycle.waiting_for_100_continue
        is_held_by_us = self.flow.read_paused or is_asked
        if enough or is_held_by_us:
            self._watch_body()
        else:
            self._refuse(408, "DEADLINE_EXCEEDED", "The request's body arrived too slowly.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer on the bare connection and close it; an answer under way is cut off instead."""
        self._is_refused = True
        self._stop_timers()
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(_refusal_bytes(Refusal(status, code, message)))
        self.transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._body_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._body_timer = self._idle_timer = None


def _refusal_bytes(refusal: Refusal) -> bytes:
    body = refusal.body()
    headers = [
        *refusal.headers(),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return STATUS_LINE[refusal.status] + lines + b"\r\n" + body
