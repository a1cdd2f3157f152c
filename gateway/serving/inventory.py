"""What a worker holds of each version, and what others may see of it.

Whoever changes an entry holds the inventory's lock; whoever reads takes the published view, which
is replaced by one assignment and never changes.
"""

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from msgspec import Struct

from gateway.serving.eviction import Weighed
from gateway.serving.failure import Failure
from gateway.serving.lease import Holder
from gateway.serving.policy import Held, Urgency
from gateway.serving.progress import Progress
from gateway.serving.states import READY_STATES, State, check_move
from registry.route import VersionKey, VersionRecord

_NO_HOLDER = "Only a version that is loaded can be let go."


class Seen(Struct, frozen=True):
    """What is published of one version. Immutable.

    Args:
        state: How far it is.
        failure: Why it FAILED, if it did.
        size_bytes: What it took when it was weighed last; 0 while it is not loaded.
    """

    state: State
    failure: Failure | None = None
    size_bytes: int = 0


class Aspired(Struct, frozen=True):
    """What routes want of a worker.

    Args:
        records: What is loaded without being asked for.
        pinned: Those of them that are never evicted.
        on_demand: What routes name besides: it stays when it was loaded, until it is evicted.
    """

    records: Mapping[VersionKey, VersionRecord] = {}
    pinned: AbstractSet[VersionKey] = frozenset()
    on_demand: AbstractSet[VersionKey] = frozenset()

    def keys(self) -> list[VersionKey]:
        """Return all versions that it names, those that are loaded first."""
        return [*self.records, *self.on_demand]

    def names(self, key: VersionKey) -> bool:
        """Whether some route names a version."""
        return key in self.records or key in self.on_demand


