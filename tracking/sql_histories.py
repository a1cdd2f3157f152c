"""The points of metrics, from SQL: pages of one, and those of many runs.

Functions on a connection, inside the snapshot of whoever calls: ``tracking.sql_store``.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select, tuple_

from tracking.limits import MOST_POINTS, check_max_results, check_run_ids, require
from tracking.page_tokens import place_of, token_for
from tracking.schema import metrics
from tracking.sql_run_contents import to_metric
from tracking.sql_runs import row_of
from tracking.wire import Metric, MetricPage

_PLACE = (metrics.c.timestamp, metrics.c.step, metrics.c.value, metrics.c.is_nan)


def history(
    connection: Connection, run_id: str, key: str, *, max_results: int, page_token: str | None
) -> MetricPage:
    """Return one page of the points of a metric, ordered by timestamp, step, value.

    Raises:
        InvalidRequest: The page size or token is not allowed.
        ResourceMissing: There is no such run.
    """
    size = check_max_results(max_results, MOST_POINTS)
    row_of(connection, run_id)
    query = f"{run_id}/{require(key, 'metric_key')}".encode()
    statement = select(*_PLACE).where(metrics.c.run_id == run_id, metrics.c.key == key)
    if page_token:
        statement = statement.where(tuple_(*_PLACE) > _after(page_token, query))
    rows = connection.execute(statement.order_by(*_PLACE).limit(size + 1)).all()
    token = token_for(list(rows[size - 1]), query=query) if len(rows) > size else None
    points = [
        Metric(key=key, value="NaN" if is_nan else value, timestamp=timestamp, step=step)
        for timestamp, step, value, is_nan in rows[:size]
    ]
    return MetricPage(metrics=points, next_page_token=token)


def bulk_history(
    connection: Connection, run_ids: Sequence[str], key: str, *, max_results: int
) -> list[Metric]:
    """Return the points of a metric in many runs, ordered by run, timestamp, step, value.

    Runs that are not there have no points.

    Raises:
        InvalidRequest: The page size, or the number of runs, is not allowed.
    """
    size = check_max_results(min(max_results, MOST_POINTS), MOST_POINTS)
    statement = (
        select(metrics)
        .where(
            metrics.c.run_id.in_(check_run_ids(run_ids)),
            metrics.c.key == require(key, "metric_key"),
        )
        .order_by(metrics.c.run_id, *_PLACE)
        .limit(size)
    )
    return [_to_owned_metric(row) for row in connection.execute(statement)]


def _to_owned_metric(row: Row[Any]) -> Metric:
    """Return the point of a row with its run, which tells it from those of other runs."""
    return msgspec.structs.replace(to_metric(row), run_id=row.run_id)


def _after(token: str, query: bytes) -> Any:
    timestamp, step, value, is_nan = place_of(token, query=query)
    return tuple_(int(timestamp), int(step), float(value), bool(is_nan))
