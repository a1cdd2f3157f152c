"""The buckets of long curves, in SQL: filed by the writer of the points, in its transaction.

A curve has buckets from ``LONG`` points on. Those of level 0 hold ``_OF_LEVEL_0`` points each, in
the order in which they came. ``_FACTOR`` full buckets of a level are one of the next, made when the
last of them is full. So it does not matter what steps points have, and a level may end before the
curve does: what is missing lies in the levels below, and in the tail, which is kept with the latest
point. PostgreSQL lets a write fail that read what another one wrote beside it: a write that fills
no bucket reads none.

Called by ``tracking.sql_points``, ``sql_samples`` and the history of the schema.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import (
    Connection,
    Insert,
    Integer,
    bindparam,
    delete,
    func,
    select,
    update,
)

from tracking.buckets import Bucket, Point, gather, merge
from tracking.schema import latest_metrics, metric_buckets, metrics
from tracking.sql_insert import insert_by, insert_many
from tracking.sql_reading import fetch

LONG = 4_096
"""Curves with fewer points have no buckets: reading the points is as fast."""

_OF_LEVEL_0 = 16
_FACTOR = 4
_AT_ONCE = 1_000 * _OF_LEVEL_0
_STREAMED = {"stream_results": True}

_decode = msgspec.msgpack.Decoder(Bucket).decode
_C = metric_buckets.c


class Curve(Struct, frozen=True):
    """One metric of one run. Immutable."""

    run_id: str
    key: str


class Steps(Struct, frozen=True):
    """The first and the last step that are looked at. Immutable."""

    first: int
    last: int


class _Span(Struct, frozen=True):
    """Numbers of buckets, from the first to before the end."""

    start: int
    end: int


class Tail(Struct, frozen=True, array_like=True):
    """The end of a curve. Immutable.

    Args:
        full: How many full buckets of level 0 lie before it.
        open: The bucket of the points that came last, if they do not fill one.
    """

    full: int
    open: Bucket | None

    def at(self, level: int) -> int:
        """Return how many full buckets a level has."""
        return self.full // int(_FACTOR**level)

    def rest_of(self, level: int) -> _Span:
        """Return those of a level that are in no bucket of the next yet."""
        return _Span(self.at(level + 1) * _FACTOR, self.at(level))


decode_tail = msgspec.msgpack.Decoder(Tail).decode
encode = msgspec.msgpack.Encoder().encode


_OF_CURVE = (_C.run_id == bindparam("run_id"), _C.key == bindparam("key"))
_OF_LEVEL = (*_OF_CURVE, _C.level == bindparam("level", type_=Integer))
_SOME = (
    select(_C.content)
    .where(*_OF_LEVEL, _C.number >= bindparam("start"), _C.number < bindparam("end"))
    .order_by(_C.number)
)
_WITHIN = _SOME.where(_C.last_step >= bindparam("first"), _C.first_step <= bindparam("last"))
_COUNT_WITHIN = _WITHIN.order_by(None).with_only_columns(
    func.count(), func.min(_C.number), func.max(_C.number)
)
_KEEP_TAIL = (
    update(latest_metrics)
    .where(latest_metrics.c.run_id == bindparam("of_run"))
    .where(latest_metrics.c.key == bindparam("of_key"))
    .values(tail=bindparam("kept"))
)
_POINTS = (
    select(metrics.c.step, metrics.c.timestamp, metrics.c.value, metrics.c.is_nan)
    .where(metrics.c.run_id == bindparam("run_id"), metrics.c.key == bindparam("key"))
    .order_by(metrics.c.timestamp, metrics.c.step, metrics.c.value)
)


def file_points(
    connection: Connection, curve: Curve, tail: Tail, points: Sequence[Point], *, new: int
) -> Tail:
    """Add points to the buckets of a curve, and return its tail, for the caller to keep.

    Args:
        connection: In the transaction that wrote the points.
        curve: Theirs.
        tail: The curve's until now.
        points: Those that were asked to be written.
        new: How many of them were not there before, at least one. Which ones they are changes
            nothing: what a bucket keeps is the same if it gets a point twice.
    """
    filed, tail = _filled(points, new, tail)
    if filed:
        _put(connection, curve, 0, filed)
        _raise_level(connection, curve, 1, [number for number, _ in filed])
    return tail


def file_curve(connection: Connection, curve: Curve) -> Tail:
    """Make all buckets of a curve anew from its points, in the order of their time."""
    of_curve = [_C.run_id == curve.run_id, _C.key == curve.key]
    connection.execute(delete(metric_buckets).where(*of_curve))
    bound = msgspec.structs.asdict(curve)
    rows = connection.execute(_POINTS, bound, execution_options=_STREAMED)
    tail = Tail(0, None)
    for chunk in rows.partitions(_AT_ONCE):
        points = [(step, time, value, bool(is_nan)) for step, time, value, is_nan in chunk]
        tail = file_points(connection, curve, tail, points, new=len(points))
    return tail


def file_anew(connection: Connection, curve: Curve) -> None:
    """Make the buckets of a curve anew and keep its tail: for points that came another way."""
    kept = encode(file_curve(connection, curve))
    connection.execute(_KEEP_TAIL, {"of_run": curve.run_id, "of_key": curve.key, "kept": kept})


def buckets_within(
    connection: Connection, curve: Curve, tail: Tail, steps: Steps, *, wanted: int
) -> tuple[list[Bucket], bool]:
    """Return the buckets that have points within steps, of the highest level with so many of them.

    Where a level has few, only what those consist of is looked at below. The points that came last
    are in no bucket of a high level yet: they are told by lower ones.

    Returns:
        The buckets, and whether there are enough. Of level 0 half as many are: reading the points
        takes longer than what they add is worth.
    """
    level = 0
    while tail.at(level + 1) >= wanted:
        level += 1
    spans = [_Span(0, tail.at(level))]
    while True:
        found = [_count_within(connection, curve, steps, level, span) for span in spans]
        number = sum(count for count, _ in found)
        if level == 0 or number >= wanted:
            break
        spans = [_Span(_FACTOR * hit.start, _FACTOR * hit.end) for count, hit in found if count]
        level -= 1
        spans.append(tail.rest_of(level))
    spans = [hit for count, hit in found if count]
    buckets = _read(connection, curve, steps, level, spans)
    for lower in range(level):
        buckets += _read(connection, curve, steps, lower, [tail.rest_of(lower)])
    if tail.open and tail.open.last[0] >= steps.first and tail.open.first[0] <= steps.last:
        buckets.append(tail.open)
    return buckets, number >= (wanted if level else (wanted + 1) // 2)


def _count_within(
    connection: Connection, curve: Curve, steps: Steps, level: int, span: _Span
) -> tuple[int, _Span]:
    bound = _bound(curve, steps, level, span)
    count, low, high = connection.execute(_COUNT_WITHIN, bound).one()
    return count, _Span(low, high + 1) if count else span


def _read(
    connection: Connection, curve: Curve, steps: Steps, level: int, spans: Sequence[_Span]
) -> list[Bucket]:
    return [
        _decode(row[0])
        for span in spans
        for row in connection.execute(_WITHIN, _bound(curve, steps, level, span)).all()
    ]


def _bound(curve: Curve, steps: Steps, level: int, span: _Span) -> dict[str, str | int]:
    return {
        "run_id": curve.run_id,
        "key": curve.key,
        "level": level,
        "first": steps.first,
        "last": steps.last,
        "start": span.start,
        "end": span.end,
    }


def _filled(points: Sequence[Point], new: int, tail: Tail) -> tuple[list[tuple[int, Bucket]], Tail]:
    """Return the buckets that get full, with their numbers, and what is left."""
    filed: list[tuple[int, Bucket]] = []
    start, full, last = 0, tail.full, tail.open
    while start < new:
        end = min(new, start + _OF_LEVEL_0 - (last.count if last else 0))
        told = points[start : end if end < new else None]
        bucket = gather(told, count=end - start)
        last = merge([last, bucket]) if last else bucket
        if last.count >= _OF_LEVEL_0:
            filed.append((full, last))
            full, last = full + 1, None
        start = end
    return filed, Tail(full, last)


def _raise_level(connection: Connection, curve: Curve, level: int, full: Sequence[int]) -> None:
    """Make the buckets of a level whose last part, of the level below, is among the full ones."""
    made = [number // _FACTOR for number in full if number % _FACTOR == _FACTOR - 1]
    if not made:
        return
    part = {"level": level - 1, "start": made[0] * _FACTOR, "end": (made[-1] + 1) * _FACTOR}
    below = [_decode(row[0]) for row in fetch(connection, _SOME, _bound_to(curve) | part)]
    groups = [below[at : at + _FACTOR] for at in range(0, len(below), _FACTOR)]
    _put(connection, curve, level, list(zip(made, map(merge, groups), strict=True)))
    _raise_level(connection, curve, level + 1, made)


def _put(
    connection: Connection, curve: Curve, level: int, buckets: Sequence[tuple[int, Bucket]]
) -> None:
    rows = [
        (curve.run_id, curve.key, level, number, bucket.first[0], bucket.last[0], encode(bucket))
        for number, bucket in buckets
    ]
    insert_many(connection, _put_statement(connection.dialect.name), rows)


def _bound_to(curve: Curve) -> dict[str, Any]:
    return {"run_id": curve.run_id, "key": curve.key}


@cache
def _put_statement(dialect: str) -> Insert:
    statement = insert_by(dialect, metric_buckets)
    changing = ("first_step", "last_step", "content")
    return statement.on_conflict_do_update(
        index_elements=[_C.run_id, _C.key, _C.level, _C.number],
        set_={name: statement.excluded[name] for name in changing},
    )
