"""What runs logged, read and made, from SQL: for the rows of many runs at once.

Called by ``tracking.sql_runs`` and ``sql_run_search``, inside their snapshot or transaction. Each
statement is built once, and gives the rows of a table in the order in which they lie there.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, Table, select

from tracking.schema import latest_metrics, params, tags
from tracking.sql_inputs import find_linked, read_inputs, read_outputs
from tracking.sql_lists import is_among, listed
from tracking.sql_reading import fetch
from tracking.wire import Metric, Param, Run, RunData, RunInfo, RunInputs, RunOutputs, Tag

T = TypeVar("T", Param, Tag)

_NOT_SHOWN = {"points", "tail"}
_NOTHING_READ, _NOTHING_MADE = RunInputs(), RunOutputs()


def to_runs(connection: Connection, rows: Sequence[Row[Any]]) -> list[Run]:
    """Return the runs of these rows, with what they logged, in order."""
    ids = [row[0] for row in rows]
    metrics_by_run = _latest(connection, ids)
    params_by_run = _texts(connection, params, ids, Param)
    tags_by_run = _texts(connection, tags, ids, Tag)
    linked = find_linked(connection, ids)
    read, made = read_inputs(connection, linked), read_outputs(connection, linked)
    return [
        Run(
            info=to_info(row),
            data=RunData(
                metrics=metrics_by_run[run_id],
                params=params_by_run[run_id],
                tags=tags_by_run[run_id],
            ),
            inputs=read.get(run_id, _NOTHING_READ),
            outputs=made.get(run_id, _NOTHING_MADE),
        )
        for run_id, row in zip(ids, rows, strict=True)
    ]


def to_info(row: Sequence[Any]) -> RunInfo:
    """Return what identifies the run of a row of the whole table."""
    run_id, experiment_id, name, user_id, status, start, end, uri, is_deleted, *_ = row
    return RunInfo(
        run_id=run_id,
        run_uuid=run_id,
        experiment_id=str(experiment_id),
        run_name=name,
        user_id=user_id,
        status=status,
        start_time=start,
        end_time=end,
        artifact_uri=uri,
        lifecycle_stage="deleted" if is_deleted else "active",
    )


def to_metric(row: Row[Any]) -> Metric:
    """Return the point of a row; NaN becomes text, because JSON has no token for it."""
    return Metric(
        key=row.key,
        value="NaN" if row.is_nan else row.value,
        timestamp=row.timestamp,
        step=row.step,
    )


def _latest(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[Metric]]:
    entries: dict[str, list[Metric]] = {run_id: [] for run_id in run_ids}
    statement = _of_runs(connection.dialect.name, latest_metrics)
    rows = fetch(connection, statement, listed(connection, run_ids))
    for run_id, key, timestamp, step, value, is_nan in rows:
        told = "NaN" if is_nan else value
        entries[run_id].append(Metric(key=key, value=told, timestamp=timestamp, step=step))
    return entries


def _texts(
    connection: Connection, table: Table, run_ids: Sequence[str], kind: type[T]
) -> dict[str, list[T]]:
    entries: dict[str, list[T]] = {run_id: [] for run_id in run_ids}
    statement = _of_runs(connection.dialect.name, table)
    for run_id, key, value in fetch(connection, statement, listed(connection, run_ids)):
        entries[run_id].append(kind(key=key, value=value))
    return entries


@cache
def _of_runs(dialect: str, table: Table) -> Select[Any]:
    shown = [column for column in table.c if column.name not in _NOT_SHOWN]
    return (
        select(*shown)
        .where(is_among(dialect, table.c.run_id))
        .order_by(table.c.run_id, table.c.key)
    )
