"""Long lists of ids as one bound value, so that a statement is built once for lists of any length.

Inside the caller's transaction or snapshot. SQLite takes a JSON array, PostgreSQL one of its own.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, String, any_, bindparam, func, select

IDS = "ids"
"""The name of the bound value."""


def is_among(dialect: str, column: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a text is in the list bound as ``IDS``."""
    if dialect == "sqlite":
        told = func.json_each(bindparam(IDS)).table_valued("value")
        return column.in_(select(told.c.value))
    from sqlalchemy.dialects.postgresql import ARRAY  # noqa: PLC0415 - pay for one dialect only

    return column == any_(bindparam(IDS, type_=ARRAY(String)))


def listed(connection: Connection, ids: Sequence[str]) -> dict[str, str | list[str]]:
    """Return what to execute such a statement with."""
    if connection.dialect.name == "sqlite":
        return {IDS: msgspec.json.encode(ids).decode()}
    return {IDS: list(ids)}
