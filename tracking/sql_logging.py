"""What a run logs, in SQL: points of metrics, params, tags.

Functions on a connection, inside the transaction of whoever calls: ``tracking.sql_store``.
"""

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, delete

from tracking.buckets import Point
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
    require,
)
from tracking.schema import logged_model_metrics, params, tags
from tracking.sql_insert import insert_new
from tracking.sql_logged_models import row_of as model_row_of
from tracking.sql_points import put_points
from tracking.sql_runs import NAME_TAG, rename, require_active
from tracking.sql_texts import add_texts, put_texts
from tracking.wire import LogBatch, Metric

_MAX, _INT64 = sys.float_info.max, 2**63
# A run logs the same few keys all the time.
_checked_key = lru_cache(maxsize=4_096)(check_key)


def log(connection: Connection, batch: LogBatch) -> None:
    """Write metrics, params and tags of one active run.

    Raises:
        InvalidRequest: Something in the batch is not allowed, or the run is deleted.
        ResourceMissing: There is no such run.
    """
    check_batch(batch)
    points = [check_point(metric) for metric in batch.metrics]
    new_params = {check_key(param.key): cut_param(param.value) for param in batch.params}
    new_tags = {check_key(tag.key): cut_tag(tag.value) for tag in batch.tags}
    if not new_tags.get(NAME_TAG, "a name"):
        del new_tags[NAME_TAG]  # a run is never without a name, and the tag says which
    require_active(connection, batch.run_id)
    add_texts(connection, params, batch.run_id, new_params)
    put_texts(connection, tags, batch.run_id, new_tags)
    if NAME_TAG in new_tags:
        rename(connection, batch.run_id, new_tags[NAME_TAG])
    if points:
        put_points(connection, batch.run_id, by_key(points))
        _put_model_points(connection, batch, points)


def delete_tag(connection: Connection, run_id: str, key: str) -> None:
    """Remove one tag of an active run.

    Raises:
        InvalidRequest: The run is deleted.
        ResourceMissing: There is no such run, or it has no such tag.
    """
    require_active(connection, run_id)
    entry = delete(tags).where(tags.c.run_id == run_id, tags.c.key == require(key, "key"))
    if connection.execute(entry).rowcount == 0:
        raise ResourceMissing(f"No tag with name: {key!r} in run with id {run_id}.")


def check_point(metric: Metric) -> tuple[str, Point]:
    """Return the key and the point that a metric stands for.

    Raises:
        InvalidRequest: Something of it is not allowed.
    """
    key = _checked_key(metric.key)
    number, time, step = metric.value, metric.timestamp, metric.step or 0
    # As almost all are; what follows takes three times as long.
    if type(number) is float and type(time) is type(step) is int and -_MAX <= number <= _MAX:  # noqa: SIM102
        if 0 <= time < _INT64 and -_INT64 <= step < _INT64:
            return key, (step, time, number + 0.0, False)  # + 0.0 makes -0.0 the same point
    value = check_metric_value(number)
    is_nan = value != value  # noqa: PLR0124 - true of NaN alone
    return key, (
        check_int64(step, "step"),
        check_time(time, "timestamp"),
        0.0 if is_nan else value + 0.0,
        is_nan,
    )


def by_key(points: Iterable[tuple[str, Point]]) -> dict[str, list[Point]]:
    """Return points as ``put_points`` takes them."""
    grouped: dict[str, list[Point]] = {}
    for key, point in points:
        grouped.setdefault(key, []).append(point)
    return grouped


def _put_model_points(
    connection: Connection, batch: LogBatch, points: list[tuple[str, Point]]
) -> None:
    """Write the points that name a logged model to that model too."""
    entries: list[dict[str, Any]] = [
        {
            "run_id": batch.run_id,
            "key": key,
            **dict(zip(("step", "timestamp", "value", "is_nan"), point, strict=True)),
            "model_id": metric.model_id,
            "dataset_name": check_text(metric.dataset_name or "", "dataset_name"),
            "dataset_digest": check_text(metric.dataset_digest or "", "dataset_digest"),
        }
        for metric, (key, point) in zip(batch.metrics, points, strict=True)
        if metric.model_id
    ]
    for model_id in {entry["model_id"] for entry in entries}:
        model_row_of(connection, model_id)
    if entries:
        connection.execute(insert_new(connection.dialect.name, logged_model_metrics), entries)
