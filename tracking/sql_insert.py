"""Inserts that know ON CONFLICT, which SQL leaves to the dialects. Used by what writes points.

Building a statement costs more than running it: those for every write are built once.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Insert, Table

from tracking.sql_dialects import dialect_of, tell

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert_by(dialect: str, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return an insert in the words of a dialect."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - pay for one dialect only

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)


@cache
def insert_new(dialect: str, table: Table) -> Insert:
    """Return the insert that passes over rows which are there already."""
    return insert_by(dialect, table).on_conflict_do_nothing()


def insert_many(connection: Connection, statement: Insert, rows: list[tuple[Any, ...]]) -> int:
    """Insert many rows past what SQLAlchemy does for each, which costs more than the insert.

    Args:
        connection: In a write transaction.
        statement: Built once, for whole rows of its table.
        rows: At least one, with their values in the order of the table's columns.

    Returns:
        How many rows were written: those that an ``ON CONFLICT DO NOTHING`` passes over are none.
    """
    cursor = tell(connection, _positional(connection.dialect.name, statement), rows)
    number: int = cursor.rowcount
    cursor.close()
    return number


@cache
def _positional(dialect: str, statement: Insert) -> str:
    """Return the words of an insert whose values are bound by their places."""
    return str(statement.compile(dialect=dialect_of(dialect)))
