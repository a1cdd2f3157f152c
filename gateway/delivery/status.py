"""How a model's route stands, in a form for people and programs. Pure."""

from collections.abc import Callable

from msgspec import Struct

from gateway.serving.loader import Form
from registry.fleet import SERVING, WorkerRow
from registry.ledger import RouteStatus
from registry.route import Route
from registry.switches import Switch


class WorkerReport(Struct, frozen=True):
    """One worker, and the epoch of this model that it serves."""

    id: str
    index: int
    host: str
    pid: int
    state: str
    is_live: bool
    epoch: int | None


class SwitchReport(Struct, frozen=True):
    """One switch of this model. Times in milliseconds since the epoch."""

    seq: int
    epoch: int
    state: str
    lane: str
    route: Route
    why: str | None
    actor: str
    reason: str
    opened_at: int
    closed_at: int | None


class RouteReport(Struct, frozen=True):
    """What is wanted of a model's route, what is committed, and what each worker serves.

    ``engines`` tells by version what answers on the host that was asked: the engine made of the
    model, or its runner and why.
    """

    model: str
    epoch: int
    desired: Route
    committed: Route
    is_converged: bool
    refused: dict[int, str]
    switch: SwitchReport | None
    workers: list[WorkerReport]
    engines: dict[int, Form] = {}


def describe(status: RouteStatus, is_live: Callable[[WorkerRow], bool]) -> RouteReport:
    """Lay desired against committed, and committed against what each worker serves."""
    workers = [
        WorkerReport(
            id=row.id,
            index=row.idx,
            host=row.host.partition(":")[0],
            pid=row.pid,
            state=row.state,
            is_live=is_live(row),
            epoch=status.active.get(row.id),
        )
        for row in status.workers
    ]
    shown = status.open_switch or status.last_switch
    behind = lagging(status, is_live, status.row.epoch)
    return RouteReport(
        model=status.row.model,
        epoch=status.row.epoch,
        desired=status.row.desired,
        committed=status.row.committed,
        is_converged=status.row.desired == status.row.committed and not behind,
        refused=status.refused,
        switch=None if shown is None else _switch_report(shown),
        workers=workers,
    )


def lagging(
    status: RouteStatus, is_live: Callable[[WorkerRow], bool], epoch: int
) -> dict[str, int]:
    """Return the live, serving workers that have not published an epoch, and what they have."""
    serving = [row.id for row in status.workers if row.state == SERVING and is_live(row)]
    has = {worker: status.active.get(worker, -1) for worker in serving}
    return {worker: reached for worker, reached in has.items() if reached < epoch}


def _switch_report(switch: Switch) -> SwitchReport:
    return SwitchReport(
        seq=switch.seq,
        epoch=switch.epoch,
        state=switch.state,
        lane=switch.lane,
        route=switch.route,
        why=switch.why,
        actor=switch.actor,
        reason=switch.reason,
        opened_at=switch.opened_at,
        closed_at=switch.closed_at,
    )
