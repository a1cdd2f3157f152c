"""The SQL of routes: what is committed, what the registry asks for, and what could be served.

Every function works within the caller's transaction. Whoever changes anything of a model's route
locks its row first, with ``lock_route``.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Select, func, insert, select, update

from registry.planning import desired_route
from registry.route import ModelState, OpenSwitch, Route, VersionKey, VersionRecord
from registry.schema import model_alias, model_version, prepared, route, switch
from tracking.errors import ResourceMissing


class RouteRow(Struct, frozen=True):
    """A model's route as stored."""

    model: str
    epoch: int
    committed: Route
    desired: Route


class Facts(Struct, frozen=True):
    """What the registry says of a model's versions.

    Args:
        stages: Every version and its stage.
        aliases: Every alias and its version.
        failed: Versions that could not be loaded when it was last tried, and why.
        unsealed: Versions without sealed files, and why.
    """

    stages: Mapping[int, str]
    aliases: Mapping[str, int]
    failed: Mapping[int, str]
    unsealed: Mapping[int, str]

    @property
    def refused(self) -> dict[int, str]:
        """Versions that no route may take now, and why."""
        return {**self.failed, **self.unsealed}


def encode_route(value: Route) -> str:
    """Write a route as it is stored."""
    return msgspec.json.encode(value).decode()


def decode_route(text: str) -> Route:
    """Read a stored route."""
    return msgspec.json.decode(text, type=Route)


def create_route(connection: Connection, model: str, *, now_ms: int) -> None:
    """Add the empty route of a new model, above any epoch that its name has had before."""
    last = connection.execute(
        select(func.max(switch.c.epoch)).where(switch.c.model == model)
    ).scalar()
    empty = encode_route(Route())
    connection.execute(
        insert(route).values(
            model=model,
            committed_epoch=last or 0,
            committed=empty,
            desired=empty,
            updated_at=now_ms,
        )
    )


def lock_route(connection: Connection, model: str) -> RouteRow:
    """Return a model's route and hold it until the transaction ends.

    Raises:
        ResourceMissing: There is no such model.
    """
    locked = select(route).where(route.c.model == model).with_for_update()
    return _one_route(connection, locked, model)


def read_route(connection: Connection, model: str) -> RouteRow:
    """Return a model's route.

    Raises:
        ResourceMissing: There is no such model.
    """
    return _one_route(connection, select(route).where(route.c.model == model), model)


def _one_route(connection: Connection, query: Select[Any], model: str) -> RouteRow:
    row = connection.execute(query).one_or_none()
    if row is None:
        raise missing_model(model)
    return _route_row(row)


def missing_model(name: str) -> ResourceMissing:
    """Return the error for a model that is not there."""
    return ResourceMissing(
        f"Registered Model with name={name} not found. Create it first, with "
        f"create_registered_model({name!r}) or log_model(..., registered_model_name={name!r})."
    )


def save_desired(connection: Connection, model: str, desired: Route) -> None:
    """Store what the registry asks for."""
    connection.execute(
        update(route).where(route.c.model == model).values(desired=encode_route(desired))
    )


def save_committed(connection: Connection, row: RouteRow, *, now_ms: int) -> None:
    """Store a committed route with its epoch."""
    connection.execute(
        update(route)
        .where(route.c.model == row.model)
        .values(
            committed_epoch=row.epoch,
            committed=encode_route(row.committed),
            desired=encode_route(row.desired),
            updated_at=now_ms,
        )
    )


def read_facts(connection: Connection, model: str) -> Facts:
    """Return the stages, aliases and refusals of a model's versions."""
    versions = connection.execute(_FACTS.where(model_version.c.model == model)).all()
    aliases = connection.execute(_ALIASES.where(model_alias.c.model == model)).all()
    return _facts(versions, aliases)


def read_all(connection: Connection) -> list[tuple[RouteRow, Facts]]:
    """Return every model's route, and what the registry says of its versions."""
    versions: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(_FACTS):
        versions[row.model].append(row)
    aliases: dict[str, list[Any]] = defaultdict(list)
    for alias in connection.execute(_ALIASES):
        aliases[alias.model].append(alias)
    rows = [_route_row(row) for row in connection.execute(select(route))]
    return [(row, _facts(versions[row.model], aliases[row.model])) for row in rows]


_FACTS = select(
    model_version.c.model,
    model_version.c.version,
    model_version.c.stage,
    model_version.c.digest,
    model_version.c.seal_problem,
    model_version.c.refused_why,
)
_ALIASES = select(model_alias.c.model, model_alias.c.alias, model_alias.c.version)


def _facts(versions: Sequence[Any], aliases: Sequence[Any]) -> Facts:
    return Facts(
        stages={row.version: row.stage for row in versions},
        aliases={row.alias: row.version for row in aliases},
        failed={row.version: row.refused_why for row in versions if row.refused_why},
        unsealed={
            row.version: row.seal_problem or "its files are not sealed yet"
            for row in versions
            if row.digest is None
        },
    )


def read_desired(facts: Facts, row: RouteRow) -> Route:
    """Return the route that the facts ask for, with the split that was set."""
    return desired_route(facts.stages, facts.aliases, row.desired.split)


def read_states(connection: Connection, models: frozenset[str] | None) -> dict[str, ModelState]:
    """Return the state of each of these models that exists; of all when none are named."""
    routes = select(route)
    versions = select(
        model_version.c.model,
        model_version.c.version,
        model_version.c.stage,
        model_version.c.digest,
        model_version.c.storage,
    )
    if models is not None:
        routes = routes.where(route.c.model.in_(models))
        versions = versions.where(model_version.c.model.in_(models))
    records: dict[str, dict[int, VersionRecord]] = {}
    for row in connection.execute(versions):
        key = VersionKey(row.model, row.version, row.digest or "")
        records.setdefault(row.model, {})[row.version] = VersionRecord(
            key, row.storage or "", row.stage
        )
    opened = _open_switches(connection)
    return {
        row.model: ModelState(
            model=row.model,
            epoch=row.committed_epoch,
            committed=decode_route(row.committed),
            records=records.get(row.model, {}),
            switch=opened.get(row.model),
        )
        for row in connection.execute(routes)
    }


def _open_switches(connection: Connection) -> dict[str, OpenSwitch]:
    rows = connection.execute(select(switch).where(switch.c.state == "PREPARING")).all()
    if not rows:
        return {}
    reports = connection.execute(
        select(prepared.c.switch, prepared.c.worker).where(
            prepared.c.switch.in_([row.seq for row in rows])
        )
    ).all()
    return {
        row.model: OpenSwitch(
            seq=row.seq,
            epoch=row.epoch,
            route=decode_route(row.route),
            prepared=frozenset(r.worker for r in reports if r.switch == row.seq),
            deadline_ms=row.deadline_at,
        )
        for row in rows
    }


def _route_row(row: Row[Any]) -> RouteRow:
    return RouteRow(
        model=row.model,
        epoch=row.committed_epoch,
        committed=decode_route(row.committed),
        desired=decode_route(row.desired),
    )
