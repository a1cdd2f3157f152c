"""Keeps predict requests waiting, for a while, until this worker has served for the first time.

The first workers of a server accept at once, so that its probes are answered; a request for a model
that is still being loaded would be refused by one and answered by the next. Between ``dispatch``
and ``predict``, on the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from gateway.asgi import FindTicket, Ticket

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_UNTOUCHED = frozenset({"GET", "HEAD"})
"""Questions about readiness must be answered while it is not there."""


class Opening:
    """Lets requests through once the worker has opened. One per worker.

    Args:
        predict: What they go to.
        patience_s: How long one waits; then it is let through, to be answered or refused.
    """

    def __init__(self, predict: App, *, patience_s: float) -> None:
        self._predict = predict
        self._find_ticket: FindTicket | None = getattr(predict, "ticket", None)
        self._patience_s = patience_s
        self._is_open = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Say on which loop requests wait. Called on it."""
        self._loop = asyncio.get_running_loop()

    def open(self) -> None:
        """Let everybody through, from now on. Safe from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._is_open.set)

    def ticket(self, scope: Scope) -> Ticket | None:
        """Read a head, once everybody is let through."""
        if self._find_ticket is None or not self._is_open.is_set():
            return None
        return self._find_ticket(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, now or a little later."""
        if not self._is_open.is_set() and scope["method"] not in _UNTOUCHED:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_open.wait(), self._patience_s)
        await self._predict(scope, receive, send)
