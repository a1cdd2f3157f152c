"""A model that talks as it is told to, in a real process."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import cloudpickle
import uvloop

from gateway.serving.launch import Ground, RunnerLimits
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner, start_runner
from registry.route import VersionKey
from tests.gateway.serving import specimens as sp

T = TypeVar("T")

PATIENCE_S = 60.0
KEY = VersionKey("talker", 1, "0" * 64)
LIMITS = RunnerLimits(load_timeout_s=30.0, predict_timeout_s=20.0, warm_calls=1)


class Talker:
    """Does as its document says, and notes in a file what it has done."""

    def predict(self, asked: Any) -> Any:
        return {"whole": asked["prompt"]} if isinstance(asked, dict) else asked[:, 0] * 2.0

    def predict_stream(self, asked: Any) -> Iterator[Any]:
        if not isinstance(asked, dict):
            yield from asked[:, 0].tolist()
            return
        given = 0
        try:
            for given in range(1, asked["pieces"] + 1):
                yield {"text": asked["prompt"], "at": given}
            if "deed" in asked:
                exec(asked["deed"])
            if asked.get("odd"):
                yield object()
        finally:
            exec(asked.get("last", ""))
            if "log" in asked:
                Path(asked["log"]).write_text(str(given), encoding="utf-8")


cloudpickle.register_pickle_by_value(sys.modules[__name__])


@asynccontextmanager
async def talking(
    tmp_path: Path, model: object | None = None, limits: RunnerLimits = LIMITS
) -> AsyncIterator[Runner]:
    folder = sp.save(tmp_path / "model", model or Talker())

    def start() -> Runner:
        return start_runner(
            KEY, folder, limits=limits, ground=Ground(tmp_path), progress=Progress()
        )

    runner = await asyncio.to_thread(start)
    await runner.attach(lambda _reason: None)
    try:
        yield runner
    finally:
        await asyncio.to_thread(runner.close)


def document(pieces: int, **more: Any) -> dict[str, Any]:
    return {"prompt": "hi", "pieces": pieces, **more}


async def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20.0
    while not is_so():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.01)


class Home:
    """A loop, and on it a runner for all stories that leave it alive."""

    def __init__(self, folder: Path) -> None:
        self.loop = uvloop.new_event_loop()
        self.stack = AsyncExitStack()
        self.runner = self.run(self.stack.enter_async_context(talking(folder)))

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        told: T = self.loop.run_until_complete(asyncio.wait_for(story, PATIENCE_S))
        return told

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()
