"""The demo's callers: some connections that ask all the time, each call in another user's name.

Event loop only. Every call is recorded, whatever becomes of it.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
import msgspec

from stagedoor.demo.tally import Call

CONNECTIONS = 8
USERS = 1000
_TIMEOUT_S = 30.0
_LOOK_EVERY_S = 0.02
_OK = 200


class Predictions(msgspec.Struct):
    """The body of an answer."""

    predictions: list[int]


class Traffic:
    """Calls one model until it is told to stop. Event loop only.

    Args:
        url: The server's.
        model: The model's name.
        rows: The pictures to send, each as a list of 64 numbers.
    """

    def __init__(self, url: str, model: str, rows: Sequence[Sequence[float]]) -> None:
        self._url = url
        self._path = f"/models/{model}/invocations"
        self._bodies = [msgspec.json.encode({"instances": [row]}) for row in rows]
        self._turn = itertools.count()
        self._is_over = False
        self.calls: list[Call] = []

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Keep calls coming for the length of the block; then let those under way end."""
        limits = httpx.Limits(max_connections=CONNECTIONS)
        options = {"base_url": self._url, "timeout": _TIMEOUT_S, "trust_env": False}
        async with httpx.AsyncClient(limits=limits, **options) as client:  # type: ignore[arg-type]
            callers = [asyncio.create_task(self._keep_asking(client)) for _ in range(CONNECTIONS)]
            try:
                yield
            finally:
                self._is_over = True
                await asyncio.gather(*callers)

    async def more(self, count: int, *, within_s: float) -> None:
        """Wait for so many further calls, or for so long."""
        wanted = len(self.calls) + count
        ends_at = time.monotonic() + within_s
        while len(self.calls) < wanted and time.monotonic() < ends_at:  # noqa: ASYNC110 - a count
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _keep_asking(self, client: httpx.AsyncClient) -> None:
        while not self._is_over:
            self.calls.append(await self._ask(client, next(self._turn)))

    async def _ask(self, client: httpx.AsyncClient, turn: int) -> Call:
        row = turn % len(self._bodies)
        headers = {
            "Content-Type": "application/json",
            "Stagedoor-Key": f"user-{turn % USERS}",
        }
        call = Call(headers["Stagedoor-Key"], row, time.monotonic(), 0.0)
        try:
            answer = await client.post(self._path, content=self._bodies[row], headers=headers)
        except httpx.HTTPError as error:
            why = f"{type(error).__name__}: {error}"
            return msgspec.structs.replace(call, ended_s=time.monotonic(), why=why)
        return _with_answer(msgspec.structs.replace(call, ended_s=time.monotonic()), answer)


def _with_answer(call: Call, answer: httpx.Response) -> Call:
    if answer.status_code != _OK:
        why = f"{answer.status_code}: {answer.text}"
        return msgspec.structs.replace(call, why=why)
    read = msgspec.json.decode(answer.content, type=Predictions)
    return msgspec.structs.replace(
        call,
        version=int(answer.headers["Stagedoor-Version"]),
        variant=answer.headers["Stagedoor-Variant"],
        answer=read.predictions[0],
    )
