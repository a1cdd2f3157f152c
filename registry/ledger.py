"""What a worker reads and writes while it follows the change log. One transaction a method.

Used by ``gateway.delivery``; nothing on the path of a predict request calls it.
"""

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from registry import changes, fleet, routes, sweeping, switches
from registry.attempts import Failures
from registry.changes import Changed
from registry.fleet import IsLive, WorkerRow
from registry.route import ModelState
from registry.switches import Cause, Report, Switch
from tracking.clock import now_ms
from tracking.database import Database


class RouteStatus(Struct, frozen=True):
    """How one model's route stands: what is wanted, what is committed, and what each worker has."""

    row: routes.RouteRow
    refused: dict[int, str]
    open_switch: Switch | None
    last_switch: Switch | None
    active: dict[str, int]
    workers: list[WorkerRow]


class RouteLedger:
    """The rows behind routes. Safe from any thread.

    Args:
        database: Where they are.
        switch_timeout_s: How long workers may take to prepare.
    """

    def __init__(self, database: Database, *, switch_timeout_s: float) -> None:
        self._database = database
        self._timeout_ms = int(switch_timeout_s * 1000)

    def last_seq(self) -> int:
        """Return the number of the newest change."""
        return self._database.glance(changes.LAST_SEQ)

    def changed_since(self, cursor: int) -> Changed:
        """Return the models that changed after a point of the log."""
        with self._database.read() as connection:
            return changes.changed_since(connection, cursor)

    def states(self, models: frozenset[str] | None = None) -> dict[str, ModelState]:
        """Return the state of each of these models that exists; of all when none are named."""
        with self._database.read() as connection:
            return routes.read_states(connection, models)

    def join(self, worker: WorkerRow, is_live: IsLive) -> Failures:
        """Add a worker; the first of a fleet gives open switches their time anew.

        Returns:
            Why which routes could not be brought after the registry.
        """

        def work(connection: Connection) -> Failures:
            alone = not fleet.serving_workers(connection, is_live)
            fleet.join(connection, worker)
            return self._refresh(connection) if alone else {}

        return self._database.write(work)

    def start_serving(self, worker_id: str, epochs: Mapping[str, int], is_live: IsLive) -> bool:
        """Count a worker in, if it has loaded what is committed; say whether it is.

        Which switches cannot be closed is told by ``tend``, a second later at the most.
        """

        def work(connection: Connection) -> bool:
            serves = fleet.start_serving(connection, worker_id, epochs)
            if serves and epochs:
                fleet.report_active(connection, worker_id, epochs)
            self._sweep(connection, is_live)
            return serves

        return self._database.write(work)

    def has_serving(self, is_live: IsLive) -> bool:
        """Say whether any live worker serves."""
        with self._database.read() as connection:
            return bool(fleet.serving_workers(connection, is_live))

    def leave(self, worker_id: str) -> None:
        """Remove a worker that stops."""
        self._database.write(lambda connection: fleet.leave(connection, worker_id))

    def report(self, said: Report, is_live: IsLive) -> Failures:
        """Record what a worker says of a switch; the last one needed commits it.

        Returns:
            Why it could not be closed, if so; ``tend`` tries again.
        """
        return self._database.write(
            lambda connection: switches.report(
                connection, said, is_live, now_ms=now_ms(), timeout_ms=self._timeout_ms
            )
        )

    def report_active(self, worker_id: str, epochs: Mapping[str, int]) -> None:
        """Record which epochs a worker has published."""
        self._database.write(lambda connection: fleet.report_active(connection, worker_id, epochs))

    def tend(self, worker: WorkerRow, is_live: IsLive) -> tuple[bool, Failures]:
        """Beat, forget the dead, and close what they left open.

        Returns:
            Whether the worker is known, and why which switches could not be closed.
        """

        def work(connection: Connection) -> tuple[bool, Failures]:
            is_known = fleet.beat(connection, worker.id, now_ms=now_ms())
            fleet.forget_dead(connection, is_live, host=worker.host, now_ms=now_ms())
            return is_known, self._sweep(connection, is_live)

        return self._database.write(work)

    def behind(self, is_live: IsLive) -> dict[str, int]:
        """Return how many live workers have not published the committed epoch, where some have."""
        with self._database.read() as connection:
            return fleet.count_behind(connection, is_live)

    def status(self, model: str) -> RouteStatus:
        """Return how a model's route stands.

        Raises:
            ResourceMissing: There is no such model.
        """
        with self._database.read() as connection:
            newest = switches.history(connection, model, limit=1)
            return RouteStatus(
                row=routes.read_route(connection, model),
                refused=dict(routes.read_facts(connection, model).refused),
                open_switch=switches.find_open(connection, model),
                last_switch=newest[0] if newest else None,
                active=fleet.active_epochs(connection, model),
                workers=fleet.workers(connection),
            )

    def switch(self, seq: int) -> Switch:
        """Return a switch by its number."""
        with self._database.read() as connection:
            return switches.read_switch(connection, seq)

    def _sweep(self, connection: Connection, is_live: IsLive) -> Failures:
        return sweeping.sweep(connection, is_live, now_ms=now_ms(), timeout_ms=self._timeout_ms)

    def _refresh(self, connection: Connection) -> Failures:
        at = now_ms()
        switches.extend_deadlines(connection, deadline_at=at + self._timeout_ms)
        cause = Cause("stagedoor", "start", at)
        return switches.follow_all(connection, cause, timeout_ms=self._timeout_ms)
