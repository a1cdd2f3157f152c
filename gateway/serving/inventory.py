"""What a worker holds of each version, and what others may see of it.

Whoever changes an entry holds the inventory's lock; whoever reads takes the published view, which
is replaced by one assignment and never changes.
"""

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

from msgspec import Struct

from gateway.serving.failure import Failure
from gateway.serving.lease import Holder
from gateway.serving.policy import Held
from gateway.serving.progress import Progress
from gateway.serving.states import READY_STATES, State, check_move
from registry.route import VersionKey, VersionRecord

_NO_HOLDER = "Only a version that is loaded can be let go."


class Seen(Struct, frozen=True):
    """What is published of one version. Immutable."""

    state: State
    failure: Failure | None = None


class Entry(Struct, eq=False):
    """One version. Changed under the inventory's lock only.

    Args:
        record: All that loading it takes.
        state: How far it is.
        is_aspired: Whether this worker should hold it.
        dropped_at_s: When it stopped being aspired.
        failure: Why it FAILED, if it did.
        attempt: How many tries in a row have failed.
        ready_at_s: When it was last READY.
        holder: Its Servable, while there is one.
        progress: Its load, while there is one.
    """

    record: VersionRecord
    state: State = State.ABSENT
    is_aspired: bool = True
    dropped_at_s: float | None = None
    failure: Failure | None = None
    attempt: int = 0
    ready_at_s: float = 0.0
    holder: Holder | None = None
    progress: Progress | None = None

    def move(self, state: State) -> None:
        """Go to another state; an illegal one raises and changes nothing."""
        if state is not self.state:
            self.state = check_move(self.state, state)

    def follow(self, record: VersionRecord | None, now_s: float) -> None:
        """Be aspired with this record, or with none no more."""
        if record is not None:
            self.record, self.is_aspired, self.dropped_at_s = record, True, None
        elif self.is_aspired:
            self.is_aspired, self.dropped_at_s = False, now_s

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

    def describe(self) -> Held:
        """Return what the policy needs to know."""
        return Held(
            key=self.record.key,
            state=self.state,
            is_aspired=self.is_aspired,
            leases=self.holder.leases if self.holder else 0,
            attempt=self.attempt,
            dropped_at_s=self.dropped_at_s,
            retry_at_s=self.failure.retry_at_s if self.failure else None,
        )


class Inventory:
    """All entries of a worker. The view is safe from any thread; the rest needs the lock.

    Args:
        on_change: Called by whoever changed the view, after the lock is free again.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.entries: dict[VersionKey, Entry] = {}
        self.view: Mapping[VersionKey, Seen] = MappingProxyType({})
        self.ready: frozenset[VersionKey] = frozenset()
        self._on_change = on_change
        self._lock = threading.Lock()
        self._has_changed = False

    def __enter__(self) -> dict[VersionKey, Entry]:
        """Take the lock and return the entries, to be changed."""
        self._lock.acquire()
        return self.entries

    def __exit__(self, *_error: object) -> None:
        """Publish what has changed, free the lock, and tell."""
        has_changed = self._publish()
        self._lock.release()
        if has_changed:
            self._on_change()

    def _publish(self) -> bool:
        view = {key: Seen(entry.state, entry.failure) for key, entry in self.entries.items()}
        if view == self.view:
            return False
        self.ready = frozenset(key for key, seen in view.items() if seen.state in READY_STATES)
        self.view = MappingProxyType(view)
        return True
