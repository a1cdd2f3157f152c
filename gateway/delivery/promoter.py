"""The use cases behind ``/admin/models``: promote, roll back, split, and say how a route stands.

Handlers call it in the thread pool. The deciding is in ``registry.promotion``; the workers do the
rest, and ``wait`` watches them do it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Connection

from gateway.delivery.status import RouteReport, describe, lagging
from registry import promotion
from registry.fleet import WorkerRow
from registry.ledger import RouteLedger
from registry.planning import Move
from registry.promotion import Plan, PromotionOrder
from registry.route import Route, Split
from registry.stages import parse_stage
from registry.switches import Cause, Switch, SwitchState
from tracking.clock import now_ms
from tracking.database import Database
from tracking.errors import DeadlineExceeded, GateUnmet, InvalidRequest, ResourceConflict

LOOK_EVERY_S = 0.005
"""Seconds between two looks while a caller waits for all workers."""

CLOSING_S = 5.0
"""How much longer than a switch may take its caller waits, to be told how it ended."""

Wait = Literal["active"]
"""Answer when every live worker serves it."""


class PromoteRequest(
    Struct, frozen=True, forbid_unknown_fields=True, rename={"from_stage": "from"}
):
    """POST /admin/models/{name}/promote.

    Args:
        version: Which version, as a number or text; none takes the newest of ``from``.
        from_stage: Where to take it from when no version is named.
        to: Staging or Production.
        archive_existing: Whether what carries that stage now is archived.
        expected_production: Refuse unless this is the Production version; null means none is.
        dry_run: Only say what would happen.
        wait: ``active`` answers when every live worker serves it.
        timeout_s: How long to wait, seconds.
        reason: Why, for the log of transitions.
    """

    version: int | str | None = None
    from_stage: str = "Staging"
    to: str = "Production"
    archive_existing: bool = True
    expected_production: int | str | UnsetType | None = UNSET
    dry_run: bool = False
    wait: Wait | None = None
    timeout_s: float | None = None
    reason: str = ""


class RollbackRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /admin/models/{name}/rollback. See ``PromoteRequest``."""

    dry_run: bool = False
    wait: Wait | None = None
    timeout_s: float | None = None
    reason: str = "rollback"


class TrafficRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """PUT /admin/models/{name}/traffic: the candidate's stage, and its share in basis points."""

    weight_bp: int
    candidate: str = "Staging"
    wait: Wait | None = None
    timeout_s: float | None = None


class PromotionReport(Struct, frozen=True):
    """What a promotion or rollback did, or would do."""

    model: str
    version: int
    from_stage: str
    to_stage: str
    moves: list[Move]
    epoch: int
    state: str
    dry_run: bool
    switch: int | None = None
    route: Route | None = None


class TrafficReport(Struct, frozen=True):
    """How a model's traffic is split: as wanted, and as it is with what is loaded."""

    model: str
    epoch: int
    desired: Split | None
    committed: Split | None
    stable: int | None
    candidate: int | None


