"""What SQLite's indexes know about a search for runs, for ``tracking.search_plans`` to choose by.

PostgreSQL keeps statistics and is not asked. Called by ``tracking.sql_run_search`` in its snapshot;
each statement is built once.
"""

from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, func, literal, literal_column, select

from tracking.filter import Comparison, Operator
from tracking.schema import runs
from tracking.search_plans import MOST_COUNTED, Counted
from tracking.sql_run_conditions import Wanted, fitting_entries, is_indexed, table_of

_RUNS_HELD = select(
    select(func.count())
    .select_from(
        select(literal(1))
        .select_from(runs)
        .where(runs.c.experiment_id.in_(bindparam("numbers", expanding=True)))
        .limit(MOST_COUNTED)
        .subquery()
    )
    .scalar_subquery(),
    # Rows are numbered in the order they came: the last number is about how many there are.
    select(func.max(literal_column("rowid"))).select_from(runs).scalar_subquery(),
)


def count(connection: Connection, clauses: list[Comparison], wanted: Wanted) -> Counted | None:
    """Return what the indexes hold, or ``None`` where the database knows better.

    Args:
        connection: In a snapshot.
        clauses: Those that ``has_index``.
        wanted: What is searched for.
    """
    if connection.dialect.name != "sqlite":
        return None
    found = [_entries(connection, clause) for clause in clauses]
    held, last = connection.execute(_RUNS_HELD, {"numbers": wanted.experiments}).one()
    return Counted(found, held, last or 0)


def has_long(connection: Connection, table: Table, key: str) -> bool:
    """Tell whether a param or tag of that key is too long for the index, in any run."""
    return connection.execute(_long(table), {"key": key}).first() is not None


def _entries(connection: Connection, clause: Comparison) -> int:
    statement = _entries_of(table_of(clause.entity), clause.operator)
    values = {"key": clause.key, "value": clause.value}
    number: int = connection.execute(statement, values).scalar_one()
    return number


@cache
def _entries_of(table: Any, operator: Operator) -> Select[Any]:
    value = bindparam("value", type_=table.c.value.type)
    fitting = fitting_entries(table, operator, key=bindparam("key"), value=value)
    some = select(literal(1)).select_from(table).where(fitting).limit(MOST_COUNTED)
    return select(func.count()).select_from(some.subquery())


@cache
def _long(table: Table) -> Select[Any]:
    is_long = ~is_indexed(table)
    return select(table.c.key).where(table.c.key == bindparam("key"), is_long).limit(1)
