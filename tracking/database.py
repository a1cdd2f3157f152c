"""The seam to SQL: a database that is read in snapshots and written in pieces of work.

Stores of every room call it, from any thread. ``open_database`` picks the implementation by URI;
``tracking.sqlite`` and ``tracking.postgres`` are the next hop.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Literal, Protocol, TypeVar

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from tracking.errors import InvalidRequest

T = TypeVar("T")


class Database(Protocol):
    """One SQL database at the schema this program needs. Safe from any thread, and across a fork.

    Raises:
        Unavailable: The database does not answer, or was too busy for too long.
        StorageFull: The disk is full; nothing was kept.
    """

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which SQL it speaks."""

    @property
    def url(self) -> str:
        """Where it is, without the password; fit for messages."""

    def read(self) -> AbstractContextManager[Connection]:
        """Open a connection on one unchanging snapshot, for the block."""

    def glance(self, statement: str) -> int:
        """Return the one number that a statement without parameters selects, cheaply."""

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a piece of work in a transaction, and return its value once it is durable.

        Pieces of work take effect as if one after the other. An exception of the work undoes it and
        reaches the caller. The work may run more than once: no effects outside the connection, and
        no second ``write`` inside.
        """

    def write_soon(self, work: Callable[[Connection], T]) -> "Future[T]":
        """Do as ``write`` without waiting: return where the value, or the exception, will be."""

    def close(self) -> None:
        """Finish what waits and let go of every connection; a later call opens anew."""


def open_database(uri: str, *, create: bool = True) -> Database:
    """Open a database at the schema this program needs.

    Args:
        uri: ``sqlite:///file.db`` or ``postgresql://user:password@host/name``.
        create: Make the schema silently where there is none yet.

    Raises:
        InvalidRequest: No database of ours has such a URI.
        ResourceMissing: There is no database, and ``create`` is false.
        SchemaOutdated: It has another schema; the message names the command to run.
        Unavailable: It does not answer.
    """
    url = _parse(uri)
    if url.get_backend_name() == "sqlite":
        from tracking.sqlite import open_sqlite  # noqa: PLC0415 - pay for one dialect only

        return open_sqlite(url, create=create)
    from tracking.postgres import open_postgres  # noqa: PLC0415

    return open_postgres(url, create=create)


def upgrade(uri: str, tell: Callable[[str], None] = lambda _: None) -> None:
    """Bring a database to the schema this program needs, from an older one or from none.

    Args:
        uri: As ``open_database`` takes it.
        tell: Called with a sentence now and then while it takes long.

    Raises:
        InvalidRequest: No database of ours has such a URI.
        SchemaOutdated: It is newer than this program, or another program's.
        Unavailable: It does not answer.
    """
    url = _parse(uri)
    if url.get_backend_name() == "sqlite":
        from tracking.sqlite import upgrade_sqlite  # noqa: PLC0415

        return upgrade_sqlite(url, tell)
    from tracking.postgres import upgrade_postgres  # noqa: PLC0415

    return upgrade_postgres(url, tell)


def _parse(uri: str) -> URL:
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        raise InvalidRequest(_forms("that text")) from None
    if url.get_backend_name() in {"sqlite", "postgresql", "postgres"}:
        return url
    raise InvalidRequest(_forms(f"the scheme {url.drivername!r}"))


def _forms(what: str) -> str:
    return (
        f"No database can be opened by {what}."
        " Use sqlite:///path/to/file.db or postgresql://user:password@host:5432/name."
    )
