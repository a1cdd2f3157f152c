"""Removing for good what was marked deleted: functions on a connection, for ``registry.garbage``.

What belongs to a row is found by the foreign keys that lead to it, so that a table that is added
later is not forgotten. Whoever calls decides what may go; nothing here asks.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, Table, case, delete, func, or_, select

from tracking.chunks import chunks
from tracking.schema import experiments, logged_model_metrics, logged_models, metadata, runs
from tracking.sql_experiments import find_number


class Deleted(Struct, frozen=True):
    """Something that is marked deleted.

    Args:
        id: A run's, a logged model's, or an experiment's as text.
        location: Where its artifacts are.
        at: When it was deleted, or else the last that is known of it, in milliseconds.
    """

    id: str
    location: str
    at: int


Ids = Sequence[str] | None
"""Which to look among; all when it is ``None``."""


def deleted_runs(
    connection: Connection, ids: Ids = None, *, experiment_ids: Ids = None
) -> list[Deleted]:
    """Return the runs that are marked deleted."""
    at = func.coalesce(runs.c.deleted_at, runs.c.end_time, runs.c.start_time)
    query: Select[Any] = select(runs.c.run_id, runs.c.artifact_uri, at).where(runs.c.is_deleted)
    query = _within(query, runs.c.experiment_id, experiment_ids)
    return _read(connection, query, runs.c.run_id, ids)


def deleted_models(
    connection: Connection, ids: Ids = None, *, experiment_ids: Ids = None
) -> list[Deleted]:
    """Return the logged models that are marked deleted, or whose experiment is."""
    table = logged_models.c
    at = case((table.is_deleted, table.last_update_time), else_=experiments.c.last_update_time)
    query: Select[Any] = select(table.model_id, table.artifact_uri, at).join(
        experiments, experiments.c.experiment_id == table.experiment_id
    )
    query = query.where(or_(table.is_deleted, experiments.c.is_deleted))
    query = _within(query, table.experiment_id, experiment_ids)
    return _read(connection, query, table.model_id, ids)


def deleted_experiments(connection: Connection, ids: Ids = None) -> list[Deleted]:
    """Return the experiments that are marked deleted."""
    table = experiments.c
    query: Select[Any] = select(
        table.experiment_id, table.artifact_location, table.last_update_time
    )
    query = _within(query.where(table.is_deleted), table.experiment_id, ids)
    return _read(connection, query, table.experiment_id, None)


def makers_of_living(connection: Connection, run_ids: Sequence[str]) -> dict[str, str]:
    """Return which of these runs made, or measured, a logged model that is not deleted."""
    is_living = ~logged_models.c.is_deleted & ~experiments.c.is_deleted
    living = select(logged_models.c.model_id).join(
        experiments, experiments.c.experiment_id == logged_models.c.experiment_id
    )
    made = living.add_columns(logged_models.c.source_run_id).where(
        is_living, logged_models.c.source_run_id.in_(run_ids)
    )
    points = logged_model_metrics.c
    measured = (
        living.add_columns(points.run_id)
        .join(logged_model_metrics, points.model_id == logged_models.c.model_id)
        .where(is_living, points.run_id.in_(run_ids))
    )
    queries: list[Select[Any]] = [made, measured]
    return {row[1]: row[0] for query in queries for row in connection.execute(query)}


def contents(connection: Connection, experiment_id: str) -> frozenset[str]:
    """Return the ids of all runs and logged models of an experiment, deleted or not."""
    number = find_number(experiment_id)
    of_runs = select(runs.c.run_id).where(runs.c.experiment_id == number)
    of_models = select(logged_models.c.model_id).where(logged_models.c.experiment_id == number)
    return frozenset(
        found for query in (of_runs, of_models) for found in connection.execute(query).scalars()
    )


def known_ids(connection: Connection, ids: Sequence[str]) -> frozenset[str]:
    """Return which of these are the ids of runs or logged models, deleted or not."""
    found: set[str] = set()
    for part in chunks(ids):
        for column in (runs.c.run_id, logged_models.c.model_id):
            found.update(connection.execute(select(column).where(column.in_(part))).scalars())
    return frozenset(found)


def artifact_roots(connection: Connection) -> list[str]:
    """Return the artifact locations of all experiments."""
    return list(connection.execute(select(experiments.c.artifact_location)).scalars())


def purge_runs(connection: Connection, run_ids: Sequence[str]) -> None:
    """Remove runs with all that they logged."""
    _purge(connection, runs, runs.c.run_id.in_(run_ids))


def purge_models(connection: Connection, model_ids: Sequence[str]) -> None:
    """Remove logged models with all that belongs to them."""
    _purge(connection, logged_models, logged_models.c.model_id.in_(model_ids))


def purge_experiment(connection: Connection, experiment_id: str) -> None:
    """Remove an experiment that is empty."""
    _purge(connection, experiments, experiments.c.experiment_id == find_number(experiment_id))


def _purge(connection: Connection, table: Table, which: ColumnElement[bool]) -> None:
    """Remove rows of a table, and before them the rows of other tables that refer to them."""
    for child, column, parent_column in _references(table):
        if child not in (runs, logged_models):
            _purge(connection, child, column.in_(select(parent_column).where(which)))
    connection.execute(delete(table).where(which))


def _references(
    parent: Table,
) -> Iterator[tuple[Table, ColumnElement[Any], ColumnElement[Any]]]:
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            if key.column.table is parent:
                yield table, key.parent, key.column


def _within(query: Select[Any], column: ColumnElement[Any], ids: Ids) -> Select[Any]:
    if ids is None:
        return query
    return query.where(column.in_([n for n in map(find_number, ids) if n is not None]))


def _read(
    connection: Connection,
    query: Select[Any],
    key: ColumnElement[Any],
    ids: Ids,
) -> list[Deleted]:
    queries = [query] if ids is None else [query.where(key.in_(part)) for part in chunks(ids)]
    return [
        Deleted(id=str(row[0]), location=row[1], at=row[2])
        for one in queries
        for row in connection.execute(one.order_by(key))
    ]
