"""Every revision there ever was, with data in it, becomes by ``db upgrade`` what a new one is."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine, inspect, make_url, text

from tests.journeys.server import STAGEDOOR
from tests.tracking.rows_of_revisions import ROWS
from tracking.database import open_database, upgrade
from tracking.errors import SchemaOutdated
from tracking.revisions import head, revisions
from tracking.schema_history import migrate

START_TIMEOUT_S = 60.0


def fill(connection: Connection, revision: str) -> None:
    """Take a database of the revision before to this one, and give it the rows of new tables."""
    migrate(connection, to=revision)
    for table, row in ROWS.get(revision, {}).items():
        columns = ", ".join(f'"{column}"' for column in row)
        values = ", ".join(f":{column}" for column in row)
        connection.execute(text(f'INSERT INTO "{table}" ({columns}) VALUES ({values})'), row)


def lost(connection: Connection, revision: str) -> list[str]:
    """Return the tables of which a row is not there as it was written at or before a revision."""
    return [
        table
        for known, tables in ROWS.items()
        if known <= revision
        for table, row in tables.items()
        if not is_there(connection, table, row)
    ]


def is_there(connection: Connection, table: str, row: dict[str, Any]) -> bool:
    columns = ", ".join(f'"{column}"' for column in row)
    found = connection.execute(text(f'SELECT {columns} FROM "{table}"')).all()
    return tuple(row.values()) in map(tuple, found)


def described(connection: Connection) -> dict[str, Any]:
    """Return everything that the database tells of its tables."""
    inspector = inspect(connection)
    told: dict[str, Any] = {
        table: {
            "columns": [{**c, "type": str(c["type"])} for c in inspector.get_columns(table)],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": by_name(inspector.get_foreign_keys(table)),
            "unique": by_name(inspector.get_unique_constraints(table)),
            "checks": by_name(inspector.get_check_constraints(table)),
            "indexes": by_name([plainly(index) for index in inspector.get_indexes(table)]),
        }
        for table in inspector.get_table_names()
    }
    if connection.dialect.name == "sqlite":
        told["sql"] = sorted(map(tuple, connection.execute(text("SELECT * FROM sqlite_master"))))
        told["sql"] = [(kind, name, of, sql) for kind, name, of, _page, sql in told["sql"]]
    return told


def plainly(index: Any) -> dict[str, Any]:
    """Return an index whose condition is a text, and compares."""
    options = index.get("dialect_options", {})
    return {**index, "dialect_options": {name: str(value) for name, value in options.items()}}


def by_name(found: list[Any]) -> list[Any]:
    return sorted(found, key=lambda entry: str(entry["name"]))


def look(uri: str, revision: str) -> tuple[dict[str, Any], list[str]]:
    """Return what a database's tables are, and what it lost of the rows of a revision."""
    engine = create_engine(make_url(uri).set(drivername=driver(uri)), poolclass=NullPool)
    with engine.connect() as connection:
        return described(connection), lost(connection, revision)


def driver(uri: str) -> str:
    return "postgresql+psycopg" if uri.startswith("postgresql") else "sqlite"


@pytest.fixture(scope="module")
def old_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a filled file of each revision."""
    folder: Path = tmp_path_factory.mktemp("old")
    engine = create_engine(f"sqlite:///{folder / 'growing.db'}", poolclass=NullPool)
    for revision in revisions():
        with engine.begin() as connection:
            fill(connection, revision)
        shutil.copyfile(folder / "growing.db", folder / f"{revision}.db")
    return folder


@pytest.fixture
def copied(old_files: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Give a filled file of a revision that the test may change."""
    return lambda revision: Path(
        shutil.copyfile(old_files / f"{revision}.db", tmp_path / f"{revision}.db")
    )


@pytest.fixture
def old_file(copied: Callable[[str], Path]) -> Path:
    """A filled file of the first revision."""
    return copied(revisions()[0])


@pytest.fixture
def old_postgres_uri(empty_postgres_uri: str) -> str:
    """A filled PostgreSQL database of the first revision."""
    url = make_url(empty_postgres_uri).set(drivername="postgresql+psycopg")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        fill(connection, revisions()[0])
    return empty_postgres_uri


@pytest.mark.parametrize("revision", revisions())
def test_every_revision_becomes_what_a_new_file_is_and_keeps_its_rows(
    copied: Callable[[str], Path], sqlite_uri: str, revision: str
) -> None:
    uri = f"sqlite:///{copied(revision)}"

    upgrade(uri)

    assert look(uri, revision) == (look(sqlite_uri, "")[0], [])
    open_database(uri).close()


def test_the_first_revision_on_postgresql_becomes_what_a_new_database_is(
    old_postgres_uri: str, postgres_uri: str
) -> None:
    upgrade(old_postgres_uri)

    assert look(old_postgres_uri, revisions()[0]) == (look(postgres_uri, "")[0], [])


def test_the_history_keeps_the_rows_of_every_revision_on_postgresql(
    old_postgres_uri: str, postgres_uri: str
) -> None:
    url = make_url(old_postgres_uri).set(drivername="postgresql+psycopg")
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for revision in revisions()[1:]:
            fill(connection, revision)

    assert look(old_postgres_uri, head()) == (look(postgres_uri, "")[0], [])


def test_a_row_that_an_upgrade_lost_and_a_column_that_it_forgot_are_found(
    copied: Callable[[str], Path], sqlite_uri: str
) -> None:
    """Faults planted on purpose: what finds none proves nothing."""
    path = copied(head())
    with sqlite3.connect(path) as spoiled:
        spoiled.execute("DELETE FROM params")
        spoiled.execute("UPDATE webhook SET name = 'other'")
        spoiled.execute("ALTER TABLE garbage ADD COLUMN more")
        spoiled.execute("DROP INDEX switch_by_state")
    spoiled.close()

    tables, missing = look(f"sqlite:///{path}", head())

    new = look(sqlite_uri, "")[0]
    assert missing == ["params", "webhook"]
    assert {name for name in new if tables[name] != new[name]} == {"garbage", "switch", "sql"}


def test_every_table_has_rows_that_an_upgrade_could_lose(sqlite_uri: str) -> None:
    made_with_rows = {"alembic_version", "change_counter", "registry_flag", "sql"}
    filled = {table for tables in ROWS.values() for table in tables}

    tables = set(look(sqlite_uri, "")[0])

    assert tables - made_with_rows == filled, "give new tables a row in rows_of_revisions.py"


def test_a_server_names_the_command_for_an_old_schema(old_file: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [STAGEDOOR, "server", "--port", "0", "--backend-store-uri", f"sqlite:///{old_file}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )

    assert ended.returncode == 1
    assert "run: stagedoor db upgrade --backend-store-uri sqlite:////" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("revision", ["9999", "bda7b8c39065"])
@pytest.mark.parametrize("attempt", [upgrade, open_database])
def test_what_is_newer_or_of_another_program_is_left_as_it_is(
    old_file: Path, revision: str, attempt: Callable[[str], object]
) -> None:
    set_revision(old_file, revision)
    before = old_file.read_bytes()

    with pytest.raises(SchemaOutdated, match=revision):
        attempt(f"sqlite:///{old_file}")

    assert old_file.read_bytes() == before


def set_revision(path: Path, revision: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
