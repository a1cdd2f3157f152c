"""Comparisons of a filter as SQL: the same meaning on SQLite and PostgreSQL, values always bound.

Called by whoever searches a table of ours; says nothing of which entities there are. Who searches
the same with other values builds its statement of ``Open`` clauses, once, and tells the values when
it runs it.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, exists, or_

from tracking.errors import InvalidRequest
from tracking.filter import Comparison, Operator

_TEXT_OPERATORS = {Operator.EQUAL, Operator.UNEQUAL, Operator.LIKE, Operator.ILIKE}
_LIST_OPERATORS = {Operator.IN, Operator.NOT_IN}
_NULL_OPERATORS = {Operator.IS_NULL, Operator.IS_NOT_NULL}
_LIKE = {Operator.LIKE, Operator.ILIKE}
_ESCAPE = "/"
_PLAIN: dict[Operator, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    Operator.EQUAL: operator.eq,
    Operator.UNEQUAL: operator.ne,
    Operator.GREATER: operator.gt,
    Operator.GREATER_EQUAL: operator.ge,
    Operator.LESS: operator.lt,
    Operator.LESS_EQUAL: operator.le,
    Operator.IN: lambda column, values: column.in_(values),
    Operator.NOT_IN: lambda column, values: column.not_in(values),
    Operator.IS_NULL: lambda column, _: column.is_(None),
    Operator.IS_NOT_NULL: lambda column, _: column.is_not(None),
}


class Open(Comparison, frozen=True):
    """A clause whose value is told when its statement is run. Immutable.

    Args:
        name: What the value is bound by; ``value`` is only one of its kind.
    """

    name: str = ""


def open_clauses(clauses: Iterable[Comparison]) -> tuple[Comparison, ...]:
    """Return these clauses without their values."""
    return tuple(_open(place, clause) for place, clause in enumerate(clauses))


def values_of(clauses: Iterable[Comparison]) -> dict[str, Any]:
    """Return what to run a statement of these clauses, opened, with."""
    return {
        _name(place, clause): _pattern(clause) if clause.operator in _LIKE else clause.value
        for place, clause in enumerate(clauses)
        if clause.value is not None
    }


def value_of(column: ColumnElement[Any], clause: Comparison) -> Any:
    """Return what a column is compared with: the value of a clause, or what it will be told."""
    if not isinstance(clause, Open):
        return _pattern(clause) if clause.operator in _LIKE else clause.value
    if isinstance(clause.value, tuple):
        return bindparam(clause.name, expanding=True)
    kind: Any = column.type.coerce_compared_value(None, clause.value)
    return bindparam(clause.name, type_=kind)


def compare_text(column: ColumnElement[Any], clause: Comparison) -> ColumnElement[bool]:
    """Return the condition for a column of text.

    Raises:
        InvalidRequest: The operator or the value does not fit a text.
    """
    is_list = clause.operator in _LIST_OPERATORS
    if not is_list and clause.operator not in _TEXT_OPERATORS | _NULL_OPERATORS:
        raise _unfit(clause, "a text takes =, !=, LIKE, ILIKE, IN and NOT IN")
    if clause.operator in _TEXT_OPERATORS and not isinstance(clause.value, str):
        raise _unfit(clause, "its value must be a quoted string")
    return _condition(column, clause)


def compare_number(column: ColumnElement[Any], clause: Comparison) -> ColumnElement[bool]:
    """Return the condition for a column of numbers.

    Raises:
        InvalidRequest: The operator or the value does not fit a number.
    """
    is_text = clause.operator in {Operator.LIKE, Operator.ILIKE} | _LIST_OPERATORS
    if is_text or isinstance(clause.value, str):
        raise _unfit(clause, "a number takes =, !=, >, >=, < and <=, with a number unquoted")
    return _condition(column, clause)


def compare_entry(
    table: Table, owner: ColumnElement[bool], clause: Comparison
) -> ColumnElement[bool]:
    """Return the condition that a row of keys and texts is there and compares.

    Args:
        table: With columns ``key`` and ``value``.
        owner: Ties the table's rows to the outer row.
        clause: A key that is missing fits no operator but ``IS NULL``.

    Raises:
        InvalidRequest: The operator or the value does not fit a text.
    """
    entry = exists().where(owner, table.c.key == clause.key)
    match clause.operator:
        case Operator.IS_NULL:
            return ~entry
        case Operator.IS_NOT_NULL:
            return entry
        case _:
            return entry.where(compare_text(table.c.value, clause))


def compare_metric(
    table: Table, owner: ColumnElement[bool], clause: Comparison
) -> ColumnElement[bool]:
    """Return the condition that a metric is there and compares; NaN is unequal to every number.

    Raises:
        InvalidRequest: The operator or the value does not fit a number.
    """
    entry = exists().where(owner, table.c.key == clause.key)
    if clause.operator in _NULL_OPERATORS:
        return entry if clause.operator is Operator.IS_NOT_NULL else ~entry
    condition = compare_number(table.c.value, clause)
    if clause.operator is Operator.UNEQUAL:
        return entry.where(or_(table.c.is_nan, condition))
    return entry.where(and_(~table.c.is_nan, condition))


def _condition(column: ColumnElement[Any], clause: Comparison) -> ColumnElement[bool]:
    value = value_of(column, clause)
    if clause.operator is Operator.LIKE:
        return column.like(value, escape=_ESCAPE)
    if clause.operator is Operator.ILIKE:
        return column.ilike(value, escape=_ESCAPE)
    return _PLAIN[clause.operator](column, value)


def _open(place: int, clause: Comparison) -> Comparison:
    if clause.value is None:
        return clause
    kind = type(clause.value)()
    return Open(clause.entity, clause.key, clause.operator, kind, _name(place, clause))


def _name(place: int, clause: Comparison) -> str:
    """Return a name with the kind in it: 0 and 0.0 are equal, and not bound alike."""
    return f"told_{place}_{type(clause.value).__name__}"


def _pattern(clause: Comparison) -> str:
    """Return the pattern with our escape doubled: the dialects disagree about a default one."""
    return str(clause.value).replace(_ESCAPE, 2 * _ESCAPE)


def _unfit(clause: Comparison, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid filter: {clause.key!r} cannot be compared by"
        f" {clause.operator.value!r} like this: {reason}."
    )
