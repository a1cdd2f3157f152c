"""A worker that has just started lets requests wait until it has something to answer with."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from gateway.opening import Opening


class Counter:
    """Counts what gets through."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        del scope, receive, send
        self.calls += 1


async def ask(opening: Opening, method: str = "POST") -> None:
    await opening({"method": method}, _nothing, _nothing)


async def _nothing(*_: Any) -> Any:
    return None


def test_a_request_waits_until_the_worker_opens() -> None:
    async def story() -> tuple[int, int]:
        counter = Counter()
        opening = Opening(counter, patience_s=30.0)
        opening.start()
        waiting = asyncio.create_task(ask(opening))
        await asyncio.sleep(0)
        before = counter.calls
        await asyncio.to_thread(opening.open)
        await waiting
        return before, counter.calls

    assert asyncio.run(story()) == (0, 1)


def test_patience_ends() -> None:
    async def story() -> int:
        counter = Counter()
        await ask(Opening(counter, patience_s=0.01))
        return counter.calls

    assert asyncio.run(story()) == 1


def test_a_question_about_readiness_does_not_wait() -> None:
    async def story() -> int:
        counter = Counter()
        await asyncio.wait_for(ask(Opening(counter, patience_s=30.0), "GET"), 5.0)
        return counter.calls

    assert asyncio.run(story()) == 1
