"""Points that were logged before there were buckets are counted and filed on the way up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, NullPool, create_engine, make_url, select, text

from tracking.database import open_database, upgrade
from tracking.schema import latest_metrics, metric_buckets
from tracking.schema_history import migrate
from tracking.sql_buckets import LONG, Curve, file_anew

LENGTH = LONG + 3_000
RUNS = 501
"""One more than are told of at a time."""

_MADE = (
    (
        "INSERT INTO experiments (experiment_id, name, artifact_location, is_deleted,"
        " creation_time, last_update_time) VALUES (7, 'old', 'mlflow-artifacts:/7', FALSE, 1, 1)"
    ),
    (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {RUNS})"
        " INSERT INTO runs (run_id, experiment_id, run_name, user_id, status, start_time,"
        " artifact_uri, is_deleted, is_deleted_with_experiment)"
        " SELECT 'run' || i, 7, 'r', 'u', 'RUNNING', i, 'a', FALSE, FALSE FROM n"
    ),
    (
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LENGTH})"
        " INSERT INTO metrics (run_id, key, timestamp, step, value, is_nan)"
        " SELECT 'run9', 'long', i, i - 50, (i * 37) % 1000, FALSE FROM n"
    ),
    (
        "INSERT INTO metrics (run_id, key, timestamp, step, value, is_nan)"
        " SELECT 'run1', 'short', timestamp, step, value, FALSE FROM metrics WHERE step < 0"
    ),
    (
        "INSERT INTO latest_metrics (run_id, key, timestamp, step, value, is_nan)"
        f" VALUES ('run9', 'long', 1, {LENGTH - 50}, 1, FALSE), ('run1', 'short', 1, -1, 1, FALSE)"
    ),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def old_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of revision 0007, with a long curve in it."""
    uri = f"sqlite:///{tmp_path / 'old.db'}"
    if request.param == "postgresql":
        uri = request.getfixturevalue("empty_postgres_uri")
    engine = _engine(uri)
    with engine.begin() as connection:
        migrate(connection, to="0007")
        for statement in _MADE:
            connection.execute(text(statement))
    yield uri
    engine.dispose()


def _engine(uri: str) -> Engine:
    url = make_url(uri)
    if url.get_backend_name() != "sqlite":
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url, poolclass=NullPool)


def test_old_points_are_counted_and_filed(old_uri: str) -> None:
    told: list[str] = []

    upgrade(old_uri, told.append)

    assert told == [f"Points of {n} of {RUNS} runs are counted." for n in (500, RUNS)]
    database = open_database(old_uri)
    rows = select(metric_buckets).order_by(*metric_buckets.primary_key)
    counted = select(latest_metrics.c.key, latest_metrics.c.points)
    with database.read() as connection:
        filed = connection.execute(rows).all()
        assert {row[0]: row[1] for row in connection.execute(counted)} == {
            "long": LENGTH,
            "short": 49,
        }
    database.write(lambda connection: file_anew(connection, Curve("run9", "long")))
    with database.read() as connection:
        assert filed == connection.execute(rows).all()
    assert len(filed) > LENGTH / 16
    database.close()


def test_an_upgrade_that_was_killed_is_done_by_the_next(old_uri: str) -> None:
    def die(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(old_uri, die)
    upgrade(old_uri)

    with _engine(old_uri).connect() as connection:
        assert connection.execute(text("SELECT max(points) FROM latest_metrics")).scalar() == LENGTH
