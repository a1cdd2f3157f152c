"""What SQLite's indexes know about a search for runs, for ``tracking.search_plans`` to choose by.

PostgreSQL keeps statistics and is not asked. Called by ``tracking.sql_run_search`` in its snapshot;
each statement is built once.
"""

from functools import cache, lru_cache
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Table,
    bindparam,
    func,
    literal,
    literal_column,
    select,
)

from tracking.filter import Comparison, Operator
from tracking.schema import runs
from tracking.search_plans import MOST_COUNTED, Counted
from tracking.sql_reading import fetch
from tracking.sql_run_conditions import Wanted, fitting_entries, is_indexed, table_of

_MOST_KEPT = 64
_NUMBERS, _KEY, _VALUE = "numbers", "of_key_", "of_value_"


def count(connection: Connection, clauses: list[Comparison], wanted: Wanted) -> Counted | None:
    """Return what the indexes hold, or ``None`` where the database knows better.

    Args:
        connection: In a snapshot.
        clauses: Those that ``has_index``.
        wanted: What is searched for.
    """
    if connection.dialect.name != "sqlite":
        return None
    asked = tuple((table_of(clause.entity), clause.operator) for clause in clauses)
    values: dict[str, Any] = {_NUMBERS: msgspec.json.encode(wanted.experiments).decode()}
    for place, clause in enumerate(clauses):
        values |= {f"{_KEY}{place}": clause.key, f"{_VALUE}{place}": clause.value}
    ((held, last, *found),) = fetch(connection, _counts(asked), values)
    return Counted(found, held, last or 0)


def has_long(connection: Connection, table: Table, key: str) -> bool:
    """Tell whether a param or tag of that key is too long for the index, in any run."""
    return connection.execute(_long(table), {"key": key}).first() is not None


@lru_cache(_MOST_KEPT)
def _counts(asked: tuple[tuple[Any, Operator], ...]) -> Select[Any]:
    """Return what counts the runs of experiments, and the entries of each of these clauses."""
    told = func.json_each(bindparam(_NUMBERS)).table_valued("value")
    held = runs.c.experiment_id.in_(select(told.c.value))
    # Rows are numbered in the order they came: the last number is about how many there are.
    last = select(func.max(literal_column("rowid"))).select_from(runs).scalar_subquery()
    found = [
        _up_to_most(table, _fitting(place, table, operator))
        for place, (table, operator) in enumerate(asked)
    ]
    return select(_up_to_most(runs, held), last, *found)


def _fitting(place: int, table: Any, operator: Operator) -> ColumnElement[bool]:
    value = bindparam(f"{_VALUE}{place}", type_=table.c.value.type)
    return fitting_entries(table, operator, key=bindparam(f"{_KEY}{place}"), value=value)


def _up_to_most(table: Table, condition: ColumnElement[bool]) -> ScalarSelect[int]:
    some = select(literal(1)).select_from(table).where(condition).limit(MOST_COUNTED)
    return select(func.count()).select_from(some.subquery()).scalar_subquery()


@cache
def _long(table: Table) -> Select[Any]:
    is_long = ~is_indexed(table)
    return select(table.c.key).where(table.c.key == bindparam("key"), is_long).limit(1)
