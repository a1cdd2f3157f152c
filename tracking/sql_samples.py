"""Few points to draw a curve by, from SQL: from its points, or from the buckets of a long one.

Functions on a connection, inside the snapshot of whoever calls: ``tracking.sql_store``.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    bindparam,
    func,
    or_,
    select,
)

from tracking.buckets import Bucket, Point, fill, gather, groups_within, thin
from tracking.limits import check_max_results, check_run_ids, require
from tracking.schema import latest_metrics, metrics
from tracking.sql_buckets import Curve, Steps, buckets_within, decode_tail
from tracking.sql_lists import is_among, listed
from tracking.wire import Metric

MOST_SAMPLED = 2_500

_MOST_CUT = 16
"""With more buckets than these that lie across an end of the steps, the points are read."""
_MOST_TWICE = 4
"""A point may lie in two buckets, in a cut one and in another: so often a few points may count."""
_ALL = Steps(-(2**63), 2**63 - 1)


_POINT = (metrics.c.step, metrics.c.timestamp, metrics.c.value, metrics.c.is_nan)


class _Times(Struct, frozen=True):
    """The first and the last timestamp that are looked at."""

    low: int
    high: int


_EVER = _Times(0, 2**63 - 1)


class _Asked(Struct, frozen=True):
    """What is asked for: a curve, steps of it, and how many points at the most."""

    curve: Curve
    steps: Steps
    most: int


def sample(
    connection: Connection,
    run_ids: Sequence[str],
    key: str,
    *,
    max_results: int,
    steps: tuple[int, int] | None,
) -> list[Metric]:
    """Return about ``max_results`` points of a metric for each run, in the order of steps.

    A run with more has them cut into groups of about one size; the lowest and the highest of each
    are kept, so that no spike is lost, and the first and the last of all; others fill up the rest.

    Args:
        connection: In a snapshot.
        run_ids: Those that are not there have no points.
        key: The metric.
        max_results: For each run; with 1 the last point, with 2 the ends, and with 3 up to 4, so
            that the lowest and the highest are among them.
        steps: The first and the last step to look at, or all.

    Raises:
        InvalidRequest: The number of points or of runs is not allowed.
    """
    size = check_max_results(max_results, MOST_SAMPLED)
    asked_steps = Steps(*steps) if steps else _ALL
    asked_runs = check_run_ids(run_ids)
    statement, bound = _count(connection.dialect.name), listed(connection, asked_runs)
    rows = connection.execute(statement, {"key": require(key, "metric_key"), **bound})
    ends = {run_id: (count, tail) for run_id, count, tail in rows}
    return [
        _to_metric(run_id, key, point)
        for run_id in asked_runs
        for point in _points(
            connection, _Asked(Curve(run_id, key), asked_steps, size), *ends.get(run_id, (0, None))
        )
    ]


def _points(connection: Connection, asked: _Asked, count: int, tail: bytes | None) -> list[Point]:
    """Return the points that draw a curve; the count is 0 where nobody has counted."""
    if 0 < count <= asked.most:
        return sorted(_read_all(connection, asked, _EVER))
    if tail is None:
        return _read(connection, asked, _EVER)
    wanted = groups_within(asked.most)
    end = decode_tail(tail)
    found, is_enough = buckets_within(connection, asked.curve, end, asked.steps, wanted=wanted)
    if not found:
        return []
    cut = [bucket for bucket in found if not _is_within(bucket, asked.steps)]
    if not is_enough or len(cut) > _MOST_CUT:
        return _read(connection, asked, _times_of(found))
    inside = [bucket for bucket in found if _is_within(bucket, asked.steps)]
    told = inside + _cut_out(connection, asked, cut)
    if sum(bucket.count for bucket in told) <= _MOST_TWICE * asked.most:
        return _read(connection, asked, _times_of(found))
    return thin(told, asked.most)


def _times_of(buckets: Sequence[Bucket]) -> _Times:
    return _Times(
        min(bucket.time_low for bucket in buckets), max(bucket.time_high for bucket in buckets)
    )


def _cut_out(connection: Connection, asked: _Asked, buckets: Sequence[Bucket]) -> list[Bucket]:
    """Return the points within the steps that lie where these buckets do, each as a bucket."""
    points = {
        point for bucket in buckets for point in _read_all(connection, asked, _times_of([bucket]))
    }
    return [gather([point], count=1) for point in points]


def _is_within(bucket: Bucket, steps: Steps) -> bool:
    return steps.first <= bucket.first[0] and bucket.last[0] <= steps.last


def _read_all(connection: Connection, asked: _Asked, times: _Times) -> list[Point]:
    statement = _located_points(is_one_moment=times.low == times.high)
    rows = connection.execute(statement, _bound(asked, times))
    return [(step, time, value, is_nan) for step, time, value, is_nan in rows]


def _read(connection: Connection, asked: _Asked, times: _Times) -> list[Point]:
    """Return the points that draw a curve, from all of its points within a time."""
    statement = _sampled(is_one_moment=times.low == times.high)
    bound = {"most": asked.most, "groups": groups_within(asked.most), **_bound(asked, times)}
    kept: set[Point] = set()
    others: list[Point] = []
    for step, time, value, is_nan, is_kept in connection.execute(statement, bound):
        (kept.add if is_kept else others.append)((step, time, value, is_nan))
    return fill(kept, others, asked.most)


def _bound(asked: _Asked, times: _Times) -> dict[str, Any]:
    bound = {
        **msgspec.structs.asdict(asked.curve),
        "first": asked.steps.first,
        "last": asked.steps.last,
        "low": times.low,
    }
    return bound if times.low == times.high else {**bound, "high": times.high}


def _to_metric(run_id: str, key: str, point: Point) -> Metric:
    """Return a point with its run, which tells it from those of other runs."""
    step, timestamp, value, is_nan = point
    told = "NaN" if is_nan else value
    return Metric(key=key, value=told, timestamp=timestamp, step=step, run_id=run_id)


@cache
def _count(dialect: str) -> Select[Any]:
    table = latest_metrics.c
    return select(table.run_id, table.points, table.tail).where(
        is_among(dialect, table.run_id), table.key == bindparam("key")
    )


def _located(*, is_one_moment: bool) -> list[ColumnElement[bool]]:
    """Return the conditions on the points of a curve within steps and a time.

    Those of one moment lie in the order of their steps; those of a longer time do not.
    """
    table = metrics.c
    low: BindParameter[int] = bindparam("low")
    in_time = table.timestamp.between(low, bindparam("high"))
    return [
        table.run_id == bindparam("run_id"),
        table.key == bindparam("key"),
        table.timestamp == low if is_one_moment else in_time,
        table.step.between(bindparam("first"), bindparam("last")),
    ]


@cache
def _located_points(*, is_one_moment: bool) -> Select[Any]:
    return select(*_POINT).where(*_located(is_one_moment=is_one_moment))


@cache
def _sampled(*, is_one_moment: bool) -> Select[Any]:
    """Return the points to keep, and others to fill up with: as many, in even places.

    NaN is neither low nor high where there is a number.
    """
    numbered = _numbered(is_one_moment=is_one_moment)
    points = numbered.c

    def rank(value: Any) -> Any:
        order = (points.is_nan, value, points.place)
        return func.row_number().over(partition_by=points.bucket, order_by=order)

    lowest, highest = rank(points.value), rank(points.value.desc())
    ranked = select(numbered, lowest.label("lowest"), highest.label("highest")).subquery().c
    most: BindParameter[int] = bindparam("most", type_=BigInteger)
    is_kept = or_(
        ranked.place == 1, ranked.place == ranked.total, ranked.lowest == 1, ranked.highest == 1
    )
    is_even = or_(ranked.total <= most, (ranked.place * most) % ranked.total < most)
    shown = (ranked.step, ranked.timestamp, ranked.value, ranked.is_nan, is_kept.label("is_kept"))
    return select(*shown).where(or_(is_kept, is_even))


def _numbered(*, is_one_moment: bool) -> FromClause:
    """Return the points of one curve with their place and bucket."""
    bucket = func.ntile(bindparam("groups", type_=Integer)).over(order_by=_POINT)
    numbered = select(
        *_POINT,
        func.row_number().over(order_by=_POINT).label("place"),
        func.count().over().label("total"),
        bucket.label("bucket"),
    )
    return numbered.where(*_located(is_one_moment=is_one_moment)).subquery()
