"""The slow loop of a worker: follows the change log, holds what routes need, publishes routes.

One thread a worker. A tick is idempotent and trusts no memory but a cursor: killed at any line, the
next tick goes on from the rows. When the database does not answer, the last snapshot stands and is
served. Next hops: ``serving/manager`` (loads) and ``routing/table`` (what ``predict`` reads).
"""

import logging
import threading
import time
from collections.abc import Callable

from msgspec import Struct

from gateway.delivery.demand import Demand
from gateway.delivery.known_routes import KnownRoutes
from gateway.delivery.preload import Preload
from gateway.delivery.presence import read_liveness, row_of
from gateway.delivery.progress import newer_epochs, renamed, to_prove, weights
from gateway.delivery.standing import Standing
from gateway.delivery.troubles import Troubles
from gateway.metrics import observe_route
from gateway.routing.table import RouteTable
from gateway.serving.failure import name_version
from gateway.serving.manager import Manager
from gateway.serving.states import State
from gateway.worker import WorkerIdentity
from registry.ledger import RouteLedger
from registry.route import ModelState, OpenSwitch, VersionKey
from registry.switches import Report
from tracking.clock import now_ms
from tracking.errors import StagedoorError, StorageFull, Unavailable

_LOG = logging.getLogger("stagedoor.delivery")

TEND_EVERY_S = 1.0
"""Seconds between heartbeats, and between sweeps for what the dead left open."""

REPORT_BEFORE_DEADLINE_MS = 1_000
"""How long before a switch's deadline a load that keeps failing is reported with its reason."""

LONGEST_PAUSE_S = 2.0
"""The longest wait between two tries when the database does not answer."""


def _nothing() -> None:
    """Tell nobody."""


class Following(Struct, frozen=True):
    """How a worker follows the registry.

    Args:
        poll_interval_s: Seconds between two looks at the change log.
        preload: Which models are loaded without being asked for.
    """

    poll_interval_s: float
    preload: Preload = Preload()