class Entry(Struct, eq=False):
    """One version. Changed under the inventory's lock only.

    Args:
        record: All that loading it takes.
        touched: Where it notes its key when something changes.
        state: How far it is.
        is_aspired: Whether this worker should hold it.
        is_pinned: Whether it is never evicted.
        is_routed: Whether some route names it.
        is_asked: Whether somebody asked for it while it was not there.
        dropped_at_s: When it stopped being aspired.
        failure: Why it FAILED, if it did.
        attempt: How many tries in a row have failed.
        ready_at_s: When it was last READY.
        holder: Its Servable, while there is one.
        progress: Its load, while there is one.
    """

    record: VersionRecord
    touched: dict[VersionKey, None]
    state: State = State.ABSENT
    is_aspired: bool = True
    is_pinned: bool = False
    is_routed: bool = False
    is_asked: bool = False
    dropped_at_s: float | None = None
    failure: Failure | None = None
    attempt: int = 0
    ready_at_s: float = 0.0
    holder: Holder | None = None
    progress: Progress | None = None

    def touch(self) -> None:
        """Have the inventory look at it when its lock is freed."""
        self.touched[self.record.key] = None

    def move(self, state: State) -> None:
        """Go to another state; an illegal one raises and changes nothing."""
        if state is not self.state:
            self.state = check_move(self.state, state)
        self.touch()

    def resize(self, size_bytes: int) -> None:
        """Take more or less than before."""
        if self.holder is not None:
            self.holder.size_bytes = size_bytes
        self.touch()

    def aspire(self, record: VersionRecord) -> None:
        """Be what this worker should hold."""
        self.record, self.is_aspired, self.dropped_at_s = record, True, None
        self.touch()

    def drop(self, at_s: float) -> None:
        """Be no longer what this worker should hold; at minus infinity, not even for a way back."""
        self.is_asked = False
        if self.is_aspired or at_s == -math.inf:
            self.is_aspired, self.dropped_at_s = False, at_s
        self.touch()

    def ask(self, record: VersionRecord) -> None:
        """Be waited for; one that failed for lack of memory is tried anew."""
        self.aspire(record)
        self.is_asked = True
        if self.failure is not None and self.failure.lacks_memory:
            self.clear()

    def begin(self, on_state: Callable[[State], None]) -> Progress:
        """Start a load."""
        self.move(State.FETCHING)
        self.failure = None
        self.progress = Progress(on_state)
        return self.progress

    def cancel(self) -> None:
        """Call a load off."""
        if self.progress is not None:
            self.progress.cancel()

    def arrive(self, holder: Holder, *, now_s: float) -> None:
        """Have a Servable that is loaded and proved."""
        self.move(State.STANDBY)
        self.holder, self.progress, self.ready_at_s = holder, None, now_s

    def activate(self) -> None:
        """Answer, also after having been dropped for a while."""
        self.move(State.ACTIVE)
        if self.holder is not None:
            self.holder.revive()

    def drain(self) -> None:
        """Answer only whom it was promised to."""
        self.move(State.DRAINING)
        if self.holder is not None:
            self.holder.retire()

    def let_go(self) -> Holder:
        """Give up a Servable that nobody holds, to be freed."""
        if self.holder is None:
            raise AssertionError(_NO_HOLDER)
        self.move(State.UNLOADING)
        holder, self.holder = self.holder, None
        return holder

    def lose(self) -> None:
        """Give up a Servable that died; one that was on its way out is out."""
        self.holder = None
        self.touch()
        if self.state is State.DRAINING:
            self.move(State.UNLOADING)
            self.clear()

    def fail(self, failure: Failure) -> None:
        """Go to FAILED."""
        self.move(State.FAILED)
        self.failure, self.progress = failure, None
        self.attempt = failure.attempt

    def clear(self) -> None:
        """Go to ABSENT as if it had never been tried."""
        self.move(State.ABSENT)
        self.failure, self.progress, self.attempt = None, None, 0

    def is_awaited(self) -> bool:
        """Whether somebody asked for it and has not got it yet."""
        return self.is_asked and self.holder is None

    def is_settled(self) -> bool:
        """Whether there is nothing to decide: it answers, and stays."""
        return self.is_routed and self.is_aspired and self.state is State.ACTIVE

    def describe(self, idle_s: float) -> Held:
        """Return what the policy needs to know.

        Args:
            idle_s: After how long without a request it goes, when only requests brought it here.
        """
        idle_at_s = None if self.is_routed or not self.holder else self.holder.used_at_s + idle_s
        needed = Urgency.DUE if self.is_pinned else Urgency.SPARE
        return Held(
            key=self.record.key,
            state=self.state,
            is_aspired=self.is_aspired,
            leases=self.holder.leases if self.holder else 0,
            attempt=self.attempt,
            dropped_at_s=self.dropped_at_s,
            retry_at_s=self.failure.retry_at_s if self.failure else None,
            urgency=Urgency.ASKED if self.is_asked else needed,
            idle_at_s=idle_at_s,
        )

    def weigh(self) -> Weighed | None:
        """Return what it takes, if it is loaded and not on its way out."""
        if self.holder is None or self.state not in READY_STATES:
            return None
        return Weighed(
            key=self.record.key,
            size_bytes=self.holder.size_bytes,
            is_pinned=self.is_pinned,
            leases=self.holder.leases,
            used_at_s=self.holder.used_at_s,
        )

    def see(self, before: Seen | None) -> Seen:
        """Return what is published of it: the same object while nothing has changed."""
        size_bytes = 0 if self.holder is None else self.holder.size_bytes
        if (
            before is not None
            and before.state is self.state
            and before.failure is self.failure
            and before.size_bytes == size_bytes
        ):
            return before
        return Seen(self.state, self.failure, size_bytes)


