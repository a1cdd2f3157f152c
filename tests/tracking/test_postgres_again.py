"""A database of the tests that is used again is as a new one."""

import psycopg
import pytest

from tests.postgres import PostgresServer
from tracking.database import open_database
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateExperiment, CreateRun


def use(uri: str) -> str:
    """Write to a database and return the id that an experiment got there."""
    database = open_database(uri)
    store = SqlTrackingStore(database)
    experiment_id = store.create_experiment(CreateExperiment(name="a"))
    store.create_run(CreateRun(experiment_id=experiment_id, run_name="left"))
    database.close()
    return experiment_id


def tell(uri: str, statement: bytes) -> None:
    with psycopg.connect(uri) as connection:
        connection.execute(statement)


def test_what_a_test_wrote_and_counted_is_gone(postgres: PostgresServer) -> None:
    with postgres.database() as uri:
        tell(uri, b"UPDATE change_counter SET seq = 7")
        tell(uri, b"DELETE FROM registry_flag")
        first = use(uri)

    with postgres.database() as again:
        second = use(again)
        with psycopg.connect(again) as connection:
            count = connection.execute("SELECT count(*) FROM runs").fetchone()
            seq = connection.execute("SELECT seq FROM change_counter").fetchone()
            flags = connection.execute("SELECT count(*) FROM registry_flag").fetchone()

    assert again == uri
    assert (second, count, seq, flags) == (first, (1,), (0,), (1,))


def test_a_connection_that_was_left_open_is_ended(postgres: PostgresServer) -> None:
    with postgres.database() as uri:
        left = psycopg.connect(uri)
        left.execute("LOCK TABLE runs")

    with postgres.database() as again:
        tell(again, b"DELETE FROM runs")

    assert again == uri
    with pytest.raises(psycopg.OperationalError):
        left.execute("SELECT 1")


@pytest.mark.parametrize(
    "deed",
    [
        b"CREATE TABLE more (a INTEGER)",
        b"ALTER TABLE runs ADD COLUMN more INTEGER",
        b"DROP TABLE garbage",
        b"INSERT INTO tags SELECT 'r', n::text, repeat('x', 200) FROM generate_series(1, 9999) n",
    ],
)
def test_a_database_that_was_changed_for_good_is_not_used_again(
    postgres: PostgresServer, deed: bytes
) -> None:
    with postgres.database() as uri:
        tell(uri, b"SET session_replication_role = replica; " + deed)

    with postgres.database() as another:
        assert another != uri
