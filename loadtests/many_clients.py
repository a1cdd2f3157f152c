"""Clients at a fixed rate on many models: how long answers take, and whether they are right.

Each request has its time, and an answer's delay counts from then: a server that falls behind is not
asked less. Keep-alive connections of plain asyncio, one request under way on each.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

_TOLERANCE = 1e-12


class Ask(Struct, frozen=True):
    """One request and its answer.

    Args:
        request: Its bytes.
        answer: The number that the model gives.
    """

    request: bytes
    answer: float


class Crowd(Struct, frozen=True):
    """Who asks.

    Args:
        asks: One of them is drawn at random each time.
        rate: Requests a second, all connections together.
        connections: How many at the same time.
    """

    asks: Sequence[Ask]
    rate: float
    connections: int


class Delays(Struct, frozen=True):
    """What came of it.

    Args:
        count: Right answers.
        wrong: Answers that were not the model's own, or no answers.
        p50_ms: The median delay.
        p99_ms: The delay that one in a hundred exceeds.
    """

    count: int
    wrong: int
    p50_ms: float
    p99_ms: float


def write_ask(url: str, model: str, body: bytes, answer: float) -> Ask:
    """Return a request of MLflow's scoring protocol."""
    host = urlsplit(url).netloc
    head = f"POST /models/{model}/invocations HTTP/1.1\r\nHost: {host}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return Ask(head.encode() + body, answer)


async def put_load(url: str, crowd: Crowd, duration_s: float) -> Delays:
    """Ask for a while, and say how long it took."""
    pause_s = crowd.connections / crowd.rate
    begins_s = time.monotonic()
    delays_s: list[float] = []
    client = _Client(url, crowd.asks, delays_s.append)
    runs = [
        client.run(begins_s + number / crowd.rate, pause_s, duration_s)
        for number in range(crowd.connections)
    ]
    wrong = sum(await asyncio.gather(*runs))
    delays_s.sort()
    p50_s, p99_s = (_at(delays_s, share) for share in (0.5, 0.99))
    return Delays(len(delays_s), wrong, p50_s * 1000, p99_s * 1000)


class _Client:
    """Asks one server, over as many connections as it is run."""

    def __init__(self, url: str, asks: Sequence[Ask], note: Callable[[float], None]) -> None:
        self._target = urlsplit(url)
        self._asks = asks
        self._note = note

    async def run(self, at_s: float, pause_s: float, duration_s: float) -> int:
        """Ask at regular times; return how many answers were wrong."""
        reader, writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        ends_s, wrong = at_s + duration_s, 0
        while at_s < ends_s:
            await asyncio.sleep(max(0.0, at_s - time.monotonic()))
            ask = random.choice(self._asks)
            writer.write(ask.request)
            if _is_right(await _read_answer(reader), ask.answer):
                self._note(time.monotonic() - at_s)
            else:
                wrong += 1
            at_s += pause_s
        writer.close()
        return wrong


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    body = await reader.readexactly(int(length))
    return body if head.startswith(b"HTTP/1.1 200") else b""


def _is_right(body: bytes, answer: float) -> bool:
    if not body:
        return False
    found = float(msgspec.json.decode(body)["predictions"][0])
    return abs(found - answer) <= _TOLERANCE * max(1.0, abs(answer))


def _at(ascending: Sequence[float], share: float) -> float:
    if not ascending:
        return 0.0
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]
