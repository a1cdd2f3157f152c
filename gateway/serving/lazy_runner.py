"""The runner of a version that answers by its engine: there only while somebody needs it.

It answers what the engine does not cover. Started at the first such call, once for all who wait,
ended when nobody has asked for a while. Event loop only, but for ``close``.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway.serving import policy
from gateway.serving.failure import LoadCancelled, LoadFailed
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner
from registry.tensors import Batch, Prediction
from tracking.errors import ModelNotReady

_LOG = logging.getLogger("stagedoor.serving")

IDLE_S = 60.0
"""A runner that nobody has asked for so long is ended."""

_SETTLED_AFTER_S = 60.0
_NO_CHANCE = 1.0


class LazyRunner:
    """One for each version with an engine.

    Args:
        start: Loads the version into a runner. Blocking, called in a thread.
        idle_s: How long a runner outlives the last call.
    """

    def __init__(self, start: Callable[[Progress], Runner], *, idle_s: float = IDLE_S) -> None:
        self._start = start
        self._idle_s = idle_s
        self._progress = Progress()
        self._runner: Runner | None = None
        self._starting: asyncio.Task[Runner] | None = None
        self._asking = 0
        self._asked_at_s = 0.0
        self._failures = 0
        self._again_at_s = 0.0
        self._is_closed = False
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._runner is None else self._runner.pid

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        """Answer one request's rows, as ``Runner.predict`` does.

        Raises:
            ModelNotReady: The runner cannot be started in time, or has died too often of late.
        """
        self._asking += 1
        try:
            runner = await self._find_until(deadline_s)
            return await runner.predict(batch, params, deadline_s)
        finally:
            self._asking -= 1
            self._asked_at_s = time.monotonic()
            self._watch()

    def close(self) -> None:
        """End the runner, if there is one, and let none be started. Safe from any thread."""
        self._is_closed = True
        self._progress.cancel()
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    async def _find_until(self, deadline_s: float) -> Runner:
        if self._runner is not None:
            return self._runner
        left_s = None if deadline_s == math.inf else deadline_s - time.monotonic()
        try:
            async with asyncio.timeout(left_s):
                return await self._find()
        except TimeoutError:
            message = "The model's own process is still starting: try again shortly."
            raise ModelNotReady(message) from None

    async def _find(self) -> Runner:
        if self._runner is not None:
            return self._runner
        if self._is_closed or time.monotonic() < self._again_at_s:
            raise ModelNotReady("The model's own process is not there now: try again shortly.")
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._bring_up())
            self._starting.add_done_callback(self._on_started)
        # Shielded: a caller that leaves must not call it off for the others.
        return await asyncio.shield(self._starting)

    async def _bring_up(self) -> Runner:
        runner = await asyncio.to_thread(self._start, self._progress)
        started_s = time.monotonic()
        await runner.attach(lambda reason: self._on_death(runner, started_s, reason))
        if self._is_closed:
            await asyncio.to_thread(runner.close)
            raise LoadCancelled("The version was unloaded while its process started.")
        self._runner = runner
        return runner

    def _on_started(self, task: "asyncio.Task[Runner]") -> None:
        self._starting = None
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, LoadFailed):
            self._note_failure(error.reason)

    def _on_death(self, runner: Runner, started_s: float, reason: str) -> None:
        if time.monotonic() - started_s > _SETTLED_AFTER_S:
            self._failures = 0
        if self._runner is runner:
            self._runner = None
        self._note_failure(reason)
        # Its descriptors are still open, although the process is gone.
        asyncio.get_running_loop().run_in_executor(None, runner.close)

    def _note_failure(self, reason: str) -> None:
        delay_s = policy.delay_s(self._failures, chance=_NO_CHANCE)
        self._failures += 1
        self._again_at_s = time.monotonic() + delay_s
        _LOG.warning("the process beside an engine is gone: %s", reason)

    def _watch(self) -> None:
        """See to it that an idle runner is ended."""
        if self._runner is not None and self._alarm is None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self._idle_s, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._alarm = None
        idle_s = time.monotonic() - self._asked_at_s
        if self._asking or idle_s < self._idle_s:
            self._watch()
            return
        runner, self._runner = self._runner, None
        if runner is not None:
            asyncio.get_running_loop().run_in_executor(None, runner.close)
