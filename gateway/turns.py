"""The requests of one ``ModelStreamInfer``, and whose answer may go out when. Event loop only.

Made by ``grpc_server`` for each such call. Requests are answered side by side: whole answers go out
in the order of their requests, pieces when they come. A caller who takes nothing for a while ends
all that is under way.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from gateway.protocols.v2_grpc import parse
from gateway.protocols.v2_pieces import Wish, refusal, response, wish_of

STALLED_S = 60.0
"""Who takes nothing for so long is held for gone, as over HTTP."""
IN_FLIGHT = 32
"""Requests of one call that are answered at a time; the next is read when one of them is over."""


class Stalled(Exception):
    """The caller takes nothing any more."""


class Stream:
    """One call. Event loop only.

    Args:
        send: Sends one response; returns when there is room for another.
        stalled_s: How long it may take.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], stalled_s: float) -> None:
        self._send = send
        self._stalled_s = stalled_s
        self._writing = asyncio.Lock()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._task: asyncio.Task[Any] | None = None
        self._is_stalled = False
        self._last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last.set_result(None)

    async def serve(
        self,
        requests: AsyncIterator[bytes],
        answer: Callable[["Turn", bytes], Awaitable[None]],
    ) -> None:
        """Answer requests until there are no more, and all are answered.

        Args:
            requests: Their bytes.
            answer: Answers one of them by its turn; raises nothing.

        Raises:
            Stalled: Nobody reads the answers; all that was under way has ended.
        """
        self._task = asyncio.current_task()
        try:
            async with asyncio.TaskGroup() as group:
                async for request in requests:
                    await self._room.acquire()
                    turn = Turn(self, self._last)
                    self._last = turn.is_over
                    group.create_task(self._take(turn, request, answer))
        except asyncio.CancelledError:
            if not self._is_stalled:
                raise
            raise Stalled from None

    async def write(self, told: bytes) -> None:
        """Send a response; whoever does not take it in time ends the call."""
        async with self._writing:
            try:
                async with asyncio.timeout(self._stalled_s):
                    await self._send(told)
            except TimeoutError:
                self._is_stalled = True
            except importlib.import_module("grpc").aio.BaseError:
                pass  # the call is over, and this was not told yet
            else:
                return
            if self._task is not None:
                self._task.cancel()
            raise asyncio.CancelledError

    async def _take(
        self, turn: "Turn", request: bytes, answer: Callable[["Turn", bytes], Awaitable[None]]
    ) -> None:
        try:
            await answer(turn, request)
        finally:
            turn.pass_on()
            self._room.release()


class Turn:
    """One request's place in its call. Event loop only.

    Args:
        stream: The call.
        before: Done when all requests before this one have been answered, or answer in pieces.

    Attributes:
        is_over: The same for the request behind.
        wish: How the request wants to be answered, once that was read.
        request: It, parsed.
    """

    def __init__(self, stream: Stream, before: asyncio.Future[None]) -> None:
        self._stream = stream
        self._before = before
        self._is_free = False
        self.is_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.wish = Wish()
        self.request: Any = None

    def read(self, request: bytes) -> Any:
        """Read the request.

        Raises:
            MalformedBody: It is none.
            InvalidRequest: It wants to be answered in a way that there is not.
        """
        self.request = parse("ModelInferRequest", request)
        self.wish = Wish(self.request.id)
        self.wish = wish_of(self.request)
        return self.request

    def pass_on(self) -> None:
        """Answer out of order from now on: whoever is behind may go when those before have."""
        self._is_free = True
        self._before.add_done_callback(lambda _: self._end())

    async def answer(self, body: bytes) -> None:
        """Send the whole answer, in order."""
        await self._wait()
        await self._stream.write(response(body, is_last=True))

    async def refuse(self, told: str) -> None:
        """Say why there is no answer, or no more of it."""
        await self._wait()
        await self._stream.write(refusal(told, self.wish.request_id))

    async def say(self, body: bytes, *, is_last: bool) -> None:
        """Send a piece."""
        await self._stream.write(response(body, is_last=is_last))

    async def _wait(self) -> None:
        if not self._is_free:
            await asyncio.shield(self._before)

    def _end(self) -> None:
        if not self.is_over.done():
            self.is_over.set_result(None)
