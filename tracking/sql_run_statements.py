"""The statements of a search for runs: one for each beginning that ``search_plans`` can choose.

Called by ``tracking.sql_run_search``. Building a statement takes longer than running it: those of
the last searches are kept, and hold no values, because who searches once searches for more.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    select,
    union_all,
)

from tracking.filter import Comparison, Order
from tracking.schema import latest_metrics, runs
from tracking.sql_comparing import value_of
from tracking.sql_run_conditions import (
    Wanted,
    compare,
    directed,
    fitting_entries,
    is_attribute,
    is_indexed,
    ordered,
    table_of,
)

OFFSET, MOST, REACH = "offset", "most", "reach"
"""What to execute them with: how many to pass over, how many to return, and the sum of both."""

_MOST_KEPT = 64
_MOST_BRANCHES = 40
_MOST_CONDITIONS = 200


@lru_cache(_MOST_KEPT)
def by_clause(wanted: Wanted, first: Comparison) -> Select[Any]:
    """Return the runs that fit, beginning with the entries that fit one clause."""
    entries: Any = entries_of(first).alias("first")
    others = [clause for clause in wanted.clauses if clause is not first]
    told = value_of(entries.c.value, first)
    fitting = select(entries.c.run_id).where(
        fitting_entries(entries, first.operator, key=first.key, value=told),
        *(compare(c, entries.c.run_id) for c in others if not is_attribute(c.entity)),
    )
    statement = select(runs).where(
        runs.c.run_id.in_(fitting),
        *_anywhere(wanted),
        *(compare(c, runs.c.run_id) for c in others if is_attribute(c.entity)),
    )
    return _part_of(ordered(statement, wanted.orders))


@lru_cache(_MOST_KEPT)
def by_runs(wanted: Wanted, *, is_by_start: bool) -> Select[Any]:
    """Return runs in the order of their start, or after all were put in another order.

    An index has the runs of one experiment and life cycle by start: with several of them, only as
    many of each are looked at as the page may need.
    """
    conditions = _conditions(wanted)
    branches = [(number, gone) for number in wanted.experiments for gone in wanted.lifecycles]
    size = len(branches) * (1 + len(conditions))
    is_small = len(branches) <= _MOST_BRANCHES and size <= _MOST_CONDITIONS
    if len(branches) == 1 or not is_by_start or not is_small:
        statement = select(runs).where(*_within(wanted), *conditions)
        return _part_of(ordered(statement, wanted.orders))
    of_branches = (
        select(runs.c.run_id).where(runs.c.experiment_id == number, _is_gone(gone), *conditions)
        for number, gone in branches
    )
    reach = bindparam(REACH, type_=Integer)
    tops = [ordered(branch, wanted.orders).limit(reach).subquery() for branch in of_branches]
    found = union_all(*(select(top.c.run_id) for top in tops))
    return _part_of(ordered(select(runs).where(runs.c.run_id.in_(found)), wanted.orders))


@lru_cache(_MOST_KEPT)
def by_entries(wanted: Wanted) -> list[tuple[Select[Any], Select[Any]]]:
    """Return runs in the order of a metric, param or tag, one after the other from its index.

    Those with a value come first in any order, then those with NaN, then those without: a
    statement for each, and one that counts the same.
    """
    first, rest = wanted.orders[0], list(wanted.orders[1:])
    table = entries_of(first)
    entry = table.alias("entry")
    has = and_(entry.c.run_id == runs.c.run_id, entry.c.key == first.key)
    told = select(runs).where(*_anywhere(wanted), *_conditions(wanted))
    is_told = ~entry.c.is_nan if table is latest_metrics else is_indexed(entry)
    segments = [told.join(entry, and_(has, is_told)).order_by(directed(entry.c.value, first))]
    if table is latest_metrics:
        segments.append(told.join(entry, and_(has, entry.c.is_nan)))
    missing = ~exists().where(has)
    segments.append(select(runs).where(*_within(wanted), *_conditions(wanted), missing))
    return [(_part_of(ordered(segment, rest)), _count_of(segment)) for segment in segments]


def entries_of(asked: Comparison | Order) -> Table:
    """Return the table of a clause or order that is about entries."""
    table = table_of(asked.entity)
    if table is None:
        raise TypeError(f"{asked!r} is not about entries with keys")
    return table


def _part_of(statement: Select[Any]) -> Select[Any]:
    most, offset = bindparam(MOST, type_=Integer), bindparam(OFFSET, type_=Integer)
    return statement.limit(most).offset(offset)


def _count_of(statement: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(statement.order_by(None).subquery())


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    return [compare(clause, runs.c.run_id) for clause in wanted.clauses]


def _within(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return the conditions that runs are of the experiments, and in view."""
    return [runs.c.experiment_id.in_(wanted.experiments), *_in_view(wanted)]


def _anywhere(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return the same in words that keep SQLite from beginning with the experiments."""
    return [(runs.c.experiment_id + 0).in_(wanted.experiments), *_in_view(wanted)]


def _in_view(wanted: Wanted) -> list[ColumnElement[bool]]:
    return [_is_gone(wanted.lifecycles[0])] if len(wanted.lifecycles) == 1 else []


def _is_gone(is_gone: bool) -> ColumnElement[bool]:  # noqa: FBT001 - of a row
    return runs.c.is_deleted if is_gone else ~runs.c.is_deleted
