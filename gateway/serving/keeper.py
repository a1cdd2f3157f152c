"""Keeps what a worker holds within its budget: weighs it, and evicts what has to go.

Event loop only. What goes is ``eviction``'s choice; unloading is the manager's.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from gateway.memory_metrics import MEMORY, UNLOADS
from gateway.serving.budget import Budget, is_news
from gateway.serving.eviction import Eviction
from gateway.serving.failure import OverBudget, name_version
from gateway.serving.inventory import Entry, Inventory
from gateway.serving.lease import Holder
from gateway.serving.memory import weigh

_LOG = logging.getLogger("stagedoor.serving")


@runtime_checkable
class Endable(Protocol):
    """A Servable in a process of its own."""

    def end(self, cause: str) -> None:
        """End the process, as one that died; ``cause`` completes "its process …"."""


class Keeper:
    """One per manager.

    Args:
        inventory: What is held.
        budget: What it may take.
        wake: Called when something has to be unloaded.
    """

    def __init__(self, inventory: Inventory, budget: Budget, wake: Callable[[], None]) -> None:
        self._inventory = inventory
        self._budget = budget
        self._wake = wake
        self._watch: asyncio.Task[None] | None = None
        MEMORY.labels("budget").set(budget.total_bytes)

    def start(self) -> None:
        """Begin to weigh what is held, again and again."""
        self._watch = asyncio.get_running_loop().create_task(self._watch_memory())

    def stop(self) -> None:
        """Weigh no more."""
        if self._watch is not None:
            self._watch.cancel()

    def expect(self, entry: Entry) -> None:
        """Make room before a load for what the version took last time.

        Raises:
            OverBudget: See ``admit``.
        """
        with self._inventory:
            self.admit(entry, self._budget.expect(entry.record.key.digest))

    def admit(self, entry: Entry, size_bytes: int) -> None:
        """Make room for a version; nothing goes if that does not help. With the inventory's lock.

        Raises:
            OverBudget: It does not fit, or only in the place of others while nobody needs it.
        """
        self._budget.note(entry.record.key.digest, size_bytes)
        if self._inventory.size_bytes + size_bytes <= self._budget.total_bytes:
            return
        may_evict = entry.is_pinned or entry.is_asked
        held = self._inventory.weighed()
        room = self._budget.make_room(held, size_bytes, may_evict=may_evict)
        if room.short_bytes:
            raise OverBudget(size_bytes, room.short_bytes, self._budget.total_bytes)
        self._evict(room)

    def _evict(self, room: Eviction) -> None:
        for key in room.keys:
            _LOG.info("%s makes room for others", name_version(key))
            UNLOADS.labels("budget").inc()
            self._inventory.evict(key)
        if room.keys:
            self._wake()

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(self._budget.look_every_s)
            await self._weigh_again()
            self._wake()

    async def _weigh_again(self) -> None:
        """Note what has grown or shrunk, and evict when all of it has grown too large."""
        held = [(e, e.holder) for e in self._inventory.entries.values() if e.holder is not None]
        found = await asyncio.to_thread(_weigh_all, [holder for _, holder in held])
        with self._inventory:
            for (entry, holder), size_bytes in zip(held, found, strict=True):
                if entry.holder is not holder:
                    continue
                self._end_if_too_large(holder, size_bytes)
                if is_news(holder.size_bytes, size_bytes):
                    entry.resize(size_bytes)
                    self._budget.note(entry.record.key.digest, size_bytes)
            if self._inventory.size_bytes > self._budget.total_bytes:
                self._evict(self._budget.make_room(self._inventory.weighed()))

    def _end_if_too_large(self, holder: Holder, size_bytes: int) -> None:
        limit_bytes, servable = self._budget.model_bytes, holder.servable
        if size_bytes > limit_bytes and isinstance(servable, Endable):
            taken, limit = size_bytes >> 20, limit_bytes >> 20
            servable.end(f"took {taken} MiB, may take {limit} MiB, and was killed")


def _weigh_all(holders: Sequence[Holder]) -> list[int]:
    return [weigh(holder.servable) for holder in holders]
