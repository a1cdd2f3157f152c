"""Points are counted once, and filed in levels of buckets that go with their run."""

from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import func, select

from tracking.database import Database, open_database
from tracking.schema import latest_metrics, metric_buckets, metrics
from tracking.sql_buckets import LONG, Curve, file_anew
from tracking.sql_purging import purge_runs
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateRun, LogBatch, Metric

BATCH = 1_000


@pytest.fixture
def database(sqlite_uri: str) -> Iterator[Database]:
    database = open_database(sqlite_uri)
    yield database
    database.close()


def log(store: SqlTrackingStore, run_id: str, key: str, steps: range) -> None:
    for start in range(0, len(steps), BATCH):
        points = [Metric(key=key, value=1.0, timestamp=s, step=s) for s in steps[start:][:BATCH]]
        store.log_batch(LogBatch(run_id=run_id, metrics=points))


def counted(database: Database, key: str) -> tuple[int, int]:
    """Return how many points are counted with the latest one, and how many there are."""
    with database.read() as connection:
        told = select(latest_metrics.c.points).where(latest_metrics.c.key == key)
        there = select(func.count()).select_from(metrics).where(metrics.c.key == key)
        return connection.execute(told).scalar_one(), connection.execute(there).scalar_one()


def levels(database: Database) -> dict[int, int]:
    table = metric_buckets.c
    with database.read() as connection:
        statement = select(table.level, func.count()).group_by(table.level)
        return {row[0]: row[1] for row in connection.execute(statement)}


def test_a_point_that_is_logged_again_counts_once(database: Database) -> None:
    store = SqlTrackingStore(database)
    run_id = store.create_run(CreateRun()).info.run_id
    ways = [range(3), range(3), range(1, 5), range(LONG), range(LONG), range(50, LONG + 9)]
    for key, steps in zip(count(), ways, strict=False):
        log(store, run_id, "all", steps)
        log(store, run_id, f"one {key}", steps)

    found = [counted(database, key) for key in ("all", "one 0", "one 3", "one 5")]

    assert found == [(n, n) for n in (LONG + 9, 3, LONG, LONG - 41)]


def test_two_keys_of_one_batch_are_counted_each_for_itself(database: Database) -> None:
    store = SqlTrackingStore(database)
    run_id = store.create_run(CreateRun()).info.run_id
    log(store, run_id, "a", range(2))
    points = [
        Metric(key=key, value=1.0, timestamp=s, step=s)
        for key, n in (("a", 4), ("b", 3), ("b", 3))
        for s in range(n)
    ]

    store.log_batch(LogBatch(run_id=run_id, metrics=points))

    assert [counted(database, key) for key in ("a", "b")] == [(4, 4), (3, 3)]


def test_short_curves_have_no_buckets_and_long_ones_levels_of_them(database: Database) -> None:
    store = SqlTrackingStore(database)
    run_id = store.create_run(CreateRun()).info.run_id
    log(store, run_id, "short", range(LONG - 1))
    before = levels(database)

    log(store, run_id, "long", range(LONG + 40))

    assert before == {}
    assert levels(database) == {0: 258, 1: 64, 2: 16, 3: 4, 4: 1}


def test_buckets_that_are_made_anew_are_those_that_were_filed(database: Database) -> None:
    store = SqlTrackingStore(database)
    run_id = store.create_run(CreateRun()).info.run_id
    log(store, run_id, "m", range(LONG + 1_777))
    rows = select(metric_buckets).order_by(*metric_buckets.primary_key)
    with database.read() as connection:
        filed = connection.execute(rows).all()

    database.write(lambda connection: file_anew(connection, Curve(run_id, "m")))

    with database.read() as connection:
        assert connection.execute(rows).all() == filed


def test_a_sample_has_the_last_points_whatever_is_not_full_yet(database: Database) -> None:
    """Points come one after the other, over the ends of buckets of several levels."""
    store = SqlTrackingStore(database)
    run_id = store.create_run(CreateRun()).info.run_id
    log(store, run_id, "m", range(LONG))
    shown = []

    for step in range(LONG, LONG + 300, 3):
        log(store, run_id, "m", range(step, step + 3))
        points = store.sample_history([run_id], "m", max_results=8)
        late = store.sample_history(
            [run_id], "m", max_results=8, start_step=LONG - 100, end_step=step + 9
        )
        shown.append((points[0].step, points[-1].step, late[0].step, late[-1].step))

    assert shown == [(0, s + 2, LONG - 100, s + 2) for s in range(LONG, LONG + 300, 3)]


def test_buckets_go_with_their_run(database: Database) -> None:
    store = SqlTrackingStore(database)
    run_id = store.create_run(CreateRun()).info.run_id
    log(store, run_id, "m", range(LONG))

    database.write(lambda connection: purge_runs(connection, [run_id]))

    assert levels(database) == {}
