"""The tables of a database that is not ours, whichever of them its version has. Read only.

A table or column that is not there reads as empty. Called by ``registry.transfer.mlflow_database``.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    column,
    create_engine,
    func,
    inspect,
    make_url,
    null,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError, DBAPIError

from tracking.errors import InvalidRequest, ResourceMissing, Unavailable

Layout = Mapping[str, Sequence[str]]
"""Tables, and of each the columns that are read."""

_ROWS_AT_ONCE = 10_000
_CONNECT_TIMEOUT_S = 10


class ForeignTables:
    """Tables as one connection sees them. For one thread.

    Args:
        connection: Open.
        layout: The columns that callers read.
        present: The columns that there are, by table.
    """

    def __init__(
        self, connection: Connection, layout: Layout, present: Mapping[str, frozenset[str]]
    ) -> None:
        self._connection = connection
        self._layout = layout
        self._present = present

    def rows(
        self,
        name: str,
        *where: ColumnElement[bool],
        order: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Row[Any]]:
        """Yield the rows of a table that fit, with ``None`` for a column that is not there."""
        present = self._present.get(name, frozenset())
        if not present:
            return
        columns: list[ColumnElement[Any]] = [
            column(c) if c in present else null().label(c) for c in self._layout[name]
        ]
        query: Select[Any] = select(*columns).select_from(table(name)).where(*where).limit(limit)
        if order is not None:
            query = query.order_by(column(order))
        streamed = query.execution_options(yield_per=_ROWS_AT_ONCE)
        yield from self._connection.execute(streamed)

    def count(self, name: str, *where: ColumnElement[bool]) -> int:
        """Return how many rows of a table fit."""
        if not self._present.get(name):
            return 0
        query = select(func.count()).select_from(table(name)).where(*where)
        return int(self._connection.execute(query).scalar_one())


class ForeignDatabase:
    """A database that is not ours. For one thread.

    Args:
        url: SQLite or PostgreSQL.
        layout: The tables and columns that are read.

    Raises:
        InvalidRequest: It is damaged, or no database.
        ResourceMissing: There is no such file.
        Unavailable: It does not answer.
    """

    def __init__(self, url: URL, layout: Layout) -> None:
        self.shown = url.render_as_string(hide_password=True)
        is_file = url.get_backend_name() == "sqlite"
        self.folder = Path(url.database or "").absolute().parent if is_file else None
        self._engine = _open(url)
        self._layout = layout
        with self._refusals():
            self._present = _look(self._engine, layout)

    def has(self, name: str, column_name: str) -> bool:
        """Return whether a table has a column."""
        return column_name in self._present.get(name, ())

    @contextmanager
    def tables(self) -> Iterator[ForeignTables]:
        """Open a connection, for the block.

        Raises:
            InvalidRequest: It is damaged.
            Unavailable: It does not answer.
        """
        with self._refusals(), self._engine.connect() as connection:
            yield ForeignTables(connection, self._layout, self._present)

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if isinstance(error.orig, sqlite3.DatabaseError) and not isinstance(
                error.orig, sqlite3.OperationalError
            ):
                raise InvalidRequest(
                    f"The database {self.shown!r} is damaged or no database ({error.orig})."
                    " Take a whole copy, or ask the server that keeps it."
                ) from error
            raise Unavailable(
                f"The database {self.shown!r} does not answer ({type(error.orig).__name__})."
                " Check its address and its user's rights, and run the command again."
            ) from error


def parse_url(uri: str) -> URL:
    """Return the URL of a database that can be read.

    Raises:
        InvalidRequest: There is no reader for such a database.
    """
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        raise InvalidRequest("That is no URL of a database.") from None
    if url.get_backend_name() not in {"sqlite", "postgresql", "postgres"}:
        raise InvalidRequest(
            f"A database of {url.get_backend_name()!r} cannot be read directly. Start MLflow's"
            " server on it, and give the server's address: http://127.0.0.1:5000."
        )
    return url


def _open(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
        )
    path = Path(url.database or "").absolute()
    if not path.is_file():
        raise ResourceMissing(f"There is no database at {str(path)!r}.")
    address = f"file:{quote(str(path))}?mode=ro"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))


def _look(engine: Engine, layout: Layout) -> dict[str, frozenset[str]]:
    """Return which columns the tables of a layout have, after a look at the file as a whole."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            told = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
            if told != "ok":
                raise InvalidRequest(f"The database is damaged: {told}. Take a whole copy.")
        found = inspect(connection)
        return {
            name: frozenset(str(c["name"]) for c in found.get_columns(name))
            for name in set(found.get_table_names()) & layout.keys()
        }
