"""Who leaves before the answer ends what was done for him, and nothing else does."""

import asyncio
from typing import Any

import pytest

from gateway.departure import CallerLeft, Lookout


class Caller:
    """Says at some time that it leaves; sometimes something else before."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()
        self.looks = 0

    async def receive(self) -> dict[str, Any]:
        self.looks += 1
        if self.looks == 1:
            return {"type": "http.request"}
        await self.leaves.wait()
        return {"type": "http.disconnect"}


def test_what_is_done_for_a_caller_ends_when_it_leaves() -> None:
    async def story() -> int:
        caller = Caller()
        caller.leaves.set()
        with pytest.raises(CallerLeft), Lookout().watch(caller.receive):
            await asyncio.Event().wait()
        await asyncio.sleep(0)  # the task goes on as if nothing had happened
        return caller.looks

    assert asyncio.run(story()) == 2


def test_a_caller_that_stays_is_answered_and_what_comes_next_is_left_to_others() -> None:
    async def story() -> tuple[int, set[Any]]:
        caller = Caller()
        with Lookout().watch(caller.receive):
            await asyncio.sleep(0)
        caller.leaves.set()
        await asyncio.sleep(0)
        return caller.looks, asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(story()) == (0, set())


def test_a_task_that_the_server_ends_is_ended() -> None:
    async def work(caller: Caller) -> None:
        with Lookout().watch(caller.receive):
            await asyncio.Event().wait()

    async def story() -> None:
        task = asyncio.create_task(work(Caller()))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(story())


def test_an_error_is_told_as_it_is() -> None:
    async def story() -> None:
        with Lookout().watch(Caller().receive):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(story())
