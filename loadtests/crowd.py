"""Many callers at a steady rate, whatever comes back: what came of each call, with times.

Each caller has one kept connection and never sends in a burst: who waits for an answer misses its
turns. One event loop.
"""

import asyncio
import time
from contextlib import suppress
from urllib.parse import urlsplit

from msgspec import Struct

GIVE_UP_S = 10.0
"""A call without an answer for so long hangs."""


class Asked(Struct, frozen=True, gc=False):
    """One call. Times on the monotonic clock.

    Args:
        begun_s: Just before it was sent.
        ended_s: When its answer was whole, or it was given up.
        status: HTTP's; 0 when there was no answer.
        retry_after: The header, or an empty text.
    """

    begun_s: float
    ended_s: float
    status: int
    retry_after: str = ""


class Crowd(Struct, frozen=True):
    """Who calls.

    Args:
        url: Where to.
        body: What each sends.
        callers: How many connections.
        rate: Calls a second, of all together.
        seconds: For how long.
    """

    url: str
    body: bytes
    callers: int
    rate: float
    seconds: float


async def press(crowd: Crowd) -> list[Asked]:
    """Let a crowd call; return every call."""
    target = urlsplit(crowd.url)
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(crowd.body)}\r\n\r\n"
    )
    request = head.encode() + crowd.body
    asked: list[Asked] = []
    ends_s = time.monotonic() + crowd.seconds
    pause_s = crowd.callers / crowd.rate
    callers = (
        _Caller(target.hostname or "", target.port or 80, request, asked)
        for _ in range(crowd.callers)
    )
    starts_s = (pause_s * n / crowd.callers for n in range(crowd.callers))
    await asyncio.gather(
        *(
            caller.call_steadily(first_s, pause_s, ends_s)
            for caller, first_s in zip(callers, starts_s, strict=True)
        )
    )
    return asked


class _Caller:
    def __init__(self, host: str, port: int, request: bytes, asked: list[Asked]) -> None:
        self._address = (host, port)
        self._request = request
        self._asked = asked
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call_steadily(self, first_s: float, pause_s: float, ends_s: float) -> None:
        due_s = time.monotonic() + first_s
        while due_s < ends_s:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            due_s = max(due_s + pause_s, time.monotonic())
            begun_s = time.monotonic()
            try:
                async with asyncio.timeout(GIVE_UP_S):
                    status, retry_after = await self._call()
            except (OSError, EOFError, TimeoutError, ValueError):
                status, retry_after = 0, ""
                self._close()
            self._asked.append(Asked(begun_s, time.monotonic(), status, retry_after))
        self._close()

    async def _call(self) -> tuple[int, str]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        reader, writer = self._streams
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length, retry_after = (_field(head, name) for name in (b"content-length", b"retry-after"))
        await reader.readexactly(int(length))
        return int(head.split(None, 2)[1]), retry_after.decode()

    def _close(self) -> None:
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None


def _field(head: bytes, name: bytes) -> bytes:
    return head.partition(b"\r\n" + name + b":")[2].partition(b"\r\n")[0].strip()