class Reconciler:
    """Follows the registry for one worker. Its public methods are safe from any thread.

    Args:
        ledger: The rows.
        manager: What loads and unloads.
        worker: Who this is.
        publish: Called with each new snapshot, in this thread.
        on_serving: Called whenever this worker is counted in, in this thread.
        following: How it follows.
    """

    def __init__(
        self,
        ledger: RouteLedger,
        manager: Manager,
        worker: WorkerIdentity,
        publish: Callable[[RouteTable], None],
        *,
        on_serving: Callable[[], None] = _nothing,
        following: Following,
    ) -> None:
        self._ledger = ledger
        self._manager = manager
        self._row = row_of(worker, now_ms=now_ms())
        self._run_dir = worker.run_dir
        self._publish_table = publish
        self._on_serving = on_serving
        self._poll_interval_s = following.poll_interval_s
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)
        self._demand = Demand(manager)
        self._known = KnownRoutes(following.preload)
        self._published: dict[str, int] = {}
        self._tried: set[int] = set()
        self._shown: dict[str, tuple[int, dict[str, tuple[float, float]]]] = {}
        self._reported: set[int] = set()
        self._whys: dict[VersionKey, str] = {}
        self._cursor: int | None = None
        self._tended_at_s = 0.0
        self._standing = Standing()
        self._troubles = Troubles()
        self._rests = False
        self._has_joined = False
        self._serves = threading.Event()

    @property
    def demand(self) -> Demand:
        """Where versions are asked for that are not loaded."""
        return self._demand

    @property
    def is_serving(self) -> bool:
        """Whether this worker has loaded what is committed and is counted in."""
        return self._serves.is_set()

    def why_unready(self) -> str:
        """Say why this worker should get no traffic; empty when it should."""
        if not self.is_serving:
            return "loading what is committed"
        for key in self._known.insisted:
            if not self._manager.is_ready(key):
                why = self._manager.why(key) or "it is being loaded."
                return f"{name_version(key)} is preloaded and cannot answer: {why}"
        return ""

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def wake(self) -> None:
        """Look now instead of at the next poll."""
        self._woken.set()

    def wait_until_serving(self, timeout_s: float) -> bool:
        """Wait until this worker is counted in; say whether it is."""
        return self._serves.wait(timeout_s)

    def stop(self) -> None:
        """End the loop and leave the fleet."""
        self._stopping.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
        try:
            self._ledger.leave(self._row.id)
        except StagedoorError as error:
            _LOG.warning("could not leave the fleet: %s", error.message)

    def tick(self, *, is_woken: bool = True) -> None:
        """Bring this worker one step closer to what the rows say.

        Args:
            is_woken: Something changed here since the last tick; without that, and without a
                change in the rows, a worker that has nothing open rests.
        """
        if not self._has_joined:
            self._join()
        if self._observe() or is_woken or not self._rests:
            self._act()
        self._tend()

    def _act(self) -> None:
        self._rests = False
        self._publish()
        wanted = self._known.take_aspired()
        if wanted is not None:
            self._manager.aspire(*wanted)
        self._demand.settle()
        self._show()
        opened = self._known.opened()
        for state, switch in opened:
            self._report(state, switch)
        if not self.is_serving:
            self._try_to_serve()
        self._rests = self.is_serving and not opened

    def _run(self) -> None:
        pause_s = self._poll_interval_s
        is_woken = True
        while not self._stopping.is_set():
            try:
                self.tick(is_woken=is_woken)
                pause_s = self._poll_interval_s
            except Exception as error:  # noqa: BLE001
                # Whatever it was, the last snapshot serves on; the next tick starts from the rows.
                # A database that is away, or full, is no bug of ours: no stack.
                is_bug = not isinstance(error, Unavailable | StorageFull)
                _LOG.error(
                    "a tick failed; serving on with the last routes: %s", error, exc_info=is_bug
                )
                self._rests = False
                pause_s = min(LONGEST_PAUSE_S, max(0.25, pause_s * 2))
            is_woken = self._woken.wait(pause_s)
            if is_woken:  # otherwise a wake that comes just now would be lost, and nobody looks
                self._woken.clear()

    def _join(self) -> None:
        self._troubles.tell(self._ledger.join(self._row, self._liveness()))
        self._has_joined = True
        self._cursor = None

    def _observe(self) -> bool:
        """Read what changed since the last tick; say whether anything did."""
        seq = self._ledger.last_seq()
        if self._cursor is None:
            self._known.replace(self._ledger.states())
        elif seq != self._cursor:
            changed = self._ledger.changed_since(self._cursor)
            self._take(changed.models, self._ledger.states(changed.models))
            seq = changed.seq
        else:
            return False
        self._cursor = seq
        self._refresh_table()
        return True

    def _take(self, changed: frozenset[str], found: dict[str, ModelState]) -> None:
        """Take what changed models are now; those without a state are gone."""
        states = self._known.states
        gone = [states[model] for model in changed - found.keys() if model in states]
        come = [state for model, state in found.items() if model not in states]
        for old, record in renamed(gone, come).items():
            self._manager.rename(old, record)
        self._known.take(changed, found)

    def _refresh_table(self) -> None:
        """Hand out a new snapshot; whoever reads it sees all of it or none of it."""
        self._publish_table(self._known.table())
        self._show()

    def _show(self) -> None:
        """Tell the metrics what is published, and what of it can answer."""
        for model in self._known.take_unshown():
            state = self._known.states[model]
            shown = (state.epoch, weights(state, self._manager.is_ready))
            if self._shown.get(model) != shown:
                self._shown[model] = shown
                observe_route(model, *shown)

    def _publish(self) -> None:
        if not self.is_serving or not self._known.unpublished:
            return
        told = {model: self._known.states[model] for model in self._known.unpublished}
        newer = newer_epochs(told, self._published)
        if newer:
            self._ledger.report_active(self._row.id, newer)
        self._published |= newer
        self._known.unpublished.clear()

    def _report(self, state: ModelState, switch: OpenSwitch) -> None:
        if switch.seq in self._reported:
            return
        keys = to_prove(state)
        self._try_anew(switch, keys)
        failures = self._failures(keys, switch)
        if not failures and not all(map(self._manager.is_ready, keys.values())):
            return
        said = Report(switch=switch.seq, worker=self._row.id, failures=failures)
        self._troubles.tell(self._ledger.report(said, self._liveness()))
        self._reported.add(switch.seq)
        self._woken.set()

    def _try_anew(self, switch: OpenSwitch, keys: dict[int, VersionKey]) -> None:
        """Forget earlier failures: a new switch is a new try."""
        if switch.seq in self._tried:
            return
        self._tried.add(switch.seq)
        for key in keys.values():
            self._whys.pop(key, None)
        for key in keys.values():
            if self._manager.state(key) is State.FAILED:
                self._manager.forget(key)

    def _failures(self, keys: dict[int, VersionKey], switch: OpenSwitch) -> dict[int, str]:
        """Return what failed for good, or has failed before and is about to run out of time."""
        is_late = now_ms() > switch.deadline_ms - REPORT_BEFORE_DEADLINE_MS
        found: dict[int, str] = {}
        for version, key in keys.items():
            if (why := self._manager.why(key)) is not None:
                self._whys[key] = why
            # A load that is tried again has no reason of its own yet: the last one's stands.
            told = self._whys.get(key)
            is_over = is_late and not self._manager.is_ready(key)
            if told is not None and (is_over or self._manager.is_final(key)):
                found[version] = f"version {version} of {key.model!r} failed to load: {told}"
        return found

    def _is_decided(self, key: VersionKey) -> bool:
        return self._manager.is_ready(key) or self._manager.why(key) is not None

    def _try_to_serve(self) -> None:
        if not all(map(self._is_decided, self._known.required)):
            return
        epochs = {model: state.epoch for model, state in self._known.states.items()}
        if self._ledger.start_serving(self._row.id, epochs, self._liveness()):
            self._published = epochs
            self._serves.set()
            self._on_serving()

    def _tend(self) -> None:
        if time.monotonic() - self._tended_at_s < TEND_EVERY_S:
            return
        self._tended_at_s = time.monotonic()
        behind = self._ledger.behind(self._liveness())
        self._standing.tell(self._known.states, behind, self._tended_at_s)
        is_known, failures = self._ledger.tend(self._row, self._liveness())
        self._troubles.replace(failures)
        if not is_known:
            self._has_joined = False
            self._serves.clear()

    def _liveness(self) -> Callable[..., bool]:
        return read_liveness(self._row, self._run_dir, now_ms=now_ms())
