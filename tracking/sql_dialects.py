"""The SQL of a database as words whose values are bound by their places, and how it is told them.

Used by ``sql_insert`` and ``sql_reading``, which go past SQLAlchemy's work for each statement and
row: 2 µs where it takes 17 at the least.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError


@cache
def dialect_of(name: str) -> Dialect:
    """Return the dialect of that name, with values bound by their places."""
    if name == "sqlite":
        from sqlalchemy.dialects.sqlite import pysqlite  # noqa: PLC0415 - pay for one dialect only

        return pysqlite.dialect()
    from sqlalchemy.dialects.postgresql import psycopg  # noqa: PLC0415

    made: Dialect = psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
    return made


def tell(connection: Connection, words: str, values: Sequence[Any]) -> DBAPICursor:
    """Run a statement on the driver's own cursor, and return that; whoever calls closes it.

    Args:
        connection: In a snapshot or a transaction, or about to begin one.
        words: With places for values, as the dialect of ``dialect_of`` writes them.
        values: A tuple, or a list of tuples to run it for each.

    Raises:
        DBAPIError: As SQLAlchemy would raise it.
    """
    if not connection.in_transaction():
        connection.begin()
    cursor = connection.connection.cursor()
    try:
        (cursor.executemany if isinstance(values, list) else cursor.execute)(words, values)
    except connection.dialect.loaded_dbapi.Error as error:
        cursor.close()
        base = connection.dialect.loaded_dbapi.Error
        raise DBAPIError.instance(
            words, None, error, base, hide_parameters=True, dialect=connection.dialect
        ) from error
    return cursor
