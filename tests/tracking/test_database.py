"""What a database does, whichever it is; and how one is opened."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from tracking.database import Database, open_database, upgrade
from tracking.errors import InvalidRequest, ResourceMissing, SchemaOutdated, Unavailable

COUNT = text("SELECT count(*) FROM experiments")
NEXT = text("SELECT coalesce(max(creation_time), 0) + 1 FROM experiments")


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(
    request: pytest.FixtureRequest,
    fresh_database: Callable[[str], AbstractContextManager[str]],
) -> Iterator[str]:
    with fresh_database(request.param) as uri:
        yield uri


@pytest.fixture
def database(uri: str) -> Iterator[Database]:
    database = open_database(uri)
    yield database
    database.close()


def add(name: str) -> Callable[[Connection], int]:
    """Insert a row whose number is one more than the greatest there is."""

    def work(connection: Connection) -> int:
        number = int(connection.execute(NEXT).scalar_one())
        connection.execute(
            text(
                "INSERT INTO experiments"
                " (name, artifact_location, is_deleted, creation_time, last_update_time)"
                " VALUES (:name, '', :no, :number, 0)"
            ),
            {"name": name, "no": False, "number": number},
        )
        return number

    return work


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(COUNT).scalar_one())


def test_what_was_written_is_read(database: Database) -> None:
    value = database.write(add("a"))

    assert (value, count(database)) == (1, 1)


def test_an_exception_undoes_the_work_and_reaches_its_caller(database: Database) -> None:
    def broken(connection: Connection) -> None:
        add("a")(connection)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        database.write(broken)

    assert count(database) == 0


def test_a_bad_one_among_many_fails_alone(database: Database) -> None:
    database.write(add("taken"))

    def write(number: int) -> bool:
        try:
            database.write(add("taken" if number % 5 == 0 else f"n{number}"))
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        written = sum(pool.map(write, range(40)))

    assert (written, count(database)) == (32, 33)


def test_work_takes_effect_as_if_one_after_the_other(database: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(lambda i: database.write(add(str(i))), range(30)))

    assert sorted(numbers) == list(range(1, 31))


def test_a_reader_sees_one_snapshot_for_its_block(database: Database) -> None:
    with database.read() as connection:
        before = connection.execute(COUNT).scalar_one()
        database.write(add("a"))
        after = connection.execute(COUNT).scalar_one()

    assert (before, after, count(database)) == (0, 0, 1)


def test_a_glance_sees_what_was_written_from_any_thread_process_and_after_a_close(
    database: Database,
) -> None:
    glances = [database.glance(str(COUNT))]
    database.write(add("a"))
    with ThreadPoolExecutor(4) as pool:
        glances += pool.map(lambda _: database.glance(str(COUNT)), range(4))
    child = os.fork()
    if child == 0:
        database.write(add("child"))
        os._exit(database.glance(str(COUNT)))
    _, status = os.waitpid(child, 0)
    database.close()
    glances.append(database.glance(str(COUNT)))

    assert glances == [0, 1, 1, 1, 1, 2]
    assert os.waitstatus_to_exitcode(status) == 2


def test_a_wrong_statement_is_our_fault_and_not_hidden(database: Database) -> None:
    with pytest.raises((OperationalError, ProgrammingError)):
        database.write(lambda connection: connection.execute(text("SELECT nonsense")))
    with pytest.raises((OperationalError, ProgrammingError)), database.read() as connection:
        connection.execute(text("SELECT nonsense"))

    database.write(add("still works"))


def test_a_closed_database_opens_again_when_used(database: Database) -> None:
    database.write(add("a"))
    database.close()
    database.close()

    database.write(add("b"))

    assert count(database) == 2


def test_a_forked_child_writes_and_reads_for_itself(database: Database) -> None:
    database.write(add("parent"))

    child = os.fork()
    if child == 0:
        database.write(add("child"))
        os._exit(count(database))
    _, status = os.waitpid(child, 0)
    database.write(add("parent again"))

    assert os.waitstatus_to_exitcode(status) == 2
    assert count(database) == 3


def test_an_older_schema_is_refused_with_the_command_that_upgrades(uri: str) -> None:
    _set_revision(uri, "0000")

    with pytest.raises(SchemaOutdated, match=r"stagedoor db upgrade --backend-store-uri \S+://"):
        open_database(uri)


def test_a_newer_schema_is_refused(uri: str) -> None:
    _set_revision(uri, "9999")

    with pytest.raises(SchemaOutdated, match="Upgrade stagedoor"):
        open_database(uri)


def test_upgrading_what_is_new_enough_changes_nothing(uri: str) -> None:
    database = open_database(uri)
    database.write(add("a"))

    upgrade(uri)

    assert count(database) == 1
    database.close()


def test_a_new_postgresql_database_is_made_ready_silently(empty_postgres_uri: str) -> None:
    with pytest.raises(ResourceMissing):
        open_database(empty_postgres_uri, create=False)

    database = open_database(empty_postgres_uri)

    assert (database.dialect, count(database)) == ("postgresql", 0)
    database.close()


def test_a_password_is_not_shown(postgres_uri: str) -> None:
    database = open_database(postgres_uri.replace("postgres:@", "postgres:hidden@"))

    assert "hidden" not in database.url
    database.close()


def test_a_new_sqlite_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/new.db")
    with database.read():
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()

    assert modes["new.db-wal"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_new_sqlite_file_is_made_ready_silently(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/folder/new.db"
    with pytest.raises(ResourceMissing):
        open_database(uri, create=False)

    with ThreadPoolExecutor(3) as pool:
        databases = list(pool.map(open_database, [uri] * 3))

    assert [database.dialect for database in databases] == ["sqlite"] * 3
    assert count(databases[0]) == 0
    for database in databases:
        database.close()


@pytest.mark.parametrize(
    "uri",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///a.db?mode=ro",
        "mysql://u:hidden@h/d",
        "nonsense",
        "",
    ],
)
def test_a_uri_of_no_database_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match="sqlite:///") as refusal:
        open_database(uri)

    assert "hidden" not in refusal.value.message


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be taken for one" * 50)

    with pytest.raises(InvalidRequest, match="not a SQLite database"):
        open_database(f"sqlite:///{path}")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        open_database("postgresql://u:p@127.0.0.1:1/d")


def test_a_program_that_holds_the_file_only_delays_a_write(sqlite_uri: str) -> None:
    database = open_database(sqlite_uri)
    other = sqlite3.connect(sqlite_uri.removeprefix("sqlite:///"), check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, other.rollback)

    timer.start()
    database.write(add("a"))

    assert count(database) == 1
    timer.join()
    other.close()
    database.close()


def test_work_that_writes_again_is_told_so(sqlite_uri: str) -> None:
    database = open_database(sqlite_uri)

    with pytest.raises(RuntimeError, match="may not write again"):
        database.write(lambda _: database.write(add("a")))

    database.close()


_WRITE_MANY = """
import sys
from sqlalchemy import text
from tracking.database import open_database
database = open_database(sys.argv[1])
for number in range(int(sys.argv[3])):
    name = f"{sys.argv[2]}-{number}"
    database.write(lambda connection: connection.execute(text(
        "INSERT INTO experiments"
        " (name, artifact_location, is_deleted, creation_time, last_update_time)"
        " VALUES (:name, '', 0, 0, 0)"), {"name": name}))
    print(name, flush=True)
