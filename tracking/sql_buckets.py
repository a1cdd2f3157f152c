"""The buckets of long curves, in SQL: filed by the writer of the points, in its transaction.

A curve has buckets from ``LONG`` points on. Those of level 0 hold ``_OF_LEVEL_0`` points each, in
the order in which they came; the last one is open. ``_FACTOR`` full buckets of a level are one of
the next, made when the last of them is full. So a point costs one bucket, whatever its step, and a
level may end before the curve does: what is missing lies in the levels below.

Called by ``tracking.sql_points``, ``sql_samples`` and the history of the schema.
"""

from collections.abc import Sequence
from functools import cache

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
)

from tracking.buckets import Bucket, Point, gather, merge
from tracking.schema import metric_buckets, metrics
from tracking.sql_insert import insert_by

LONG = 4_096
"""Curves with fewer points have no buckets: reading the points is as fast."""

_OF_LEVEL_0 = 16
_FACTOR = 4
_AT_ONCE = 1_000 * _OF_LEVEL_0
_STREAMED = {"stream_results": True}

_decode = msgspec.msgpack.Decoder(Bucket).decode
_encode = msgspec.msgpack.Encoder().encode
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


class _Extent(Struct, frozen=True):
    """How many buckets of level 0 a curve has: those that are full, and all."""

    full: int
    every: int

    def at(self, level: int) -> int:
        """Return how many a level has."""
        return self.full // _FACTOR**level if level else self.every

    def rest_of(self, level: int) -> _Span:
        """Return those of a level that are in no bucket of the next yet."""
        return _Span(self.full // _FACTOR ** (level + 1) * _FACTOR, self.at(level))


_OF_CURVE = (_C.run_id == bindparam("run_id"), _C.key == bindparam("key"))
_OF_LEVEL = (*_OF_CURVE, _C.level == bindparam("level", type_=Integer))
_LAST = (
    select(_C.number, _C.content)
    .where(*_OF_CURVE, _C.level == 0)
    .order_by(_C.number.desc())
    .limit(1)
)
_SOME = (
    select(_C.content)
    .where(*_OF_LEVEL, _C.number >= bindparam("start"), _C.number < bindparam("end"))
    .order_by(_C.number)
)
_WITHIN = _SOME.where(_C.last_step >= bindparam("first"), _C.first_step <= bindparam("last"))
_COUNT_WITHIN = _WITHIN.order_by(None).with_only_columns(
    func.count(), func.min(_C.number), func.max(_C.number)
)
_POINTS = (
    select(metrics.c.step, metrics.c.timestamp, metrics.c.value, metrics.c.is_nan)
    .where(metrics.c.run_id == bindparam("run_id"), metrics.c.key == bindparam("key"))
    .order_by(metrics.c.timestamp, metrics.c.step, metrics.c.value)
)


def file_points(connection: Connection, curve: Curve, points: Sequence[Point], *, new: int) -> None:
    """Add points to the buckets of a curve.

    Args:
        connection: In the transaction that wrote the points.
        curve: Theirs.
        points: Those that were asked to be written.
        new: How many of them were not there before, at least one. Which ones they are changes
            nothing: what a bucket keeps is the same if it gets a point twice.
    """
    found = connection.execute(_LAST, msgspec.structs.asdict(curve)).first()
    number, last = (found[0], _decode(found[1])) if found else (-1, None)
    filed = _filled(points, new, number, last)
    _put(connection, curve, 0, filed)
    full = [place for place, bucket in filed if bucket.count >= _OF_LEVEL_0]
    _raise_level(connection, curve, 1, full)


def file_curve(connection: Connection, curve: Curve) -> None:
    """Make all buckets of a curve anew from its points, in the order of their time."""
    of_curve = [_C.run_id == curve.run_id, _C.key == curve.key]
    connection.execute(delete(metric_buckets).where(*of_curve))
    rows = connection.execute(_POINTS, msgspec.structs.asdict(curve), execution_options=_STREAMED)
    for chunk in rows.partitions(_AT_ONCE):
        points = [(step, time, value, bool(is_nan)) for step, time, value, is_nan in chunk]
        file_points(connection, curve, points, new=len(points))


def buckets_within(
    connection: Connection, curve: Curve, steps: Steps, *, wanted: int
) -> tuple[list[Bucket], bool]:
    """Return the buckets that have points within steps, of the highest level with so many of them.

    Where a level has few, only what those consist of is looked at below. The points that came last
    are in no bucket of a high level yet: they are told by lower ones.

    Returns:
        The buckets, and whether there are enough. Of level 0 half as many are: reading the points
        takes longer than what they add is worth.
    """
    extent = _extent_of(connection, curve)
    level = 0
    while extent.at(level + 1) >= wanted:
        level += 1
    spans = [_Span(0, extent.at(level))]
    while True:
        found = [_count_within(connection, curve, steps, level, span) for span in spans]
        number = sum(count for count, _ in found)
        if level == 0 or number >= wanted:
            break
        spans = [_Span(_FACTOR * hit.start, _FACTOR * hit.end) for count, hit in found if count]
        level -= 1
        spans.append(extent.rest_of(level))
    spans = [hit for count, hit in found if count]
    buckets = _read(connection, curve, steps, level, spans)
    for lower in range(level):
        buckets += _read(connection, curve, steps, lower, [extent.rest_of(lower)])
    return buckets, number >= (wanted if level else (wanted + 1) // 2)


def _extent_of(connection: Connection, curve: Curve) -> _Extent:
    found = connection.execute(_LAST, msgspec.structs.asdict(curve)).first()
    if found is None:
        return _Extent(0, 0)
    is_full = _decode(found[1]).count >= _OF_LEVEL_0
    return _Extent(found[0] + is_full, found[0] + 1)


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


def _filled(
    points: Sequence[Point], new: int, number: int, last: Bucket | None
) -> list[tuple[int, Bucket]]:
    """Return the buckets that change, with their numbers; the last one may be open."""
    filed: list[tuple[int, Bucket]] = []
    start = 0
    while start < new:
        if last is None or last.count >= _OF_LEVEL_0:
            number, last = number + 1, None
        end = min(new, start + _OF_LEVEL_0 - (last.count if last else 0))
        told = points[start : end if end < new else None]
        bucket = gather(told, count=end - start)
        last = merge([last, bucket]) if last else bucket
        filed.append((number, last))
        start = end
    return filed


def _raise_level(connection: Connection, curve: Curve, level: int, full: Sequence[int]) -> None:
    """Make the buckets of a level whose last part, of the level below, is among the full ones."""
    made = [number // _FACTOR for number in full if number % _FACTOR == _FACTOR - 1]
    if not made:
        return
    part = {"level": level - 1, "start": made[0] * _FACTOR, "end": (made[-1] + 1) * _FACTOR}
    rows = connection.execute(_SOME, msgspec.structs.asdict(curve) | part).all()
    below = [_decode(row[0]) for row in rows]
    groups = [below[at : at + _FACTOR] for at in range(0, len(below), _FACTOR)]
    _put(connection, curve, level, list(zip(made, map(merge, groups), strict=True)))
    _raise_level(connection, curve, level + 1, made)


def _put(
    connection: Connection, curve: Curve, level: int, buckets: Sequence[tuple[int, Bucket]]
) -> None:
    rows = [
        {
            "run_id": curve.run_id,
            "key": curve.key,
            "level": level,
            "number": number,
            "first_step": bucket.first[0],
            "last_step": bucket.last[0],
            "content": _encode(bucket),
        }
        for number, bucket in buckets
    ]
    connection.execute(_put_statement(connection.dialect.name), rows)


@cache
def _put_statement(dialect: str) -> Insert:
    statement = insert_by(dialect, metric_buckets)
    changing = ("first_step", "last_step", "content")
    return statement.on_conflict_do_update(
        index_elements=[_C.run_id, _C.key, _C.level, _C.number],
        set_={name: statement.excluded[name] for name in changing},
    )
