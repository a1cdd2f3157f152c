"""Rows that hold a key and a text: params and tags of a run or a logged model.

Inside the caller's transaction. The owner's id is the first column of such a table.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, insert, select

from tracking.chunks import chunks
from tracking.errors import InvalidRequest


def put_texts(connection: Connection, table: Table, owner: str, texts: Mapping[str, str]) -> None:
    """Set texts of a run or model, over those that are there."""
    if not texts:
        return
    for keys in chunks(list(texts)):
        connection.execute(delete(table).where(_owner(table) == owner, table.c.key.in_(keys)))
    _insert(connection, table, owner, texts)


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
    _insert(connection, table, owner, new)


def _there(connection: Connection, table: Table, owner: str, keys: list[str]) -> dict[str, str]:
    there: dict[str, str] = {}
    for chunk in chunks(keys):
        statement = select(table.c.key, table.c.value).where(
            _owner(table) == owner, table.c.key.in_(chunk)
        )
        there.update({row.key: row.value for row in connection.execute(statement)})
    return there


def _insert(connection: Connection, table: Table, owner: str, texts: Mapping[str, str]) -> None:
    rows = [{_owner(table).name: owner, "key": key, "value": value} for key, value in texts.items()]
    if rows:
        connection.execute(insert(table), rows)


def _owner(table: Table) -> Column[Any]:
    return table.columns[0]