"""


def _writer(uri: str, name: str, writes: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _WRITE_MANY, uri, name, str(writes)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def test_processes_that_write_one_file_do_not_hinder_each_other(sqlite_uri: str) -> None:
    writers = [_writer(sqlite_uri, name, 100) for name in ("a", "b", "c")]

    codes = [writer.wait(60) for writer in writers]

    database = open_database(sqlite_uri)
    assert (codes, count(database)) == ([0, 0, 0], 300)
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    database.close()


def test_what_a_killed_process_was_told_is_written_is_there(sqlite_uri: str) -> None:
    writer = _writer(sqlite_uri, "a", 100_000)
    assert writer.stdout is not None
    told = [writer.stdout.readline().strip() for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    told += writer.stdout.read().split()
    writer.wait(10)
    writer.stdout.close()

    database = open_database(sqlite_uri)
    with database.read() as connection:
        names = set(connection.execute(text("SELECT name FROM experiments")).scalars())
        check = connection.execute(text("PRAGMA integrity_check")).scalar()
    database.write(add("the lock is free"))

    assert check == "ok"
    assert set(told[:-1]) <= names  # the last line may be half a line
    database.close()


def _set_revision(uri: str, revision: str) -> None:
    database = open_database(uri)
    database.write(
        lambda connection: connection.execute(
            text("UPDATE alembic_version SET version_num = :r"), {"r": revision}
        )
    )
    database.close()
