"""Inserts that know ON CONFLICT, which SQL leaves to the dialects. Used by what writes points.

Building a statement costs more than running it: those for every write are built once.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Insert, Table

from tracking.sql_dialects import dialect_of, tell

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_SIZES = (128, 64, 32, 16, 8, 4, 2, 1)
"""Of statements for SQLite: many rows as one take two thirds of the time, and hold up no thread."""
_ROW = re.compile(r"VALUES (\([?, ]+\))")


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
    if connection.dialect.name != "sqlite":
        return _told(connection, _positional(connection.dialect.name, statement), rows)
    number = start = 0
    for size in _SIZES:
        while len(rows) - start >= size:
            values = tuple(chain.from_iterable(rows[start : start + size]))
            number += _told(connection, _of_rows(statement, size), values)
            start += size
    return number


def _told(connection: Connection, words: str, values: Sequence[Any]) -> int:
    cursor = tell(connection, words, values)
    number: int = cursor.rowcount
    cursor.close()
    return number


@cache
def _of_rows(statement: Insert, size: int) -> str:
    """Return the words of an insert of so many rows."""
    words = _positional("sqlite", statement)
    one = _ROW.search(words)
    if one is None:
        raise ValueError("it is no insert of a whole row")
    return words.replace(one[1], ", ".join([one[1]] * size), 1)


@cache
def _positional(dialect: str, statement: Insert) -> str:
    """Return the words of an insert whose values are bound by their places."""
    return str(statement.compile(dialect=dialect_of(dialect)))
