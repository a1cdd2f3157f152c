"""What a run logs, in SQL: points of metrics, params, tags.

Functions on a connection, inside the transaction of whoever calls: ``tracking.sql_store``.
"""

from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Insert, delete, text, tuple_

from tracking.errors import ResourceMissing
from tracking.limits import (
    check_batch,
    check_int64,
    check_key,
    check_metric_value,
    check_text,
    check_time,
    cut_param,
    cut_tag,
)
from tracking.schema import latest_metrics, logged_model_metrics, metrics, params, tags
from tracking.sql_insert import insert_by, insert_new
from tracking.sql_logged_models import row_of as model_row_of
from tracking.sql_runs import NAME_TAG, rename, require_active
from tracking.sql_texts import add_texts, put_texts
from tracking.wire import LogBatch, Metric

# Of more points than a client may log at once the statement's own overhead counts: twice as fast on
# SQLite by the driver's own statement, and several times on PostgreSQL by columns.
_POINTS_ONE_BY_ONE = 1_000
_ADD_ROWS = (
    "INSERT INTO metrics (run_id, key, timestamp, step, value, is_nan)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_ADD_COLUMNS = text(
    "INSERT INTO metrics (run_id, key, timestamp, step, value, is_nan)"
    " SELECT * FROM unnest(CAST(:run_id AS text[]), CAST(:key AS text[]),"
    " CAST(:timestamp AS bigint[]), CAST(:step AS bigint[]), CAST(:value AS double precision[]),"
    " CAST(:is_nan AS boolean[])) ON CONFLICT DO NOTHING"
).execution_options(preserve_rowcount=True)

# A run logs the same few keys all the time.
_checked_key = lru_cache(maxsize=4_096)(check_key)


def log(connection: Connection, batch: LogBatch) -> None:
    """Write metrics, params and tags of one active run.

    Raises:
        InvalidRequest: Something in the batch is not allowed, or the run is deleted.
        ResourceMissing: There is no such run.
    """
    check_batch(batch)
    points = [check_point(batch.run_id, metric) for metric in batch.metrics]
    new_params = {check_key(param.key): cut_param(param.value) for param in batch.params}
    new_tags = {check_key(tag.key): cut_tag(tag.value) for tag in batch.tags}
    require_active(connection, batch.run_id)
    add_texts(connection, params, batch.run_id, new_params)
    put_texts(connection, tags, batch.run_id, new_tags)
    if new_tags.get(NAME_TAG):
        rename(connection, batch.run_id, new_tags[NAME_TAG])
    put_points(connection, points)
    _put_model_points(connection, batch.metrics, points)


def delete_tag(connection: Connection, run_id: str, key: str) -> None:
    """Remove one tag of an active run.

    Raises:
        InvalidRequest: The run is deleted.
        ResourceMissing: There is no such run, or it has no such tag.
    """
    require_active(connection, run_id)
    entry = delete(tags).where(tags.c.run_id == run_id, tags.c.key == key)
    if connection.execute(entry).rowcount == 0:
        raise ResourceMissing(f"No tag with name: {key!r} in run with id {run_id}.")


def check_point(run_id: str, metric: Metric) -> dict[str, Any]:
    """Return the row of a point, its columns in the order of ``_ADD_ROWS``.

    Raises:
        InvalidRequest: Something of it is not allowed.
    """
    value = check_metric_value(metric.value)
    is_nan = value != value  # noqa: PLR0124 - true of NaN alone
    return {
        "run_id": run_id,
        "key": _checked_key(metric.key),
        "timestamp": check_time(metric.timestamp, "timestamp"),
        "step": check_int64(metric.step or 0, "step"),
        "value": 0.0 if is_nan else value + 0.0,  # + 0.0 makes -0.0 the same point
        "is_nan": is_nan,
    }


def put_points(connection: Connection, points: list[dict[str, Any]]) -> int:
    """Write points of runs that are there already, and return how many are new."""
    if not points:
        return 0
    dialect = connection.dialect.name
    added = _add_points(connection, points)
    if added == 0:
        return 0
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for point in points:
        of = (point["run_id"], point["key"])
        best = latest.setdefault(of, point)
        latest[of] = max(best, point, key=_recency)
    connection.execute(_keep_latest(dialect), list(latest.values()))
    return added


def _put_model_points(
    connection: Connection, logged: list[Metric], points: list[dict[str, Any]]
) -> None:
    """Write the points that name a logged model to that model too."""
    entries = [
        {
            **point,
            "model_id": metric.model_id,
            "dataset_name": check_text(metric.dataset_name or "", "dataset_name"),
            "dataset_digest": check_text(metric.dataset_digest or "", "dataset_digest"),
        }
        for metric, point in zip(logged, points, strict=True)
        if metric.model_id
    ]
    for model_id in {entry["model_id"] for entry in entries}:
        model_row_of(connection, model_id)
    if entries:
        connection.execute(insert_new(connection.dialect.name, logged_model_metrics), entries)


def _recency(point: dict[str, Any]) -> tuple[int, int, float]:
    return point["step"], point["timestamp"], point["value"]


def _add_points(connection: Connection, points: list[dict[str, Any]]) -> int:
    """Add the points that are new, and return how many are."""
    dialect = connection.dialect.name
    if len(points) <= _POINTS_ONE_BY_ONE:
        return connection.execute(_add_each(dialect), points).rowcount
    if dialect == "postgresql":
        columns = {name: [point[name] for point in points] for name in points[0]}
        return connection.execute(_ADD_COLUMNS, columns).rowcount
    rows = [tuple(point.values()) for point in points]
    return connection.exec_driver_sql(_ADD_ROWS, rows).rowcount


@cache
def _add_each(dialect: str) -> Insert:
    return insert_new(dialect, metrics).execution_options(preserve_rowcount=True)


@cache
def _keep_latest(dialect: str) -> Insert:
    """Return the insert that replaces the latest point of a key by an equal or later one."""
    statement = insert_by(dialect, latest_metrics)
    new, old = statement.excluded, latest_metrics.c
    return statement.on_conflict_do_update(
        index_elements=[old.run_id, old.key],
        set_={name: new[name] for name in ("timestamp", "step", "value", "is_nan")},
        where=tuple_(new.step, new.timestamp, new.value)
        >= tuple_(old.step, old.timestamp, old.value),
    )
