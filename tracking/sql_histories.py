"""The points of metrics, from SQL: pages of one, those of many runs, few to draw a curve by.

Functions on a connection, inside the snapshot of whoever calls: ``tracking.sql_store``.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, FromClause, Row, Select, func, or_, select, tuple_

from tracking.limits import MOST_POINTS, check_max_results, check_run_ids
from tracking.page_tokens import place_of, token_for
from tracking.schema import metrics
from tracking.sql_run_contents import to_metric
from tracking.sql_runs import row_of
from tracking.wire import Metric, MetricPage

MOST_SAMPLED = 2_500

_PLACE = (metrics.c.timestamp, metrics.c.step, metrics.c.value, metrics.c.is_nan)
_ENDS = 2


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
    query = f"{run_id}/{key}".encode()
    statement = select(metrics).where(metrics.c.run_id == run_id, metrics.c.key == key)
    if page_token:
        statement = statement.where(tuple_(*_PLACE) > _after(page_token, query))
    rows = connection.execute(statement.order_by(*_PLACE).limit(size + 1)).all()
    token = token_for(_place(rows[size - 1]), query=query) if len(rows) > size else None
    return MetricPage(metrics=[to_metric(row) for row in rows[:size]], next_page_token=token)


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
        .where(metrics.c.run_id.in_(check_run_ids(run_ids)), metrics.c.key == key)
        .order_by(metrics.c.run_id, *_PLACE)
        .limit(size)
    )
    return [_to_owned_metric(row) for row in connection.execute(statement)]


def sample(
    connection: Connection,
    run_ids: Sequence[str],
    key: str,
    *,
    max_results: int,
    steps: tuple[int, int] | None,
) -> list[Metric]:
    """Return at most ``max_results`` points of a metric for each run, in the order of steps.

    A run with more has them cut into buckets of one size; the lowest and the highest of each bucket
    are kept, so that no spike is lost, and the first and the last of all.

    Args:
        connection: In a snapshot.
        run_ids: Those that are not there have no points.
        key: The metric.
        max_results: For each run; with less than 4 the ends only, with 1 the last point.
        steps: The first and the last step to look at, or all.

    Raises:
        InvalidRequest: The number of points or of runs is not allowed.
    """
    size = check_max_results(max_results, MOST_SAMPLED)
    return [
        _to_owned_metric(row)
        for run_id in check_run_ids(run_ids)
        for row in connection.execute(_sampled(_numbered(run_id, key, size, steps), size))
    ]


def _numbered(run_id: str, key: str, size: int, steps: tuple[int, int] | None) -> FromClause:
    """Return the points of one run with their place and bucket."""
    order = (metrics.c.step, metrics.c.timestamp, metrics.c.value, metrics.c.is_nan)
    bucket = func.ntile(max(1, (size - _ENDS) // 2)).over(order_by=order)
    statement = select(
        metrics,
        func.row_number().over(order_by=order).label("place"),
        func.count().over().label("total"),
        bucket.label("bucket"),
    ).where(metrics.c.run_id == run_id, metrics.c.key == key)
    if steps is not None:
        statement = statement.where(metrics.c.step.between(*steps))
    return statement.subquery()


def _sampled(numbered: FromClause, size: int) -> Select[Any]:
    """Return the points to keep; NaN is neither low nor high where there is a number."""
    points = numbered.c

    def rank(value: Any) -> Any:
        order = (points.is_nan, value, points.place)
        return func.row_number().over(partition_by=points.bucket, order_by=order)

    lowest, highest = rank(points.value), rank(points.value.desc())
    ranked = select(numbered, lowest.label("lowest"), highest.label("highest")).subquery()
    kept = [ranked.c.total <= size, ranked.c.place == ranked.c.total]
    if size >= _ENDS:
        kept.append(ranked.c.place == 1)
    if size >= 2 * _ENDS:
        kept += [ranked.c.lowest == 1, ranked.c.highest == 1]
    return select(ranked).where(or_(*kept)).order_by(ranked.c.place)


def _to_owned_metric(row: Row[Any]) -> Metric:
    """Return the point of a row with its run, which tells it from those of other runs."""
    return msgspec.structs.replace(to_metric(row), run_id=row.run_id)


def _place(row: Any) -> tuple[int, int, float, bool]:
    return row.timestamp, row.step, row.value, row.is_nan


def _after(token: str, query: bytes) -> Any:
    timestamp, step, value, is_nan = place_of(token, query=query)
    return tuple_(int(timestamp), int(step), float(value), bool(is_nan))
