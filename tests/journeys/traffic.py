"""Steady traffic beside a story: every call and its answer written down, with times.

The callers run on an event loop in a thread of their own, each with one kept connection, as a
service in front of the gateway would have. Judged afterwards by ``history``.
"""

import asyncio
import itertools
import json
import threading
import time
from contextlib import suppress
from typing import Self

from tests.journeys.history import Answered
from tests.journeys.server import Server

Probe = list[float]

ANSWER_TIMEOUT_S = 30.0
_OK = 200


class Traffic:
    """Calls a model from several connections at a steady rate, for the length of a ``with`` block.

    A call that fails is written down and not tried again. A connection that the server has closed
    between two calls is opened anew, as any client does: no call was on it.

    Args:
        server: Whom to call.
        target: What stands between /models/ and /invocations.
        probes: Rows to ask for, in turn.
        rate: Calls a second, over all connections.
        callers: Connections.
        keyed: Whether each call carries one of a hundred sticky keys.

    Attributes:
        timeout_ms: What each call asks for as its time; 0 for nothing. Set before the block.
    """

    def __init__(
        self,
        server: Server,
        target: str,
        probes: list[Probe],
        *,
        rate: float = 200.0,
        callers: int = 8,
        keyed: bool = False,
    ) -> None:
        self.history: list[Answered] = []
        self._server = server
        self._target = target
        self._probes = probes
        self._interval_s = callers / rate
        self._callers = callers
        self._keyed = keyed
        self.timeout_ms = 0
        self._count = itertools.count()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._call_all()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> list[Answered]:
        """Send nothing more, wait for what is under way, and return what happened."""
        self._ending.set()
        self._thread.join(ANSWER_TIMEOUT_S + 5.0)
        assert not self._thread.is_alive(), "a caller hangs"
        return self.history

    def wait_for(self, calls: int) -> None:
        """Wait until so many more calls were answered."""
        until = len(self.history) + calls
        self._server.wait_until(lambda: len(self.history) >= until, f"{calls} calls answered")

    async def _call_all(self) -> None:
        await asyncio.gather(*(self._call_steadily(n) for n in range(self._callers)))

    async def _call_steadily(self, caller: int) -> None:
        connection = Connection(self._server.port)
        due_s = time.monotonic() + caller * self._interval_s / self._callers
        while not self._ending.is_set():
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            # Never in a burst: after a pause of the machine the rate goes on from now.
            due_s = max(due_s + self._interval_s, time.monotonic())
            await self._call_once(connection)
        connection.close()

    async def _call_once(self, connection: "Connection") -> None:
        number = next(self._count)
        probe = self._probes[number % len(self._probes)]
        key = f"key-{number % 100}" if self._keyed else ""
        begun_s = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                head, body = await connection.call(self._request(probe, key))
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            connection.close()
            times_s = (begun_s, time.monotonic())
            lost = Answered(probe, key, *times_s, worker=connection.worker, error=repr(error))
            self.history.append(lost)
            return
        connection.worker = head.get("stagedoor-worker", "")
        self.history.append(_answered(probe, key, (begun_s, time.monotonic()), head, body))

    def _request(self, probe: Probe, key: str) -> bytes:
        body = json.dumps({"inputs": [probe]}).encode()
        told = f"Stagedoor-Key: {key}\r\n" if key else ""
        told += f"Stagedoor-Timeout-Ms: {self.timeout_ms}\r\n" if self.timeout_ms else ""
        head = (
            f"POST /models/{self._target}/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n{told}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Connection:
    """One kept connection of a caller.

    Args:
        port: Where to.
    """

    def __init__(self, port: int) -> None:
        self.worker = ""
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, request: bytes) -> tuple[dict[str, str], bytes]:
        """Send a request and return the head and body of the answer."""
        reader, writer = await self._open()
        writer.write(request)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        head = {name.lower(): value for name, _, value in (li.partition(": ") for li in lines[1:])}
        head[":status"] = lines[0].split()[1]
        body = await reader.readexactly(int(head.get("content-length", "0")))
        if head.get("connection") == "close":
            self.close()
        return head, body

    def close(self) -> None:
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self.worker = ""
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams


def _answered(
    probe: Probe, key: str, times_s: tuple[float, float], head: dict[str, str], body: bytes
) -> Answered:
    status = int(head[":status"])
    is_answer = status == _OK
    return Answered(
        probe,
        key,
        *times_s,
        status=status,
        version=int(head.get("stagedoor-version", "0")),
        variant=head.get("stagedoor-variant", ""),
        worker=head.get("stagedoor-worker", ""),
        answer=json.loads(body)["predictions"][0] if is_answer else None,
        error="" if is_answer else body.decode(errors="replace"),
        retry_after=head.get("retry-after", ""),
    )
