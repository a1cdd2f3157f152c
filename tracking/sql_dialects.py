"""The SQL of a database as words whose values are bound by their places.

Used by ``sql_insert`` and ``sql_reading``, which go past SQLAlchemy's work for each row.
"""

from functools import cache

from sqlalchemy import Dialect


@cache
def dialect_of(name: str) -> Dialect:
    """Return the dialect of that name, with values bound by their places."""
    if name == "sqlite":
        from sqlalchemy.dialects.sqlite import pysqlite  # noqa: PLC0415 - pay for one dialect only

        return pysqlite.dialect()
    from sqlalchemy.dialects.postgresql import psycopg  # noqa: PLC0415

    made: Dialect = psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
    return made
