"""Stages and aliases of a model that was brought over: moved in one transaction, the route after.

Functions on a connection, for ``registry.transfer.model_import``. The switch is decided by the
workers, as for any other move (``registry.switches``).
"""

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from registry import webhook_events
from registry.changes import ChangeKind, record_change
from registry.limits import check_alias
from registry.outbox import announce
from registry.promotion import move_stage
from registry.routes import Facts, read_facts
from registry.sql_models import is_prompt, set_alias
from registry.sql_past import Incoming, set_times
from registry.sql_versions import require_version
from registry.stages import Stage
from registry.switches import Cause, follow
from registry.transfer.settling import order_moves, settle_stages
from registry.transitions import is_single_production

_TIMEOUT_MS = 120_000


class Settlement(Struct, frozen=True):
    """What is wanted of a model.

    Args:
        given: The model, with the stages that its versions had.
        aliases: Aliases and the versions they pointed at.
        is_changed: Whether anything of the model was written before this.
    """

    given: Incoming
    aliases: Mapping[str, int]
    is_changed: bool


class Settled(Struct, frozen=True):
    """What moved: how many stages and aliases, and which versions had to leave Production."""

    stages: int
    aliases: int
    archived: list[int]


def settle(connection: Connection, wanted: Settlement, cause: Cause) -> Settled:
    """Move stages and aliases to where they were, let the route follow, set the times back.

    Raises:
        InvalidRequest: There is no such stage, or an alias is none.
        ResourceMissing: An alias points at a version that is not here.
    """
    name = wanted.given.model.name
    facts = read_facts(connection, name)
    told = {int(v.version): v.current_stage or Stage.NONE for v in wanted.given.versions}
    stages = settle_stages(told, is_single=is_single_production(connection))
    moves = order_moves(facts.stages, stages)
    for move in moves:
        move_stage(connection, name, move, cause, archive=False)
    aliases = _move_aliases(connection, wanted, facts, cause)
    if moves or aliases:
        follow(connection, name, cause, timeout_ms=_TIMEOUT_MS)
    if moves or aliases or wanted.is_changed:
        set_times(connection, wanted.given)
    return Settled(
        stages=len(moves),
        aliases=aliases,
        archived=[
            number
            for number, stage in stages.items()
            if stage is Stage.ARCHIVED and told[number] == Stage.PRODUCTION
        ],
    )


def _move_aliases(connection: Connection, wanted: Settlement, facts: Facts, cause: Cause) -> int:
    """Point aliases to where they pointed, and return how many moved."""
    name = wanted.given.model.name
    moving = {a: v for a, v in wanted.aliases.items() if facts.aliases.get(a) != v}
    for alias, version in moving.items():
        require_version(connection, (name, version))
        set_alias(connection, name, check_alias(alias), version)
        record_change(connection, ChangeKind.ALIAS, name, now_ms=cause.now_ms)
        told = webhook_events.alias_changed(
            name, alias, version, is_prompt=is_prompt(connection, name)
        )
        announce(connection, told, now_ms=cause.now_ms)
    return len(moving)
