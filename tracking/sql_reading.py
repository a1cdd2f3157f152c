"""Rows as the database's driver gives them, past what SQLAlchemy does for each.

For what reads many rows, or is asked all the time: a statement is put into words once, and its rows
stay plain tuples. A boolean of SQLite is 0 or 1 then. Inside the caller's transaction or snapshot.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.sql.selectable import SelectBase

from tracking.sql_dialects import dialect_of, tell

_MOST_KEPT = 256


class _Words(Struct, frozen=True):
    """A statement whose values are bound by their places, with the values that are its own."""

    text: str
    names: tuple[str, ...]
    own: Mapping[str, Any]


def fetch(
    connection: Connection, statement: SelectBase, values: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """Return the rows that a statement selects.

    Args:
        connection: In a snapshot or a transaction.
        statement: Built once, without lists that expand.
        values: What it is to be told.
    """
    words = _words(connection.dialect.name, statement)
    bound = tuple(values[name] if name in values else words.own[name] for name in words.names)
    cursor = tell(connection, words.text, bound)
    rows: Sequence[Sequence[Any]] = cursor.fetchall()
    cursor.close()
    return rows


@lru_cache(_MOST_KEPT)
def _words(dialect: str, statement: SelectBase) -> _Words:
    compiled = statement.compile(dialect=dialect_of(dialect))
    return _Words(str(compiled), tuple(compiled.positiontup or ()), dict(compiled.params))
