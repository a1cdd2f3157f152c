"""The use cases that change a route on purpose: promote, roll back, split the traffic.

Each works within the caller's transaction: it checks, then opens a switch. The switch is decided by
the workers (``registry.switches``).
"""

import secrets
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from registry.planning import (
    Move,
    after_moves,
    change_split,
    desired_route,
    newest_in,
    next_route,
    plan_moves,
    split_after,
)
from registry.route import Route
from registry.routes import Facts, RouteRow, lock_route, read_facts, save_desired
from registry.stages import Stage
from registry.switches import (
    Cause,
    Lane,
    Order,
    Promotion,
    Switch,
    SwitchState,
    follow,
    history,
    open_switch,
    refuse,
)
from registry.transitions import apply_moves, is_single_production
from tracking.errors import GateUnmet, InvalidRequest, ResourceConflict, ResourceMissing

HISTORY_LIMIT = 1000
"""How far back a rollback looks for another Production version."""


class PromotionOrder(Struct, frozen=True):
    """What a promotion asks for.

    Args:
        model: Which model.
        version: Which version; none takes the newest in ``from_stage``.
        from_stage: Where to take it from when no version is named.
        to_stage: Staging or Production.
        archive_existing: Whether what carries ``to_stage`` now is archived.
        check_expected: Whether ``expected_production`` is to be checked.
        expected_production: The Production version the caller believes there is; none for none.
        is_rollback: Whether it goes back to a version that has been there.
    """

    model: str
    version: int | None = None
    from_stage: Stage = Stage.STAGING
    to_stage: Stage = Stage.PRODUCTION
    archive_existing: bool = True
    check_expected: bool = False
    expected_production: int | None = None
    is_rollback: bool = False


class Plan(Struct, frozen=True):
    """What a promotion would do.

    Args:
        model: Which model.
        version: The version that moves.
        from_stage: Where it is.
        to_stage: Where it goes.
        moves: Every stage move, in order.
        archives: Whether what carries that stage when it moves is archived, whatever does now.
        epoch: The epoch it would commit.
        committed: The route now.
        following: The route after.
        is_rollback: Whether the version has been there before.
    """

    model: str
    version: int
    from_stage: str
    to_stage: Stage
    moves: list[Move]
    archives: bool
    epoch: int
    committed: Route
    following: Route
    is_rollback: bool

    @property
    def is_done(self) -> bool:
        """Whether the version stands and serves there already."""
        return self.from_stage == self.to_stage and self.following == self.committed


def plan_promotion(connection: Connection, order: PromotionOrder) -> Plan:
    """Check a promotion and say what it would do; nothing is changed.

    Raises:
        ResourceMissing: The model or version does not exist, or the stage is empty.
        ResourceConflict: Production is not what the caller expected.
        GateUnmet: The version has no sealed files, so no worker could load it.
        InvalidRequest: The target is not a stage that serves.
    """
    row = lock_route(connection, order.model)
    facts = read_facts(connection, order.model)
    version = _choose_version(facts, order)
    _check_expected(facts, order)
    _check_servable(facts, order.model, version)
    archive = order.archive_existing or (
        order.to_stage == Stage.PRODUCTION and is_single_production(connection)
    )
    moves = plan_moves(facts.stages, version, order.to_stage, archive=archive)
    return Plan(
        model=order.model,
        version=version,
        from_stage=facts.stages[version],
        to_stage=order.to_stage,
        moves=moves,
        archives=archive,
        epoch=row.epoch + 1,
        committed=row.committed,
        following=_route_after(row, facts, moves, version),
        is_rollback=order.is_rollback,
    )


def promote(connection: Connection, plan: Plan, cause: Cause, *, timeout_ms: int) -> Switch:
    """Open the strict switch of a plan: stages and route move together, when all are prepared."""
    order = Order(
        model=plan.model,
        lane=Lane.STRICT,
        route=plan.following,
        promotion=Promotion(plan.version, plan.to_stage, plan.archives, plan.is_rollback),
    )
    return open_switch(connection, order, cause, timeout_ms=timeout_ms)


def plan_rollback(connection: Connection, model: str) -> PromotionOrder:
    """Return the promotion that brings the previous Production version back.

    Raises:
        ResourceMissing: The model does not exist.
        ResourceConflict: No other version has been in Production, or it was deleted.
    """
    row = lock_route(connection, model)
    facts = read_facts(connection, model)
    now = row.committed.production
    for past in history(connection, model, limit=HISTORY_LIMIT):
        held = past.route.production
        if past.state is SwitchState.COMMITTED and held not in (now, None) and held in facts.stages:
            return PromotionOrder(model=model, version=held, is_rollback=True)
    message = (
        f"{model!r} has no earlier Production version to go back to"
        f"{'' if now is None else f': only version {now} has served'}."
    )
    raise ResourceConflict(message)


