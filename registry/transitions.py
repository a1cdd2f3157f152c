"""The SQL of stage moves: the stage, the constraint on Production, and the transition log."""

from typing import Protocol

from sqlalchemy import Connection, insert, null, select, update

from registry.changes import ChangeKind, record_change
from registry.outbox import announce
from registry.planning import Move
from registry.schema import model_version, registered_model, registry_flag, transition
from registry.stages import Stage
from registry.webhook_events import stage_moved
from tracking.errors import ResourceConflict

SINGLE_PRODUCTION = "single_production"


class Because(Protocol):
    """Who moved a stage, why, and when (milliseconds since the epoch)."""

    @property
    def actor(self) -> str:
        """Who."""

    @property
    def reason(self) -> str:
        """Why."""

    @property
    def now_ms(self) -> int:
        """When."""


def is_single_production(connection: Connection) -> bool:
    """Return whether a model may have only one version in Production."""
    value = connection.execute(
        select(registry_flag.c.value).where(registry_flag.c.name == SINGLE_PRODUCTION)
    ).scalar_one()
    return bool(value == "true")


def set_single_production(connection: Connection, *, single: bool) -> None:
    """Choose between one Production version a model, and MLflow's several.

    Raises:
        ResourceConflict: Several versions of a model are in Production, so it cannot be one.
    """
    if single == is_single_production(connection):
        return
    in_production = model_version.c.stage == Stage.PRODUCTION
    models = list(connection.execute(select(model_version.c.model).where(in_production)).scalars())
    several = sorted({model for model in models if models.count(model) > 1})
    if single and several:
        message = (
            f"several versions are in Production of: {', '.join(several)}. Archive all but one "
            "of each, then set registry.single_production."
        )
        raise ResourceConflict(message)
    held = model_version.c.model if single else null()
    connection.execute(update(model_version).where(in_production).values(production_of=held))
    connection.execute(
        update(registry_flag)
        .where(registry_flag.c.name == SINGLE_PRODUCTION)
        .values(value="true" if single else "false")
    )


def apply_moves(
    connection: Connection,
    model: str,
    moves: list[Move],
    because: Because,
    *,
    switch_seq: int | None = None,
) -> None:
    """Make stage moves, in order, and log each as a transition."""
    single = is_single_production(connection)
    for move in moves:
        holds = single and move.to_stage == Stage.PRODUCTION
        connection.execute(
            update(model_version)
            .where(model_version.c.model == model, model_version.c.version == move.version)
            .values(
                stage=move.to_stage,
                production_of=model if holds else null(),
                updated_at=because.now_ms,
            )
        )
        _log_move(connection, model, move, because, switch_seq)
    connection.execute(
        update(registered_model)
        .where(registered_model.c.name == model)
        .values(updated_at=because.now_ms)
    )
    record_change(connection, ChangeKind.STAGE, model, now_ms=because.now_ms)


def _log_move(
    connection: Connection, model: str, move: Move, because: Because, switch_seq: int | None
) -> None:
    connection.execute(
        insert(transition).values(
            model=model,
            version=move.version,
            from_stage=move.from_stage,
            to_stage=move.to_stage,
            actor=because.actor,
            reason=because.reason,
            at=because.now_ms,
            switch=switch_seq,
        )
    )
    if move.from_stage != move.to_stage:
        told = stage_moved(model, move, actor=because.actor, reason=because.reason)
        announce(connection, told, now_ms=because.now_ms)
