"""A SQLite file as a ``Database``: WAL, synchronous=FULL, one writing process at a time by flock.

Readers of any thread get a snapshot from a pool; writers go through the process's one
``tracking.writer`` thread. SQLite must not be used across a fork: a child starts with a pool, a
writer and a lock of its own, and never touches what it inherited.
"""

import errno
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tracking import fresh_schema, schema_history
from tracking.errors import InvalidRequest, ResourceMissing, StorageFull, Unavailable
from tracking.file_lock import FileLock
from tracking.revisions import head
from tracking.sqlite_glance import Glance
from tracking.writer import Done, Failed, Writer

T = TypeVar("T")
Work = Callable[[Connection], Any]
SQLiteValue = str | bytes | int | float | None

_BUSY_TIMEOUT_S = 5
_RETRY_FOR_S = 20.0
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# After these SQLite may have given up the transaction as a whole: no savepoint is left to go to.
_FATAL = _BUSY | {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}


class SqliteDatabase:
    """One SQLite file. Safe from any thread, and across a fork.

    Args:
        path: The file, absolute.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inherited: list[object] = []
        self._equip()
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _start_over(reference))

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which SQL it speaks."""
        return "sqlite"

    @property
    def url(self) -> str:
        """Where the file is."""
        return f"sqlite:///{self._path}"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection on one unchanging snapshot, for the block."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except PoolTimeout as error:
            raise _unavailable() from error
        except (OperationalError, sqlite3.OperationalError) as error:
            raise _translated(error) from error

    def glance(self, statement: str) -> int:
        """Return the one number that a statement without parameters selects, cheaply."""
        try:
            return self._glance.number(statement)
        except sqlite3.OperationalError as error:
            raise _unavailable() from error

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a piece of work in a transaction, and return its value once it is durable."""
        return self._writer.write(work)

    def write_soon(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Run a piece of work in the writer's next transaction, without waiting for it."""
        return self._writer.submit(work)

    def close(self) -> None:
        """Finish what waits and let go of every connection and of the lock's file."""
        self._writer.close()
        self._drop_writing()
        self._glance.close()
        self._engine.dispose()
        self._lock.close()

    def start_over(self) -> None:
        """Put aside what a fork inherited. Called in the child, before any other thread exists."""
        self._inherited.append((self._engine, self._writer, self._glance, self._writing))
        self._lock.close()
        self._equip()

    def _equip(self) -> None:
        self._engine = _engine(self._path)
        self._glance = Glance(self._path, _BUSY_TIMEOUT_S)
        self._writing: Connection | None = None
        self._lock = FileLock(lock_path(self._path))
        self._writer = Writer(self._transact)

    def _transact(self, works: Sequence[Work]) -> list[Done | Failed]:
        """Run pieces of work in one transaction; again for as long as somebody else is in the way.

        With the lock held, that is only a program that does not know of our lock.
        """
        deadline = time.monotonic() + _RETRY_FOR_S
        while True:
            try:
                return self._attempt(works)
            except (OperationalError, sqlite3.OperationalError, OSError) as error:
                if _code(error) not in _BUSY or time.monotonic() > deadline:
                    raise _translated(error) from error

    def _attempt(self, works: Sequence[Work]) -> list[Done | Failed]:
        if self._writing is None:
            options = self._engine.execution_options(begin="BEGIN IMMEDIATE")
            self._writing = options.connect()
        try:
            with self._lock.held():
                return _run_all(works, self._writing)
        except BaseException:
            self._drop_writing()  # nobody knows how it was left
            raise

    def _drop_writing(self) -> None:
        """Give back what the writer keeps: taking a connection for each write costs 0.1 ms."""
        connection, self._writing = self._writing, None
        if connection is not None:
            connection.close()


def open_sqlite(url: URL, *, create: bool) -> SqliteDatabase:
    """Open the file of a URL, made silently if it is new and ``create`` is true."""
    path = _path(url)
    revision = _revision(path)
    if revision is None and not create:
        raise ResourceMissing(f"There is no database at {str(path)!r}. Create it by using it once.")
    if revision is None:
        upgrade_sqlite(url)
    else:
        schema_history.require_head(revision, url=f"sqlite:///{path}")
    return SqliteDatabase(path)


def upgrade_sqlite(url: URL, tell: Callable[[str], None] = lambda _: None) -> None:
    """Bring the file of a URL to the schema this program needs."""
    path = _path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        schema_history.require_no_later(_revision(path), url=f"sqlite:///{path}")
        lock = FileLock(lock_path(path))
        with lock.held():
            # It holds hashed tokens and the secret that signs; its WAL gets the same mode.
            path.touch(mode=0o600)
            _migrate(path, tell)
        lock.close()
    except (OperationalError, OSError) as error:
        raise _translated(error) from error