class Promoter:
    """Changes routes on request. Safe from any thread.

    Args:
        database: Where routes are.
        ledger: The rows that say how far workers are.
        wake: Called after a change, so that this worker looks at once.
        is_live: Reads which workers are alive now.
        seal: Seals a version whose files were not there when it was created.
        switch_timeout_s: How long workers may take, and callers wait by default.
    """

    def __init__(
        self,
        database: Database,
        ledger: RouteLedger,
        *,
        wake: Callable[[], None],
        read_live: Callable[[], Callable[[WorkerRow], bool]],
        seal: Callable[[str, int], None],
        switch_timeout_s: float,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._wake = wake
        self._read_live = read_live
        self._seal = seal
        self._timeout_s = switch_timeout_s

    def promote(self, model: str, request: PromoteRequest, actor: str) -> PromotionReport:
        """Move a version up; the stage and the route change together, once all are prepared.

        Raises:
            ResourceMissing: The model or version does not exist, or the stage is empty.
            ResourceConflict: Production is not the expected one, or a newer change came.
            GateUnmet: The version could not be loaded; nothing changed for callers.
            DeadlineExceeded: Not every worker serves it yet; it goes on.
        """
        order = _order(model, request)
        if order.version is not None:
            self._seal(model, order.version)
        return self._carry_out(order, request, actor)

    def rollback(self, model: str, request: RollbackRequest, actor: str) -> PromotionReport:
        """Bring the previous Production version back. See ``promote``.

        Raises:
            ResourceConflict: There is no earlier Production version.
        """
        with self._database.read() as connection:
            order = promotion.plan_rollback(connection, model)
        return self._carry_out(order, request, actor)

    def traffic(self, model: str) -> TrafficReport:
        """Return how a model's traffic is split."""
        row = self._ledger.status(model).row
        return TrafficReport(
            model=model,
            epoch=row.epoch,
            desired=row.desired.split,
            committed=row.committed.split,
            stable=row.committed.production,
            candidate=row.committed.staging if row.committed.split else None,
        )

    def set_traffic(self, model: str, request: TrafficRequest, actor: str) -> TrafficReport:
        """Give the candidate a share of the traffic."""
        weight = (parse_stage(request.candidate).value, request.weight_bp)
        cause = Cause(actor, f"traffic {request.weight_bp} bp", now_ms())

        def work(connection: Connection) -> Switch | None:
            return promotion.set_split(
                connection, model, weight, cause, timeout_ms=self._timeout_ms
            )

        return self._change_traffic(model, work, request.wait, request.timeout_s)

    def end_traffic(self, model: str, actor: str) -> TrafficReport:
        """Give all of the traffic back to Production."""
        cause = Cause(actor, "traffic ended", now_ms())

        def work(connection: Connection) -> Switch | None:
            return promotion.end_split(connection, model, cause, timeout_ms=self._timeout_ms)

        return self._change_traffic(model, work, None, None)

    def status(self, model: str) -> RouteReport:
        """Return what is wanted of a model's route, what is committed, and what workers serve."""
        return describe(self._ledger.status(model), self._read_live())

    @property
    def _timeout_ms(self) -> int:
        return int(self._timeout_s * 1000)

    def _carry_out(
        self, order: PromotionOrder, request: PromoteRequest | RollbackRequest, actor: str
    ) -> PromotionReport:
        cause = Cause(actor, request.reason, now_ms())

        def work(connection: Connection) -> tuple[Plan, Switch | None]:
            plan = promotion.plan_promotion(connection, order)
            if request.dry_run or plan.is_done:
                return plan, None
            return plan, promotion.promote(connection, plan, cause, timeout_ms=self._timeout_ms)

        plan, switch = self._database.write(work)
        self._wake()
        if switch is not None and request.wait is not None:
            switch = self._wait_for(switch.seq, request.timeout_s)
        return _report(plan, switch, dry_run=request.dry_run)

    def _change_traffic(
        self,
        model: str,
        work: Callable[[Connection], Switch | None],
        wait: Wait | None,
        timeout_s: float | None,
    ) -> TrafficReport:
        switch = self._database.write(work)
        self._wake()
        if switch is not None and wait is not None:
            self._wait_for(switch.seq, timeout_s)
        return self.traffic(model)

    def _wait_for(self, seq: int, timeout_s: float | None) -> Switch:
        """Return the switch once every live worker serves it."""
        patience_s = self._timeout_s + CLOSING_S if timeout_s is None else timeout_s
        ends_at = time.monotonic() + patience_s
        while True:
            switch = self._ledger.switch(seq)
            if switch.state is SwitchState.ABORTED:
                raise _why_aborted(switch)
            status = self._ledger.status(switch.model)
            behind = lagging(status, self._read_live(), switch.epoch)
            if switch.state is SwitchState.COMMITTED and not behind:
                return switch
            if time.monotonic() > ends_at:
                raise _not_in_time(switch, behind)
            time.sleep(LOOK_EVERY_S)


def _order(model: str, request: PromoteRequest) -> PromotionOrder:
    expected = request.expected_production
    return PromotionOrder(
        model=model,
        version=_number(request.version, "version"),
        from_stage=parse_stage(request.from_stage),
        to_stage=parse_stage(request.to),
        archive_existing=request.archive_existing,
        check_expected=expected is not UNSET,
        expected_production=None if expected is UNSET else _number(expected, "expected_production"),
    )


def _number(value: int | str | None, field: str) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:
        message = f"{field} is {value!r}: give a version number."
        raise InvalidRequest(message) from None


def _report(plan: Plan, switch: Switch | None, *, dry_run: bool) -> PromotionReport:
    return PromotionReport(
        model=plan.model,
        version=plan.version,
        from_stage=plan.from_stage,
        to_stage=plan.to_stage,
        moves=[move for move in plan.moves if move.from_stage != move.to_stage],
        epoch=plan.epoch - 1 if plan.is_done else plan.epoch,
        state=_state(plan, switch, dry_run=dry_run),
        dry_run=dry_run,
        switch=None if switch is None else switch.seq,
        route=plan.following,
    )


def _state(plan: Plan, switch: Switch | None, *, dry_run: bool) -> str:
    if switch is not None:
        return switch.state
    return SwitchState.COMMITTED if plan.is_done and not dry_run else "PLANNED"


def _why_aborted(switch: Switch) -> GateUnmet | ResourceConflict:
    why = switch.why or "no reason was recorded"
    if why.startswith("superseded"):
        return ResourceConflict(f"this change of {switch.model!r} did not happen: {why}.")
    return GateUnmet(
        f"this change of {switch.model!r} did not happen, the route before it still serves: {why}"
    )


def _not_in_time(switch: Switch, behind: Mapping[str, int]) -> DeadlineExceeded:
    workers = ", ".join(sorted(behind)) or "no live worker"
    return DeadlineExceeded(
        f"switch {switch.seq} of {switch.model!r} is {switch.state} and goes on; waiting for: "
        f"{workers}. Look at GET /admin/models/{switch.model}."
    )