def set_split(
    connection: Connection, model: str, weight: tuple[str, int], cause: Cause, *, timeout_ms: int
) -> Switch | None:
    """Give a share of a model's traffic to the candidate; the route follows.

    Args:
        connection: The transaction.
        model: Which model.
        weight: The candidate's stage, and its share in basis points.
        cause: Who asks.
        timeout_ms: How long workers may take.
    """
    row = lock_route(connection, model)
    candidate, weight_bp = weight
    split = change_split(row.desired.split, candidate, weight_bp, new_id=secrets.token_hex(8))
    save_desired(connection, model, replace(row.desired, split=split))
    return follow(connection, model, cause, timeout_ms=timeout_ms)


def end_split(
    connection: Connection, model: str, cause: Cause, *, timeout_ms: int
) -> Switch | None:
    """Give all of a model's traffic back to Production."""
    row = lock_route(connection, model)
    save_desired(connection, model, replace(row.desired, split=None))
    return follow(connection, model, cause, timeout_ms=timeout_ms)


def move_stage(
    connection: Connection, model: str, move: tuple[int, Stage], cause: Cause, *, archive: bool
) -> None:
    """Move a version's stage at once, as MLflow's transition-stage does; call ``follow`` after.

    Raises:
        ResourceMissing: The model or version does not exist.
        InvalidRequest: Versions can only be archived on the way to Staging or Production.
    """
    version, to = move
    lock_route(connection, model)
    facts = read_facts(connection, model)
    if version not in facts.stages:
        raise _missing_version(facts, model, version)
    if archive and to not in (Stage.STAGING, Stage.PRODUCTION):
        message = (
            f"archive_existing_versions is for moves to {Stage.STAGING} or {Stage.PRODUCTION}, "
            f"not to {to}."
        )
        raise InvalidRequest(message)
    displaces = archive or (to == Stage.PRODUCTION and is_single_production(connection))
    moves = plan_moves(facts.stages, version, to, archive=displaces)
    apply_moves(connection, model, moves, cause)
    refuse(connection, model, {version: None})


def _choose_version(facts: Facts, order: PromotionOrder) -> int:
    if order.to_stage not in (Stage.STAGING, Stage.PRODUCTION):
        message = f"to is {order.to_stage}: promote to {Stage.STAGING} or {Stage.PRODUCTION}."
        raise InvalidRequest(message)
    if order.version is not None:
        if order.version not in facts.stages:
            raise _missing_version(facts, order.model, order.version)
        return order.version
    newest = newest_in(facts.stages, order.from_stage)
    if newest is None:
        message = (
            f"no version of {order.model!r} is in {order.from_stage}: "
            f"{describe_versions(facts.stages)}. Name a version, or move one there first."
        )
        raise ResourceMissing(message)
    return newest


def describe_versions(stages: Mapping[int, str]) -> str:
    """Say which versions exist, for a message."""
    if not stages:
        return "it has no versions"
    listed = (f"version {number} ({stage})" for number, stage in sorted(stages.items()))
    return "it has " + ", ".join(listed)


def _missing_version(facts: Facts, model: str, version: int) -> ResourceMissing:
    known = describe_versions(facts.stages)
    return ResourceMissing(f"Model Version (name={model}, version={version}) not found: {known}.")


def _check_expected(facts: Facts, order: PromotionOrder) -> None:
    if not order.check_expected:
        return
    now = newest_in(facts.stages, Stage.PRODUCTION)
    if now != order.expected_production:
        message = (
            f"Production of {order.model!r} is version {now}, not the expected "
            f"{order.expected_production}: somebody changed it. Look again, then decide."
        )
        raise ResourceConflict(message)


def _check_servable(facts: Facts, model: str, version: int) -> None:
    why = facts.unsealed.get(version)
    if why is not None:
        raise GateUnmet(f"version {version} of {model!r} cannot be served: {why}.")


def _route_after(row: RouteRow, facts: Facts, moves: list[Move], version: int) -> Route:
    desired = desired_route(
        after_moves(facts.stages, moves), facts.aliases, split_after(row.desired.split, moves)
    )
    return next_route(
        row.committed,
        desired,
        refused=facts.refused.keys() - {version},
        existing=facts.stages.keys(),
    )
