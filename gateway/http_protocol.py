"""How a worker speaks HTTP: uvicorn's httptools protocol, with the deadlines and caps it lacks.

uvicorn has no deadline for a head or a body and httptools no cap on headers; a middleware would run
too late for either. Everything here runs on the event loop, one protocol object per connection. The
application behind it is ``gateway.dispatch``; ``gateway.app.run_worker`` makes the server.
"""

import asyncio
import time
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import Server, ServerState

from gateway.asgi import REPLY, AtOnce, Scope
from gateway.errors import Refusal
from gateway.settings import Settings, is_loopback

MAX_DISCARDED_BYTES = 256 * 1024 * 1024
_PUBLIC_PRE_STOP_S = 5.0
_OK = 200
_HEAD_OVERHEAD_BYTES = 4  # ": " and the line's end


class DoorConfig(Config):
    """uvicorn's configuration with our limits in it. One per worker."""

    def __init__(self, app: Any, settings: Settings) -> None:
        server, serving = settings.server, settings.serving
        super().__init__(
            app,
            http=DoorProtocol,
            loop="uvloop",
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=server.keep_alive_s,
            timeout_graceful_shutdown=max(1, round(serving.drain_timeout_s)),
        )
        self.limits = settings.limits
        self.pre_stop_s = pre_stop_s(settings)
        self.at_once: AtOnce | None = getattr(app, "at_once", None)


class DoorState(ServerState):
    """What the connections of one worker share: uvicorn's, and whether the worker drains."""

    is_draining = False


class DoorServer(Server):
    """One worker's server: drains at the first signal, leaves at once at the second.

    Args:
        config: Ours.
        on_drain: Called once when draining starts, from a signal handler: set a flag, no more.
    """

    config: DoorConfig

    def __init__(self, config: DoorConfig, *, on_drain: Callable[[], None]) -> None:
        super().__init__(config)
        self.server_state = DoorState()
        self._on_drain = on_drain
        self._exit_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Start to drain; on a second signal, leave."""
        self._captured_signals.append(sig)
        if self._exit_at is not None:
            self.force_exit = self.should_exit = True
            return
        self._exit_at = time.monotonic() + self.config.pre_stop_s
        self.should_exit = self.config.pre_stop_s == 0
        self.server_state.is_draining = True  # type: ignore[attr-defined] # a DoorState
        self._on_drain()

    async def on_tick(self, counter: int) -> bool:
        """Let uvicorn do its rounds, and end them once load balancers have had their time."""
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)


class DoorProtocol(HttpToolsProtocol):
    """One connection. Event loop only.

    A *head* is what comes before a body: request line and headers. While one is awaited or is
    incomplete a timer runs; while a body is, another looks at what arrived since its last look.
    """

    config: DoorConfig

    def __init__(
        self,
        config: DoorConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.limits = config.limits
        self._held: RequestResponseCycle | None = None
        self._may_hold = False
        self._is_refused = False
        self._is_in_body = False
        self._unparsed_bytes = 0
        self._arrived_bytes = 0
        self._window_bytes = 0
        self._discarded_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None

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
        self._may_hold = self.config.at_once is not None
        super().data_received(data)
        self._may_hold = False
        if self._held is not None:
            self._release_held()  # its body is not all there
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
        super().on_headers_complete()
        self._is_in_body = True
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
        self._is_in_body = False
        self._unparsed_bytes = self._discarded_bytes = 0
        _cancel(self._body_timer)
        self._body_timer = None
        super().on_message_complete()
        if self._held is not None:
            self._serve_at_once(self._held)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ARG002 - uvicorn's
        """Serve a request; one that is being parsed is held until its body is there, or not."""
        if self._may_hold:
            self._held = cycle
        else:
            self.start_task(cycle)

    def start_task(self, cycle: RequestResponseCycle) -> None:
        """Serve a request the usual way, from its beginning."""
        # ASGI's own extensions are mappings; ours is a call. A cycle is in no circle with its own
        # scope: what only the garbage collector frees costs a tenth of all time, and stalls.
        cycle.scope["extensions"] = {REPLY: Reply(weakref.proxy(cycle))}  # type: ignore[dict-item]
        super()._start_asgi_task(cycle, self.app)

    def _release_held(self) -> None:
        cycle, self._held = self._held, None
        if cycle is not None and not cycle.disconnected:
            self.start_task(cycle)

    def _serve_at_once(self, cycle: RequestResponseCycle) -> None:
        """Try to have a whole request answered without a task."""
        at_once, scope = self.config.at_once, cast("Scope", cycle.scope)
        flight = _Flight(self, cycle)
        if at_once is None or not at_once(scope, bytes(cycle.body), flight):
            self._release_held()
        else:
            self._held = None

    def _measure_head(self) -> int:
        lines = sum(len(n) + len(v) + _HEAD_OVERHEAD_BYTES for n, v in self.headers)
        return lines + len(self.url)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self._head_is_late)

    def _end_head(self) -> None:
        self._unparsed_bytes = 0
        _cancel(self._head_timer)
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
        is_held_by_us = self.flow.read_paused or self.cycle.waiting_for_100_continue
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
        _cancel(self._head_timer)
        self._head_timer = None
        _cancel(self._body_timer)
        self._body_timer = None


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
        cycle.transport.write(STATUS_LINE[_OK] + head + end + body)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


class _Flight:
    """A request that is answered without a task; see ``gateway.asgi.Flight``."""

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: DoorProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def is_over(self) -> bool:
        """Say whether the connection is gone."""
        return self._cycle.disconnected

    def land(self, head: bytes, body: bytes) -> None:
        """Write the answer; the usual way waits for callers who read slowly."""
        if not Reply(self._cycle)(head, body):
            self.divert()

    def divert(self) -> None:
        """Start the task that was saved so far."""
        if not self._cycle.disconnected:
            self._protocol.start_task(self._cycle)


def pre_stop_s(settings: Settings) -> float:
    """Return how long a worker goes on accepting after it was told to end."""
    server = settings.server
    if server.pre_stop_s is not None:
        return server.pre_stop_s
    return 0.0 if is_loopback(server.host) else _PUBLIC_PRE_STOP_S


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


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
