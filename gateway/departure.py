"""Callers who leave before their answer: what is done for them ends, and they leave the queue.

ASGI tells of it only whoever asks. Asking takes a task, so that it is begun only for requests that
take a while; a caller's leaving is noticed within a tenth of a second. Event loop only.
"""

import asyncio
from types import TracebackType

from gateway.asgi import Receive

LOOK_EVERY_S = 0.045
"""A request that is there for two looks is worth asking whether somebody still waits for it."""


class CallerLeft(Exception):
    """Nobody waits for the answer any more."""


class Lookout:
    """Looks now and then who takes long. One per worker."""

    def __init__(self) -> None:
        self._fresh: set[Departure] = set()
        self._alarm: asyncio.TimerHandle | None = None

    def watch(self, receive: Receive) -> "Departure":
        """End a ``with`` block when the caller leaves.

        Args:
            receive: ASGI's, of a request whose body has been received.
        """
        return Departure(self, receive)

    def add(self, departure: "Departure") -> None:
        """Have a request looked after."""
        self._fresh.add(departure)
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look, set())

    def remove(self, departure: "Departure") -> None:
        """Look after it no longer."""
        self._fresh.discard(departure)

    def _look(self, seen: "set[Departure]") -> None:
        """Ask those who were here at the last look already; the others may be gone by the next."""
        self._alarm = None
        for departure in self._fresh & seen:
            self._fresh.discard(departure)
            departure.ask()
        if self._fresh:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(LOOK_EVERY_S, self._look, set(self._fresh))


class Departure:
    """Ends its block when the caller leaves. One per request; see ``Lookout.watch``."""

    __slots__ = ("_has_left", "_lookout", "_receive", "_task", "_watch")

    def __init__(self, lookout: Lookout, receive: Receive) -> None:
        self._lookout = lookout
        self._receive = receive
        self._task: asyncio.Task[object] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._has_left = False

    def __enter__(self) -> None:
        """Begin to look, in a while."""
        self._task = asyncio.current_task()
        self._lookout.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop looking.

        Raises:
            CallerLeft: The caller has left, and the block was ended for that.
        """
        self._lookout.remove(self)
        if self._watch is None:
            return
        self._watch.cancel()
        if not self._has_left or self._task is None or self._task.uncancel():
            return  # nobody left, or the server ends the task besides
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            raise CallerLeft from None

    def ask(self) -> None:
        """Ask from now on whether the caller is still there."""
        self._watch = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(LOOK_EVERY_S)  # now and then, should it not wait by itself
        self._has_left = True
        if self._task is not None:
            self._task.cancel()
