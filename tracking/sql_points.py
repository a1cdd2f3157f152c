"""The one way by which points of metrics are written: with the latest of each key, and buckets.

A function on a connection, inside the transaction of whoever calls: ``tracking.sql_logging``.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Insert, Select, bindparam, func, select
from sqlalchemy.sql.dml import ReturningInsert

from tracking.buckets import Point
from tracking.schema import latest_metrics, metrics
from tracking.sql_buckets import LONG, Curve, decode_tail, encode, file_curve, file_points
from tracking.sql_insert import insert_by, insert_many, insert_new
from tracking.sql_lists import is_among, listed
from tracking.sql_reading import fetch

_KNOWN = tuple(
    latest_metrics.c[name]
    for name in ("key", "step", "timestamp", "value", "is_nan", "points", "tail")
)


class _Known(Struct, frozen=True):
    """What was known of a key before: its latest point, and how many there are."""

    latest: Point
    points: int
    tail: bytes | None = None


_NOTHING = _Known((-(2**63), -1, 0.0, False), 0)


def put_points(connection: Connection, run_id: str, points: Mapping[str, Sequence[Point]]) -> int:
    """Write points of one run, and return how many are new; the others are passed over.

    Args:
        connection: In a write transaction.
        run_id: The run, which is there.
        points: By key; the value of a NaN is 0.
    """
    asked = {key: list(dict.fromkeys(of_key)) for key, of_key in points.items() if of_key}
    known = _known_of(connection, run_id, asked) if asked else {}
    long = {key for key, before in known.items() if before.points >= LONG}
    new = _insert_short(connection, run_id, known, _without(asked, long))
    for key in long:
        new[key] = _insert(connection, run_id, {key: asked[key]})
    changed: list[tuple[Any, ...]] = []
    for key, of_key in asked.items():
        before = known.get(key, _NOTHING)
        number, tail = before.points + new[key], before.tail
        if number >= LONG and new[key]:
            tail = _file(connection, Curve(run_id, key), tail, of_key, new=new[key])
        step, timestamp, value, is_nan = max(*of_key, before.latest, key=_recency)
        changed.append((run_id, key, timestamp, step, value, is_nan, number, tail))
    if changed:
        insert_many(connection, _put_latest(connection.dialect.name), changed)
    return sum(new.values())


def count_new(connection: Connection, run_id: str, points: Mapping[str, Sequence[Point]]) -> int:
    """Return how many points of one run, by key, would be new; the run need not be there."""
    asked = {(key, *point) for key, of_key in points.items() for point in of_key}
    steps = [step for _, step, *_ in asked] or [0]
    bound = {"run_id": run_id, "lowest": min(steps), "highest": max(steps)}
    rows = connection.execute(
        _find_points(connection.dialect.name), bound | listed(connection, list(points))
    )
    return len(asked.difference(map(tuple, rows)))


def _known_of(
    connection: Connection, run_id: str, points: dict[str, list[Point]]
) -> dict[str, _Known]:
    """Return what is known of keys.

    PostgreSQL is asked by a write that changes nothing: what a transaction has read, none beside it
    may write, and it means whole pages by it, on which the keys of other runs lie.
    """
    dialect = connection.dialect.name
    if dialect == "sqlite":
        bound = {"run_id": run_id, **listed(connection, list(points))}
        rows = fetch(connection, _find_known(dialect), bound)
    else:
        new = [_first_row(run_id, key, of_key) for key, of_key in points.items()]
        rows = connection.execute(_touch(dialect), new).all()
    return {
        key: _Known((step, timestamp, value, bool(is_nan)), number, tail)
        for key, step, timestamp, value, is_nan, number, tail in rows
    }


def _first_row(run_id: str, key: str, points: list[Point]) -> dict[str, Any]:
    step, timestamp, value, is_nan = max(points, key=_recency)
    return {
        "run_id": run_id,
        "key": key,
        "timestamp": timestamp,
        "step": step,
        "value": value,
        "is_nan": is_nan,
        "points": 0,
        "tail": None,
    }


def _without(points: dict[str, list[Point]], keys: set[str]) -> dict[str, list[Point]]:
    return {key: of_key for key, of_key in points.items() if key not in keys} if keys else points


def _insert_short(
    connection: Connection,
    run_id: str,
    known: dict[str, _Known],
    points: dict[str, list[Point]],
) -> dict[str, int]:
    """Write points of keys that have few, at one go, and return how many were new of each key."""
    new = {key: len(of_key) for key, of_key in points.items()}
    if not points or _insert(connection, run_id, points) == sum(new.values()):
        return new
    statement = _count_points(connection.dialect.name)
    bound = {"run_id": run_id, **listed(connection, list(new))}
    counted = {row[0]: row[1] for row in connection.execute(statement, bound)}
    return {key: counted[key] - known.get(key, _NOTHING).points for key in new}


def _insert(connection: Connection, run_id: str, points: dict[str, list[Point]]) -> int:
    rows = [
        (run_id, key, timestamp, step, value, is_nan)
        for key, of_key in points.items()
        for step, timestamp, value, is_nan in of_key
    ]
    return insert_many(connection, insert_new(connection.dialect.name, metrics), rows)


def _file(
    connection: Connection, curve: Curve, tail: bytes | None, points: Sequence[Point], *, new: int
) -> bytes:
    """File points of a long curve, or all of one that gets long, and return its tail."""
    if tail is None:
        return encode(file_curve(connection, curve))
    return encode(file_points(connection, curve, decode_tail(tail), points, new=new))


def _recency(point: Point) -> tuple[int, int, float]:
    return point[:3]


@cache
def _find_known(dialect: str) -> Select[Any]:
    table = latest_metrics.c
    return select(*_KNOWN).where(table.run_id == bindparam("run_id"), is_among(dialect, table.key))


@cache
def _find_points(dialect: str) -> Select[Any]:
    table = metrics.c
    return select(table.key, table.step, table.timestamp, table.value, table.is_nan).where(
        table.run_id == bindparam("run_id"),
        is_among(dialect, table.key),
        table.step.between(bindparam("lowest"), bindparam("highest")),
    )


@cache
def _touch(dialect: str) -> ReturningInsert[Any]:
    statement = insert_by(dialect, latest_metrics)
    old = latest_metrics.c
    return statement.on_conflict_do_update(
        index_elements=[old.run_id, old.key], set_={"points": old.points}
    ).returning(*_KNOWN)


@cache
def _count_points(dialect: str) -> Select[Any]:
    table = metrics.c
    return (
        select(table.key, func.count())
        .where(table.run_id == bindparam("run_id"), is_among(dialect, table.key))
        .group_by(table.key)
    )


@cache
def _put_latest(dialect: str) -> Insert:
    statement = insert_by(dialect, latest_metrics)
    changing = ("timestamp", "step", "value", "is_nan", "points", "tail")
    return statement.on_conflict_do_update(
        index_elements=[latest_metrics.c.run_id, latest_metrics.c.key],
        set_={name: statement.excluded[name] for name in changing},
    )
