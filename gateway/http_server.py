"""The HTTP server of one worker: uvicorn's, with our limits, and an end that loses nothing.

Made by ``gateway.app.run_worker``. How its connections speak: ``http_protocol`` and
``quick_protocol``.
"""

import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from uvicorn.server import Server

from gateway.http_protocol import DoorState, LimitedConfig
from gateway.quick_protocol import QuickProtocol
from gateway.settings import Settings, is_loopback

_PUBLIC_PRE_STOP_S = 5.0


class DoorConfig(LimitedConfig):
    """uvicorn's configuration with our limits in it. One per worker."""

    def __init__(self, app: Any, settings: Settings) -> None:
        server, serving = settings.server, settings.serving
        super().__init__(
            app,
            http=QuickProtocol,
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
        self.find_ticket = getattr(app, "ticket", None)


class DoorServer(Server):
    """One worker's server: drains once it is told to end.

    Being told again changes nothing: a service manager tells every process, and the supervisor
    tells its workers besides. Whoever tells the *supervisor* twice has the workers killed.

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
        """Start to drain."""
        if self._exit_at is not None:
            return
        self._captured_signals.append(sig)
        self._exit_at = time.monotonic() + self.config.pre_stop_s
        self.should_exit = self.config.pre_stop_s == 0
        self.server_state.is_draining = True  # type: ignore[attr-defined] # a DoorState
        self._on_drain()

    async def on_tick(self, counter: int) -> bool:
        """Let uvicorn do its rounds, and end them once load balancers have had their time."""
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        return await super().on_tick(counter)


def pre_stop_s(settings: Settings) -> float:
    """Return how long a worker goes on accepting after it was told to end."""
    server = settings.server
    if server.pre_stop_s is not None:
        return server.pre_stop_s
    return 0.0 if is_loopback(server.host) else _PUBLIC_PRE_STOP_S
