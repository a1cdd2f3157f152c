"""Inserts that know ON CONFLICT, which SQL leaves to the dialects. Used by what writes points.

Building a statement costs more than running it: those for every write are built once.
"""

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Insert, Table

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite


def insert_into(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return an insert in the words of the database behind a connection."""
    return insert_by(connection.dialect.name, table)


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
