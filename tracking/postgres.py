"""PostgreSQL as a ``Database``: each write a serializable transaction in the caller's thread.

A write that met another one is run again, for a bounded time; so writers see what they would see
one after the other, as with SQLite. Next hop: psycopg 3.
"""

import os
import random
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, text
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tracking import schema_history
from tracking.errors import InvalidRequest, ResourceMissing, StorageFull, Unavailable
from tracking.revisions import head

T = TypeVar("T")

_RETRY_FOR_S = 20.0
_LONGEST_PAUSE_S = 0.25
_CONNECT_TIMEOUT_S = 5
_POOL_SIZE = 5
_MAX_OVERFLOW = 10
_MET_ANOTHER = {"40001", "40P01"}  # serialization failure, deadlock
_DISK_FULL = "53100"
_MIGRATION_LOCK = 0x57A6ED00


class PostgresDatabase:
    """One PostgreSQL database. Safe from any thread, and across a fork.

    Args:
        url: Where it is, with the credential.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._inherited: list[object] = []
        self._equip()
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _start_over(reference))

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which SQL it speaks."""
        return "postgresql"

    @property
    def url(self) -> str:
        """Where it is, without the password."""
        return _shown(self._url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection on one unchanging snapshot, for the block."""
        try:
            with self._reading.connect() as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise _translated(error) from error

    def glance(self, statement: str) -> int:
        """Return the one number that a statement without parameters selects."""
        with self.read() as connection:
            return int(connection.exec_driver_sql(statement).scalar_one())

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a piece of work in a transaction, and return its value once it is durable."""
        deadline = time.monotonic() + _RETRY_FOR_S
        pause_s = 0.001
        while True:
            try:
                with self._writing.begin() as connection:
                    return work(connection)
            except (DBAPIError, PoolTimeout) as error:
                if _state(error) not in _MET_ANOTHER or time.monotonic() > deadline:
                    raise _translated(error) from error
            time.sleep(random.uniform(0, pause_s))  # noqa: S311 - jitter
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def write_soon(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Run a piece of work in a thread, and return where its value will be."""
        return self._threads.submit(self.write, work)

    def close(self) -> None:
        """Finish what waits and let go of every connection; a later call opens anew."""
        self._threads.shutdown()
        self._engine.dispose()
        self._equip()

    def start_over(self) -> None:
        """Put aside what a fork inherited: its sockets are the parent's. Called in the child."""
        self._inherited.append((self._engine, self._threads))
        self._equip()

    def _equip(self) -> None:
        self._engine = _engine(self._url)
        self._threads = _make_threads()
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._writing = self._engine.execution_options(isolation_level="SERIALIZABLE")


def open_postgres(url: URL, *, create: bool) -> PostgresDatabase:
    """Open the database of a URL; make its schema if it is empty and ``create`` is true."""
    url = _with_driver(url)
    revision = _revision(url)
    if revision is None and not create:
        raise ResourceMissing(f"The database {_shown(url)!r} is empty. Start a server on it once.")
    if revision is None:
        upgrade_postgres(url)
    else:
        schema_history.require_head(revision, url=_shown(url))
    return PostgresDatabase(url)


def upgrade_postgres(url: URL, tell: Callable[[str], None] = lambda _: None) -> None:
    """Bring the database of a URL to the schema this program needs."""
    engine = create_engine(_with_driver(url), poolclass=NullPool, connect_args=_connect_args())
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            revision = schema_history.find_revision(connection)
            schema_history.require_no_later(revision, url=_shown(url))
            if revision != head():
                schema_history.migrate(connection, tell=tell)
    except DBAPIError as error:
        raise _translated(error) from error


def _start_over(reference: "weakref.ref[PostgresDatabase]") -> None:
    database = reference()
    if database is not None:
        database.start_over()


def _with_driver(url: URL) -> URL:
    return url.set(drivername="postgresql+psycopg")


def _shown(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


def _engine(url: URL) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_size=_POOL_SIZE,
        max_overflow=_MAX_OVERFLOW,
        pool_timeout=10,
        connect_args=_connect_args(),
    )


def _make_threads() -> ThreadPoolExecutor:
    # No more than there are connections, and none before there is work.
    return ThreadPoolExecutor(_POOL_SIZE + _MAX_OVERFLOW, thread_name_prefix="postgres-writer")


def _connect_args() -> dict[str, int]:
    return {"connect_timeout": _CONNECT_TIMEOUT_S}


def _revision(url: URL) -> str | None:
    engine = create_engine(url, poolclass=NullPool, connect_args=_connect_args())
    try:
        with engine.connect() as connection:
            return schema_history.find_revision(connection)
    except DBAPIError as error:
        raise _translated(error) from error


def _state(error: Exception) -> str | None:
    """Return the SQLSTATE of an error, if it has one."""
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _translated(error: DBAPIError | PoolTimeout) -> Exception:
    """Return our error for a fault of the host, and the error itself for a fault of ours."""
    if _state(error) == _DISK_FULL:
        return StorageFull("The disk of the database is full; nothing was kept. Free some space.")
    if isinstance(error, DataError):
        return InvalidRequest("The database cannot hold one of the values that were sent.")
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return Unavailable("The database does not answer now. Nothing was kept; try again.")
    return error
