"""Makes what this worker holds equal to what it should hold, and lends it to requests.

``aspire`` and the questions are for any thread, ``lease`` and all that is carried out for the event
loop, one load at a time for a thread of its own. What to do is ``policy``'s choice.
"""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from gateway.memory_metrics import UNLOADS
from gateway.serving import policy
from gateway.serving.budget import Budget
from gateway.serving.failure import Failure, LoadCancelled, LoadFailed, OverBudget, name_version
from gateway.serving.inventory import Aspired, Entry, Inventory, Seen
from gateway.serving.keeper import Keeper
from gateway.serving.lease import Holder, Lease
from gateway.serving.loader import Load, Loaded
from gateway.serving.memory import weigh
from gateway.serving.progress import Progress
from gateway.serving.states import READY_STATES, State
from registry.route import VersionKey, VersionRecord
from tracking.errors import ModelNotReady

_LOG = logging.getLogger("stagedoor.serving")

SETTLED_AFTER_S = 60.0
"""A version that was READY for so long has no past failures."""

_END_GRACE_S = 5.0


class Manager:
    """Holds the Servables of one worker. Made in any thread, started on the event loop.

    Args:
        load: Loads one version; called in the load thread.
        on_change: Called, in any thread, after a state or a failure has changed.
        retention: What is kept for a way back.
        budget: What the versions may take; without it, as much as they like.
    """

    def __init__(
        self,
        load: Load,
        on_change: Callable[[], None],
        *,
        retention: policy.Retention | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._load = load
        self._retention = retention or policy.Retention()
        self._budget = budget or Budget()
        self._inventory = Inventory(on_change)
        self._keeper = Keeper(self._inventory, self._budget, self._wake)
        self._renamed: dict[VersionKey, VersionKey] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._is_ticking = False
        self._chance = secrets.SystemRandom().random
        self._load_thread = ThreadPoolExecutor(policy.MOST_LOADS, thread_name_prefix="load")
        self._unload_thread = ThreadPoolExecutor(1, thread_name_prefix="unload")

    # --- any thread -------------------------------------------------------------------------------

    def aspire(self, aspired: Aspired, changed: Iterable[VersionKey] | None = None) -> None:
        """Say which versions routes want here; others stay only while they were asked for.

        A version that FAILED for good is not tried again while it stays aspired.

        Args:
            aspired: All that they want.
            changed: Of which versions that is something else than before; none means any.
        """
        with self._inventory:
            self._inventory.follow(aspired, changed, now_s=time.monotonic())
        self._wake()

    def ask(self, record: VersionRecord) -> None:
        """Load a version because somebody waits for it, before all others."""
        with self._inventory:
            self._inventory.ask(record)
        self._wake()

    def give_up(self, key: VersionKey, *, only_failed: bool = False) -> None:
        """Unload a version that was asked for, without keeping it, unless a route names it."""
        with self._inventory:
            self._inventory.give_up(key, only_failed=only_failed)
        self._wake()

    def forget(self, key: VersionKey) -> None:
        """Try a version that FAILED again, as if for the first time."""
        with self._inventory as entries:
            entry = entries.get(key)
            if entry is not None and entry.state is State.FAILED:
                entry.clear()
        self._wake()

    def rename(self, old: VersionKey, record: VersionRecord) -> None:
        """Hold a version under another model's name; who still asks by the old one is answered."""
        with self._inventory as entries:
            entry = self._inventory.remove(old)
            if entry is None or record.key in entries:
                return
            self._inventory.rename(entry, record)
            if entry.holder is not None:
                entry.holder.servable.key = record.key
            self._renamed = {**self._renamed, old: record.key}

    def is_ready(self, key: VersionKey) -> bool:
        """Whether the version can answer here and now. Takes no lock."""
        ready = self._inventory.ready
        return key in ready or self._renamed.get(key) in ready

    def ready_keys(self) -> frozenset[VersionKey]:
        """Return the versions that can answer here and now."""
        return self._inventory.ready

    def state(self, key: VersionKey) -> State:
        """Return how far a version is here."""
        seen = self._inventory.view.get(key)
        return State.ABSENT if seen is None else seen.state

    def why(self, key: VersionKey) -> str | None:
        """Return in one sentence why a version FAILED here; ``None`` if it did not."""
        failure = self.failure(key)
        return None if failure is None else failure.reason

    def failure(self, key: VersionKey) -> Failure | None:
        """Return how a version FAILED here, while it is in that state."""
        seen = self._inventory.view.get(key)
        return seen.failure if seen is not None and seen.state is State.FAILED else None

    def is_final(self, key: VersionKey) -> bool:
        """Whether a version FAILED and is not tried again by itself."""
        failure = self.failure(key)
        return failure is not None and failure.retry_at_s is None

    def take_news(self) -> tuple[Mapping[VersionKey, Seen], list[VersionKey]]:
        """Return the view, and of which versions it tells something new since the last call."""
        return self._inventory.take_news()

    def view(self) -> Mapping[VersionKey, Seen]:
        """Return state and failure of every version that is known here."""
        return self._inventory.view

    # --- the event loop ---------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._keeper.start()
        self._tick()

    def lease(self, key: VersionKey) -> Lease:
        """Lend a version for the length of a ``with`` block.

        Raises:
            ModelNotReady: It is not loaded here.
        """
        entries = self._inventory.entries
        entry = entries.get(key) or entries.get(self._renamed.get(key, key))
        if entry is None or entry.holder is None:
            raise ModelNotReady(self._explain(key))
        return Lease(entry.holder)

    async def close(self, *, drain_timeout_s: float) -> None:
        """Unload everything: what is idle now, the rest when it is or when the time is over."""
        self._retention = policy.Retention(window_s=0.0, count=0)
        with self._inventory as entries:
            for entry in entries.values():
                entry.drop(-math.inf)
        if self._loop is not None:
            self._tick()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), drain_timeout_s)
            self._free_all()
            await self._end_tasks()
        self._load_thread.shutdown(wait=False, cancel_futures=True)
        self._unload_thread.shutdown(wait=False)
        self._loop = None

    def _explain(self, key: VersionKey) -> str:
        why = self.why(key)
        if why is not None:
            return f"{name_version(key)} cannot answer here: {why}"
        return f"{name_version(key)} is {self.state(key)} here, not ready: try again shortly."

    # --- carrying out -----------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._loop is not None and not self._is_ticking:
            self._is_ticking = True
            self._loop.call_soon_threadsafe(self._tick)

    def _tick(self) -> None:
        """Do what the policy says; once more if that may have changed its mind."""
        self._is_ticking = False
        with self._inventory as entries:
            idle_s = self._budget.idle_unload_s
            held = [entry.describe(idle_s) for entry in self._inventory.unsettled.values()]
            plan = policy.choose(held, self._retention, now_s=time.monotonic())
            for key in plan.idle:
                entries[key].drop(-math.inf)
                UNLOADS.labels("idle").inc()
            self._change(entries, plan)
            if not entries:
                self._empty.set()
        if plan.activate or plan.drain or plan.forget or plan.idle or plan.load:
            self._wake()
        self._set_alarm(plan.wake_at_s)

    def _change(self, entries: dict[VersionKey, Entry], plan: policy.Plan) -> None:
        for key in plan.forget:
            self._inventory.remove(key)
        for key in plan.cancel:
            entries[key].cancel()
        for key in plan.activate:
            entries[key].activate()
        for key in plan.keep:
            entries[key].move(State.STANDBY)
        for key in plan.drain:
            entries[key].drain()
        for key in plan.unload:
            self._run(self._unload(entries[key], entries[key].let_go()))
        if plan.load is not None:
            entry = entries[plan.load]
            self._run(self._bring_up(entry, entry.begin(partial(self._enter, entry))))

    def _set_alarm(self, wake_at_s: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if wake_at_s is not None and self._loop is not None:
            delay_s = max(0.0, wake_at_s - time.monotonic())
            self._alarm = self._loop.call_later(delay_s, self._tick)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring_up(self, entry: Entry, progress: Progress) -> None:
        try:
            await self._load_and_attach(entry, progress)
        except LoadCancelled:
            with self._inventory:
                entry.clear()
        except LoadFailed as error:
            self._fail(entry, error)
        except Exception as error:  # noqa: BLE001  a bug in one load must not stop the others
            _LOG.exception("loading %s failed in an unforeseen way", name_version(entry.record.key))
            reason = f"Loading it raised {type(error).__name__}; the server's log says where."
            self._fail(entry, LoadFailed(reason, is_transient=True))
        self._wake()

    async def _load_and_attach(self, entry: Entry, progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        self._keeper.expect(entry)
        load = partial(self._load_and_weigh, entry.record, progress)
        loaded, size_bytes = await loop.run_in_executor(self._load_thread, load)
        holder = Holder(loaded, self._on_idle, size_bytes=size_bytes)
        try:
            await loaded.attach(partial(self._on_death, entry, holder))
            with self._inventory:
                self._keeper.admit(entry, size_bytes)
                entry.arrive(holder, now_s=time.monotonic())
        except BaseException:
            self._run(self._free(holder))
            raise
        if holder.death is not None:
            self._on_death(entry, holder, holder.death)
        if self._inventory.entries.get(entry.record.key) is not entry:
            self._run(self._free(holder))

    def _load_and_weigh(self, record: VersionRecord, progress: Progress) -> tuple[Loaded, int]:
        """Load a version. In a load thread."""
        loaded = self._load(record, progress)
        return loaded, weigh(loaded)

    def _enter(self, entry: Entry, state: State) -> None:
        """Show a load's state. In the load thread."""
        with self._inventory:
            entry.move(state)

    def _fail(self, entry: Entry, error: LoadFailed, *, waits: int = 1) -> None:
        """Note a failure, and when to try again.

        Args:
            entry: What failed.
            error: Why, and whether to try again at all.
            waits: 1, or 0 when the first try comes without a wait.
        """
        _LOG.warning("%s cannot answer: %s", name_version(entry.record.key), error.reason)
        attempt = entry.attempt + 1
        may_retry = policy.may_retry(entry.state, attempt, is_transient=error.is_transient)
        delay_s = policy.delay_s(attempt - 1 + waits, chance=self._chance())
        is_given_up = error.is_transient and not may_retry
        failure = Failure(
            stage=entry.state,
            reason=f"{error.reason} Given up." if is_given_up else error.reason,
            attempt=attempt,
            retry_at_s=time.monotonic() + delay_s if may_retry else None,
            lacks_memory=isinstance(error, OverBudget),
        )
        with self._inventory:
            entry.fail(failure)

    def _on_death(self, entry: Entry, holder: Holder, reason: str) -> None:
        """Start a version again whose process died: at once if it had settled, else later."""
        holder.death = reason
        if entry.holder is not holder:
            return
        if time.monotonic() - entry.ready_at_s > SETTLED_AFTER_S:
            entry.attempt = 0
        if entry.state in READY_STATES:
            self._fail(entry, LoadFailed(reason, is_transient=True), waits=0)
        with self._inventory:
            entry.lose()
            self._inventory.try_those_without_memory()
        holder.retire()
        self._wake()

    def _on_idle(self, holder: Holder) -> None:
        """Free a retired Servable that nobody holds; one still in its entry is the policy's."""
        entry = self._inventory.entries.get(holder.servable.key)
        if entry is not None and entry.holder is holder:
            self._wake()
        else:
            self._run(self._free(holder))

    async def _unload(self, entry: Entry, holder: Holder) -> None:
        await self._free(holder)
        with self._inventory:
            entry.clear()
            self._inventory.try_those_without_memory()
        self._wake()

    async def _free(self, holder: Holder) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._unload_thread, holder.servable.close)

    def _free_all(self) -> None:
        """Free even what is held: the time for draining is over."""
        with self._inventory as entries:
            holders = [entry.holder for entry in entries.values() if entry.holder is not None]
            for key in list(entries):
                self._inventory.remove(key)
        for holder in holders:
            self._run(self._free(holder))

    async def _end_tasks(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._keeper.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_END_GRACE_S)
