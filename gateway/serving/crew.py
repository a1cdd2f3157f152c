"""Several runners of one version, which answer side by side: a Servable. Event loop only.

A request goes to the runner that is least busy. One that dies loses what it was asked; who only
waited for it is asked elsewhere, and it is started again beside those that go on. When none is
left the version is dead, and the manager's to load. Made by ``loader``; next hop: ``runner``.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from gateway.serving import policy
from gateway.serving.failure import LoadCancelled, LoadFailed, NotAsked, name_version
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner
from gateway.serving.talking import Talk
from registry.route import VersionKey
from registry.tensors import Batch, Prediction

_LOG = logging.getLogger("stagedoor.serving")

_SETTLED_AFTER_S = 60.0
_NO_CHANCE = 1.0


class Crew:
    """One for each version with replicas. Event loop only, but for ``close``.

    Args:
        runners: Loaded and proved, at least one.
        start: Loads the version into another one. Blocking, called in a thread.
    """

    def __init__(self, runners: Sequence[Runner], start: Callable[[Progress], Runner]) -> None:
        first = runners[0]
        self.signature = first.signature
        self.flavor = first.flavor
        self.warm_calls = first.warm_calls
        self.can_talk = first.can_talk
        self.takes_documents = first.takes_documents
        self._key = first.key
        self._runners = tuple(runners)
        self._start = start
        self._progress = Progress()
        self._on_death: Callable[[str], None] = _ignore
        self._failures = 0
        self._died_at_s = 0.0
        self._is_over = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def key(self) -> VersionKey:
        """The version; a renamed model's becomes another one."""
        return self._key

    @key.setter
    def key(self, key: VersionKey) -> None:
        self._key = key
        for runner in self._runners:
            runner.key = key

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that there are."""
        return tuple(runner.pid for runner in self._runners)

    async def attach(self, on_death: Callable[[str], None]) -> None:
        """Begin to answer; ``on_death`` is called once, when no runner is left."""
        self._on_death = on_death
        for runner in self._runners:
            await runner.attach(partial(self._on_runner_death, runner))

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        """Answer one request's rows, as ``Runner.predict`` does."""
        for _ in self._runners[1:]:
            try:
                return await self._least_busy().predict(batch, params, deadline_s)
            except NotAsked:  # it died while this request waited: the others may have room
                continue
        return await self._least_busy().predict(batch, params, deadline_s)

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let a request wait for whoever is least busy, or turn it away."""
        self._least_busy().check_admission(rows, deadline_s)

    async def talk(
        self, asked: Batch | dict[str, Any], params: Mapping[str, Any], *, is_stream: bool
    ) -> Talk:
        """Ask for an answer in pieces, as ``Runner.talk`` does; the others go on meanwhile."""
        return await self._least_busy().talk(asked, params, is_stream=is_stream)

    def memory_bytes(self) -> int:
        """Return what all processes take now. Blocking, safe from any thread."""
        return sum(runner.memory_bytes() for runner in self._runners)

    def close(self) -> None:
        """End all processes and free everything. Safe from any thread."""
        self._end()
        for runner in self._runners:
            runner.close()

    def _least_busy(self) -> Runner:
        if not self._runners:
            raise NotAsked(f"The processes of {name_version(self._key)} have died: try again.")
        return min(self._runners, key=_busyness)

    def _end(self) -> None:
        self._is_over = True
        self._progress.cancel()

    def _on_runner_death(self, runner: Runner, reason: str) -> None:
        """Go on with those that are left, and start another; or be dead, if none is."""
        loop = asyncio.get_running_loop()
        if time.monotonic() - self._died_at_s > _SETTLED_AFTER_S:
            self._failures = 0
        self._died_at_s = time.monotonic()
        self._runners = tuple(one for one in self._runners if one is not runner)
        # Its descriptors are still open, although the process is gone.
        loop.run_in_executor(None, runner.close)
        if self._is_over:
            return
        if not self._runners:
            self._end()
            self._on_death(reason)
            return
        self._replace(reason)

    def _replace(self, reason: str) -> None:
        """Start a runner in the place of one that is gone: at once, or later if many went."""
        delay_s = policy.delay_s(self._failures, chance=_NO_CHANCE)
        self._failures += 1
        told = f"{len(self._runners)} left, another one in {delay_s:g} s"
        _LOG.warning("a process of %s is gone: %s (%s)", name_version(self._key), reason, told)
        asyncio.get_running_loop().call_later(delay_s, self._bring_up)

    def _bring_up(self) -> None:
        if not self._is_over:
            task = asyncio.get_running_loop().create_task(self._add())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _add(self) -> None:
        try:
            runner = await asyncio.to_thread(self._start, self._progress)
        except LoadCancelled:
            return
        except LoadFailed as error:
            self._replace(error.reason)
            return
        runner.key = self._key
        await runner.attach(partial(self._on_runner_death, runner))
        if not runner.busyness[0]:  # else its death is, or will be, told as any other
            self._runners = (*self._runners, runner)
        if self._is_over:  # nobody knew of it when the others were closed
            await asyncio.to_thread(runner.close)


def _busyness(runner: Runner) -> tuple[bool, bool, int]:
    return runner.busyness


def _ignore(_reason: str) -> None:
    pass