def lock_path(path: Path) -> Path:
    """Return the file that is locked while a process writes to the database at ``path``."""
    return path.with_name(path.name + ".lock")


def _start_over(reference: "weakref.ref[SqliteDatabase]") -> None:
    database = reference()
    if database is not None:
        database.start_over()


def _path(url: URL) -> Path:
    if not url.database or url.database == ":memory:" or url.query:
        raise InvalidRequest(
            "A SQLite database must be a file, named without options: sqlite:///path/to/file.db."
        )
    return Path(url.database).absolute()


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_S}, pool_timeout=10
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins is off; _begin says it.
    connection.isolation_level = None
    connection.create_function("lower", 1, _lower, deterministic=True)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "case_sensitive_like=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _lower(value: SQLiteValue) -> SQLiteValue:
    """Lower any script, as PostgreSQL does; SQLite's own knows ASCII only."""
    return value.lower() if isinstance(value, str) else value


def _begin(connection: Connection) -> None:
    words = connection.get_execution_options().get("begin", "BEGIN")
    _driver_of(connection).execute(words)  # by SQLAlchemy it costs 35 µs


def _run_all(works: Sequence[Work], connection: Connection) -> list[Done | Failed]:
    if len(works) == 1:
        return [_run_only(works[0], connection)]
    with connection.begin():
        return [_run_alone(work, connection) for work in works]


def _run_only(work: Work, connection: Connection) -> Done | Failed:
    """Run one piece of work that has a transaction to itself, and needs no savepoint.

    Raises:
        OperationalError: SQLite could not take it now.
    """
    transaction = connection.begin()
    try:
        value = work(connection)
    except Exception as error:
        transaction.rollback()
        if _code(error) in _FATAL:
            raise
        return Failed(error)
    transaction.commit()
    return Done(value)


def _run_alone(work: Work, connection: Connection) -> Done | Failed:
    """Run one piece of work under a savepoint.

    Raises:
        OperationalError: SQLite gave up the whole transaction, so the others are lost as well.
    """
    tell = _driver_of(connection).execute  # SQLAlchemy's own savepoints cost 75 µs each, these 1
    tell("SAVEPOINT work")
    try:
        value = work(connection)
    except Exception as error:
        if _code(error) in _FATAL:
            raise
        tell("ROLLBACK TO work")
        tell("RELEASE work")
        return Failed(error)
    tell("RELEASE work")
    return Done(value)


def _driver_of(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("this connection is not SQLite's")
    return driver


def _revision(path: Path) -> str | None:
    """Return the revision of a file, ``None`` for an empty or missing one."""
    if not path.exists():
        return None
    try:
        # Only looked at: another program's file is not to become one in WAL mode.
        with create_engine(f"sqlite:///{path}", poolclass=NullPool).connect() as connection:
            return schema_history.find_revision(connection)
    except DatabaseError as error:
        if _code(error) == sqlite3.SQLITE_NOTADB:
            raise InvalidRequest(f"The file {str(path)!r} is not a SQLite database.") from error
        raise _translated(error) from error


def _migrate(path: Path, tell: Callable[[str], None]) -> None:
    engine = _migrating_engine(path).execution_options(begin="BEGIN IMMEDIATE")
    with engine.begin() as connection:
        if schema_history.find_revision(connection) is None:
            fresh_schema.make_tables(connection)
        if schema_history.find_revision(connection) != head():
            schema_history.migrate(connection, tell=tell)


def _migrating_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    event.listen(engine, "connect", _prepare_to_migrate)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_to_migrate(connection: sqlite3.Connection, _record: object) -> None:
    # No foreign keys: a migration that rebuilds a table would delete what refers to it.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")


def _code(error: BaseException) -> int:
    """Return SQLite's primary result code, 0 if it is another kind of error."""
    cause = error.orig if isinstance(error, DatabaseError) else error
    return getattr(cause, "sqlite_errorcode", 0) & 0xFF


def _translated(error: DatabaseError | sqlite3.Error | OSError) -> Exception:
    """Return our error for a fault of the host, and the error itself for a fault of ours."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == errno.ENOSPC:
        return StorageFull("The disk of the database is full; nothing was kept. Free some space.")
    if code in _FATAL or isinstance(error, OSError):
        return _unavailable()
    return error


def _unavailable() -> Unavailable:
    return Unavailable("The database does not answer now. Nothing was kept; try again.")