class Inventory:
    """All entries of a worker. The view is safe from any thread; the rest needs the lock.

    Args:
        on_change: Called by whoever changed the view, after the lock is free again.

    Attributes:
        entries: All there is, by version.
        view: What is published of them.
        ready: Those that can answer.
        unsettled: Entries of which something is to be decided, now or by the clock.
        size_bytes: What all that is loaded takes.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.entries: dict[VersionKey, Entry] = {}
        self.view: Mapping[VersionKey, Seen] = MappingProxyType({})
        self.ready: frozenset[VersionKey] = frozenset()
        self.unsettled: dict[VersionKey, Entry] = {}
        self.size_bytes = 0
        self._aspired = Aspired()
        self._evicted: set[VersionKey] = set()
        self._touched: dict[VersionKey, None] = {}
        self._on_change = on_change
        self._news: dict[VersionKey, None] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> dict[VersionKey, Entry]:
        """Take the lock and return the entries, to be changed."""
        self._lock.acquire()
        return self.entries

    def __exit__(self, *_error: object) -> None:
        """Publish what has changed, free the lock, and tell."""
        has_changed = bool(self._touched) and self._publish()
        self._lock.release()
        if has_changed:
            self._on_change()

    def take_news(self) -> tuple[Mapping[VersionKey, Seen], list[VersionKey]]:
        """Return what is published, and of which versions it is new since the last call."""
        with self._lock:
            news, self._news = list(self._news), {}
            return self.view, news

    # --- with the lock ----------------------------------------------------------------------------

    def follow(
        self, aspired: Aspired, changed: Iterable[VersionKey] | None, *, now_s: float
    ) -> None:
        """Want what routes want now.

        Args:
            aspired: All of it.
            changed: Of which versions they want something else than before; none means any.
            now_s: The time.
        """
        before, self._aspired = self._aspired, aspired
        if changed is None:
            changed = dict.fromkeys([*aspired.keys(), *before.keys()])
        self._evicted = {key for key in self._evicted - aspired.pinned if aspired.names(key)}
        for key in changed:
            self._follow_one(key, was_routed=before.names(key), now_s=now_s)

    def ask(self, record: VersionRecord) -> None:
        """Want a version because somebody waits for it."""
        self._evicted.discard(record.key)
        entry = self.entries.get(record.key)
        if entry is None:
            is_routed = self._aspired.names(record.key)
            entry = self._add(record, is_routed=is_routed)
        entry.ask(record)

    def give_up(self, key: VersionKey, *, only_failed: bool) -> None:
        """Want a version no more, unless routes do."""
        entry = self.entries.get(key)
        if entry is None or entry.is_routed or (only_failed and entry.state is not State.FAILED):
            return
        entry.drop(-math.inf)

    def evict(self, key: VersionKey) -> None:
        """Want a version no more until somebody asks for it, although a route names it."""
        self.entries[key].drop(-math.inf)
        if self._aspired.names(key):
            self._evicted.add(key)

    def remove(self, key: VersionKey) -> Entry | None:
        """Forget a version; return what was held of it."""
        self._touched[key] = None
        return self.entries.pop(key, None)

    def rename(self, entry: Entry, record: VersionRecord) -> None:
        """Hold what was removed under another name."""
        entry.record = record
        self.entries[record.key] = entry
        self._touched[record.key] = None

    def try_those_without_memory(self) -> None:
        """Let versions be tried again that failed for lack of it: something was unloaded."""
        for entry in self.entries.values():
            if entry.failure is not None and entry.failure.lacks_memory:
                entry.clear()

    def weighed(self) -> list[Weighed]:
        """Return what is loaded, and what each takes."""
        held = (entry.weigh() for entry in self.entries.values())
        return [one for one in held if one is not None]

    def _settle(
        self, key: VersionKey, entry: Entry | None, before: Seen | None, seen: Seen | None
    ) -> None:
        self.size_bytes += (seen.size_bytes if seen else 0) - (before.size_bytes if before else 0)
        if entry is None or entry.is_settled():
            self.unsettled.pop(key, None)
        else:
            self.unsettled[key] = entry

    def _add(self, record: VersionRecord, *, is_routed: bool = False) -> Entry:
        entry = Entry(record, self._touched, is_routed=is_routed)
        self.entries[record.key] = entry
        self._touched[record.key] = None
        return entry

    def _follow_one(self, key: VersionKey, *, was_routed: bool, now_s: float) -> None:
        record = self._aspired.records.get(key)
        entry = self.entries.get(key)
        if entry is None:
            if record is None or key in self._evicted:
                return
            entry = self._add(record)
        entry.is_pinned = key in self._aspired.pinned
        entry.is_routed = self._aspired.names(key)
        entry.touch()
        if record is not None and key not in self._evicted:
            entry.aspire(record)
        elif was_routed and not entry.is_routed and not entry.is_awaited():
            entry.drop(now_s)

    def _publish(self) -> bool:
        """Publish what was touched, by copies: nothing is looked at that was not touched."""
        changed = False
        view, ready = dict(self.view), set(self.ready)
        for key in self._touched:
            before, entry = view.pop(key, None), self.entries.get(key)
            seen = None if entry is None else entry.see(before)
            if seen is not before:
                changed = True
                self._news[key] = None
            ready.discard(key)
            self._settle(key, entry, before, seen)
            if seen is not None:
                view[key] = seen
                if seen.state in READY_STATES:
                    ready.add(key)
        self._touched.clear()
        if changed:
            self.ready, self.view = frozenset(ready), MappingProxyType(view)
        return changed
