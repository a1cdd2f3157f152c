"""The two-phase switch of a route: opened, prepared by every live worker, committed or aborted.

There is no coordinator to elect: whoever reports the last missing preparation commits in the same
transaction, and any worker's sweep finishes what a dead one left. The lock on the route's row makes
each of these steps one at a time for a model. Every function works within the caller's transaction.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Row, insert, select, update

from registry import webhook_events
from registry.attempts import Failures, attempt
from registry.changes import ChangeKind, record_change
from registry.fleet import IsLive, serving_workers
from registry.outbox import announce
from registry.planning import Move, must_prove, next_route, plan_moves, split_after
from registry.route import Route
from registry.routes import (
    Facts,
    RouteRow,
    decode_route,
    encode_route,
    lock_route,
    read_all,
    read_desired,
    read_facts,
    save_committed,
    save_desired,
)
from registry.schema import model_version, prepared, switch
from registry.stages import Stage
from registry.transitions import apply_moves, is_single_production


class SwitchState(StrEnum):
    """How far a switch is."""

    PREPARING = "PREPARING"
    """Workers load and prove what it needs; callers notice nothing."""
    COMMITTED = "COMMITTED"
    """It is the route."""
    ABORTED = "ABORTED"
    """It was given up; the route before it stands."""


class Lane(StrEnum):
    """Whether the stage moves before or with the route."""

    STRICT = "strict"
    """Our promotion: the stage moves when the route does."""
    FOLLOW = "follow"
    """The stage moved already; the route follows when it can."""


class Cause(Struct, frozen=True):
    """Who asked for a change, why, and when (milliseconds since the epoch)."""

    actor: str
    reason: str
    now_ms: int


class Promotion(Struct, frozen=True):
    """The stage move that a strict switch makes when it commits."""

    version: int
    to_stage: Stage
    archive: bool
    is_rollback: bool = False


class Order(Struct, frozen=True):
    """A switch to open: which route, in which lane, and what it moves on commit."""

    model: str
    lane: Lane
    route: Route
    promotion: Promotion | None = None


class Switch(Struct, frozen=True):
    """A switch as stored. Times in milliseconds since the epoch."""

    seq: int
    model: str
    epoch: int
    state: SwitchState
    lane: Lane
    route: Route
    promotion: Promotion | None
    actor: str
    reason: str
    why: str | None
    opened_at: int
    deadline_at: int
    closed_at: int | None


class Report(Struct, frozen=True):
    """What a worker says of a switch.

    Args:
        switch: Its number.
        worker: Who says it.
        failures: Why each version that failed did; empty when all are ready.
    """

    switch: int
    worker: str
    failures: Mapping[int, str]


def open_switch(connection: Connection, order: Order, cause: Cause, *, timeout_ms: int) -> Switch:
    """Open a switch to the next epoch, in place of an open one; commit it if nothing is new."""
    row = lock_route(connection, order.model)
    supersede(connection, order.model, cause)
    promotion = msgspec.json.encode(order.promotion).decode() if order.promotion else None
    values = {
        "model": order.model,
        "epoch": row.epoch + 1,
        "state": SwitchState.PREPARING,
        "lane": order.lane,
        "route": encode_route(order.route),
        "promotion": promotion,
        "actor": cause.actor,
        "reason": cause.reason,
        "opened_at": cause.now_ms,
        "deadline_at": cause.now_ms + timeout_ms,
    }
    seq = connection.execute(insert(switch).values(**values).returning(switch.c.seq)).scalar_one()
    record_change(connection, ChangeKind.SWITCH_OPENED, order.model, now_ms=cause.now_ms)
    opened = read_switch(connection, seq)
    if must_prove(row.committed, order.route):
        return opened
    commit(connection, opened, now_ms=cause.now_ms, timeout_ms=timeout_ms)
    return read_switch(connection, seq)


def follow(connection: Connection, model: str, cause: Cause, *, timeout_ms: int) -> Switch | None:
    """Bring the route after what the registry says now; return the switch opened for it, if any.

    A strict switch that is open goes first: whoever closes it calls this again.
    """
    row = lock_route(connection, model)
    facts = read_facts(connection, model)
    desired = read_desired(facts, row)
    save_desired(connection, model, desired)
    opened = find_open(connection, model)
    if opened is not None and opened.lane is Lane.STRICT:
        return None
    following = next_route(
        row.committed, desired, refused=facts.refused.keys(), existing=facts.stages.keys()
    )
    if opened is not None and opened.route == following:
        return opened
    if following == row.committed:
        supersede(connection, model, cause)
        return None
    order = Order(model=model, lane=Lane.FOLLOW, route=following)
    return open_switch(connection, order, cause, timeout_ms=timeout_ms)


def follow_all(connection: Connection, cause: Cause, *, timeout_ms: int) -> Failures:
    """Bring every route after what the registry says now, one by one where that changes it.

    Returns:
        Why which ones could not follow; the others have.
    """
    failures: Failures = {}
    opened = set(
        connection.execute(
            select(switch.c.model).where(switch.c.state == SwitchState.PREPARING)
        ).scalars()
    )
    behind = [row.model for row, facts in read_all(connection) if _is_behind(row, facts)]
    for model in sorted(opened.union(behind)):
        with attempt(connection, model, failures):
            follow(connection, model, cause, timeout_ms=timeout_ms)
    return failures


def report(
    connection: Connection, said: Report, is_live: IsLive, *, now_ms: int, timeout_ms: int
) -> Failures:
    """Record what a worker says of a switch, and close the switch if that decides it.

    Returns:
        Why it could not be closed, if so; what the worker said stands, and a sweep tries again.
    """
    failures: Failures = {}
    opened = read_switch(connection, said.switch)
    lock_route(connection, opened.model)
    opened = read_switch(connection, said.switch)
    if opened.state is not SwitchState.PREPARING:
        return failures
    connection.execute(
        prepared.delete().where(prepared.c.switch == said.switch, prepared.c.worker == said.worker)
    )
    why = "; ".join(said.failures.values()) or None
    connection.execute(
        insert(prepared).values(
            switch=said.switch, worker=said.worker, ok=not said.failures, why=why, at=now_ms
        )
    )
    with attempt(connection, opened.model, failures):
        if said.failures:
            refuse(connection, opened.model, said.failures)
            abort(connection, opened, str(why), now_ms=now_ms, timeout_ms=timeout_ms)
        else:
            commit_if_prepared(connection, opened, is_live, now_ms=now_ms, timeout_ms=timeout_ms)
    return failures


def commit_if_prepared(
    connection: Connection, opened: Switch, is_live: IsLive, *, now_ms: int, timeout_ms: int
) -> bool:
    """Commit a switch if there are live workers and all of them are prepared."""
    if not serving_workers(connection, is_live) or missing_workers(connection, opened, is_live):
        return False
    commit(connection, opened, now_ms=now_ms, timeout_ms=timeout_ms)
    return True


def commit(connection: Connection, opened: Switch, *, now_ms: int, timeout_ms: int) -> None:
    """Make a switch the route; with it move the stages, if it is a strict one."""
    row = lock_route(connection, opened.model)
    moves: list[Move] = []
    if opened.promotion is not None:
        stages, to = read_facts(connection, opened.model).stages, opened.promotion.to_stage
        # Others may have moved since it was opened, and the rule may be another one.
        displaces = to == Stage.PRODUCTION and is_single_production(connection)
        archive = opened.promotion.archive or displaces
        moves = plan_moves(stages, opened.promotion.version, to, archive=archive)
        cause = Cause(opened.actor, opened.reason, now_ms)
        apply_moves(connection, opened.model, moves, cause, switch_seq=opened.seq)
        refuse(connection, opened.model, {opened.promotion.version: None})
    split = split_after(row.desired.split, moves)
    committed = replace(
        row,
        epoch=opened.epoch,
        committed=replace(opened.route, split=split),
        desired=replace(row.desired, split=split),
    )
    save_committed(connection, committed, now_ms=now_ms)
    _tell_committed(connection, opened, row.committed, committed.committed, now_ms=now_ms)
    _close(connection, opened, SwitchState.COMMITTED, why=None, now_ms=now_ms)
    record_change(connection, ChangeKind.ROUTE, opened.model, now_ms=now_ms)
    follow(connection, opened.model, Cause(opened.actor, "", now_ms), timeout_ms=timeout_ms)


def abort(
    connection: Connection, opened: Switch, why: str, *, now_ms: int, timeout_ms: int
) -> None:
    """Give a switch up: the route before it stands."""
    _close(connection, opened, SwitchState.ABORTED, why=why, now_ms=now_ms)
    record_change(connection, ChangeKind.SWITCH_ABORTED, opened.model, now_ms=now_ms)
    follow(connection, opened.model, Cause(opened.actor, "", now_ms), timeout_ms=timeout_ms)


def supersede(connection: Connection, model: str, cause: Cause) -> None:
    """Give up the open switch of a model, if there is one, for something newer."""
    opened = find_open(connection, model)
    if opened is not None:
        why = "superseded by a newer change"
        _close(connection, opened, SwitchState.ABORTED, why=why, now_ms=cause.now_ms)


def extend_deadlines(connection: Connection, *, deadline_at: int) -> None:
    """Give every open switch its time anew, when there was nobody to prepare it."""
    connection.execute(
        update(switch)
        .where(switch.c.state == SwitchState.PREPARING)
        .values(deadline_at=deadline_at)
    )


def refuse(connection: Connection, model: str, whys: Mapping[int, str | None]) -> None:
    """Keep versions out of routes, each with its reason; ``None`` lets it in again."""
    for version, why in whys.items():
        connection.execute(
            update(model_version)
            .where(model_version.c.model == model, model_version.c.version == version)
            .values(refused_why=why)
        )


def missing_workers(connection: Connection, opened: Switch, is_live: IsLive) -> frozenset[str]:
    """Return the live workers that have not said yet that they are prepared."""
    done = connection.execute(
        select(prepared.c.worker).where(prepared.c.switch == opened.seq, prepared.c.ok == 1)
    ).scalars()
    return serving_workers(connection, is_live) - frozenset(done)


def new_versions(connection: Connection, opened: Switch) -> frozenset[int]:
    """Return the versions that a switch brings into the route."""
    return must_prove(lock_route(connection, opened.model).committed, opened.route)


def find_open(connection: Connection, model: str) -> Switch | None:
    """Return the open switch of a model, or ``None``."""
    row = connection.execute(
        select(switch).where(switch.c.model == model, switch.c.state == SwitchState.PREPARING)
    ).one_or_none()
    return None if row is None else _switch(row)


def read_switch(connection: Connection, seq: int) -> Switch:
    """Return a switch by its number."""
    return _switch(connection.execute(select(switch).where(switch.c.seq == seq)).one())


def history(connection: Connection, model: str, *, limit: int) -> list[Switch]:
    """Return the newest switches of a model, newest first."""
    newest = select(switch).where(switch.c.model == model).order_by(switch.c.seq.desc())
    return [_switch(row) for row in connection.execute(newest.limit(limit))]


def _is_behind(row: RouteRow, facts: Facts) -> bool:
    """Whether a route without an open switch is another one than it should be."""
    desired = read_desired(facts, row)
    following = next_route(
        row.committed, desired, refused=facts.refused.keys(), existing=facts.stages.keys()
    )
    return desired != row.desired or following != row.committed


def _close(
    connection: Connection, opened: Switch, state: SwitchState, *, why: str | None, now_ms: int
) -> None:
    connection.execute(
        update(switch)
        .where(switch.c.seq == opened.seq, switch.c.state == SwitchState.PREPARING)
        .values(state=state, why=why, closed_at=now_ms)
    )
    if state is SwitchState.ABORTED:
        told = webhook_events.switch_aborted(opened.model, why, _because(opened))
        announce(connection, told, now_ms=now_ms)


def _tell_committed(
    connection: Connection, opened: Switch, before: Route, after: Route, *, now_ms: int
) -> None:
    is_rollback = opened.promotion is not None and opened.promotion.is_rollback
    for told in webhook_events.route_committed(
        opened.model, before, after, _because(opened), is_rollback=is_rollback
    ):
        announce(connection, told, now_ms=now_ms)


def _because(opened: Switch) -> dict[str, Any]:
    return {
        "switch": opened.seq,
        "epoch": opened.epoch,
        "actor": opened.actor,
        "reason": opened.reason,
    }


def _switch(row: Row[Any]) -> Switch:
    promotion = row.promotion and msgspec.json.decode(row.promotion, type=Promotion)
    return Switch(
        seq=row.seq,
        model=row.model,
        epoch=row.epoch,
        state=SwitchState(row.state),
        lane=Lane(row.lane),
        route=decode_route(row.route),
        promotion=promotion,
        actor=row.actor,
        reason=row.reason,
        why=row.why,
        opened_at=row.opened_at,
        deadline_at=row.deadline_at,
        closed_at=row.closed_at,
    )
