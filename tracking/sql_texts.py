"""Rows that hold a key and a text: params and tags of a run or a logged model.

Inside the caller's transaction. The owner's id is the first column of such a table.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Connection,
    Insert,
    Select,
    Table,
    bindparam,
    select,
)

from tracking.chunks import chunks
from tracking.errors import InvalidRequest
from tracking.sql_insert import insert_by, insert_many


def put_texts(connection: Connection, table: Table, owner: str, texts: Mapping[str, str]) -> None:
    """Set texts of a run or model, over those that are there."""
    put_text_rows(connection, table, [(owner, key, value) for key, value in texts.items()])


def put_text_rows(connection: Connection, table: Table, rows: list[tuple[Any, str, str]]) -> None:
    """Set texts of several owners, over those that are there: owner, key, value."""
    if rows:
        insert_many(connection, _put(connection.dialect.name, table), rows)


def add_texts(connection: Connection, table: Table, owner: str, texts: Mapping[str, str]) -> None:
    """Add texts of a run or model that are written once; the same text again is fine.

    Raises:
        InvalidRequest: A key is there with another text.
    """
    there = _there(connection, table, owner, list(texts))
    for key, value in texts.items():
        if there.get(key, value) != value:
            raise InvalidRequest(
                f"Changing param values is not allowed. Param {key!r} of"
                f" {_owner(table).name.removesuffix('_id')} {owner} was logged with value"
                f" {there[key][:200]!r}, the new value is {value[:200]!r}. Use another key."
            )
    new = {key: value for key, value in texts.items() if key not in there}
    if new:
        rows = [(owner, key, value) for key, value in new.items()]
        insert_many(connection, _add(connection.dialect.name, table), rows)


def _there(connection: Connection, table: Table, owner: str, keys: list[str]) -> dict[str, str]:
    there: dict[str, str] = {}
    for chunk in chunks(keys):
        rows = connection.execute(_find(table), {"owner": owner, "keys": chunk})
        there.update({row.key: row.value for row in rows})
    return there


@cache
def _find(table: Table) -> Select[Any]:
    keys: BindParameter[Any] = bindparam("keys", expanding=True)
    return select(table.c.key, table.c.value).where(
        _owner(table) == bindparam("owner"), table.c.key.in_(keys)
    )


@cache
def _add(dialect: str, table: Table) -> Insert:
    return insert_by(dialect, table)


@cache
def _put(dialect: str, table: Table) -> Insert:
    statement = insert_by(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=[_owner(table), table.c.key], set_={"value": statement.excluded.value}
    )


def _owner(table: Table) -> Column[Any]:
    return table.columns[0]
