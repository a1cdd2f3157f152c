"""What the clauses and orders of a search for runs mean in SQL.

Called by ``tracking.sql_run_search``. Conditions on entries (metrics, params, tags, datasets) take
the column that names their run, so that they can hang on any table that has one.
"""

import operator as operators
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    and_,
    case,
    exists,
    false,
    func,
    literal_column,
)

from tracking.errors import InvalidRequest
from tracking.filter import Comparison, Operator, Order
from tracking.schema import (
    LONGEST_INDEXED,
    datasets,
    latest_metrics,
    params,
    run_datasets,
    runs,
    tags,
)
from tracking.sql_comparing import compare_entry, compare_metric, compare_number, compare_text

_ATTRIBUTE = {None, "attribute", "attributes", "attr", "run"}
_TABLES: dict[str | None, Table] = {
    **dict.fromkeys(("metric", "metrics"), latest_metrics),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), params),
    **dict.fromkeys(("tag", "tags"), tags),
}
_DATASET = {"dataset", "datasets"}
_TEXTS = {"run_id", "run_name", "status", "user_id", "artifact_uri"}
_NUMBERS = {"start_time", "end_time"}
_DATASET_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": datasets.c.name,
    "digest": datasets.c.digest,
    "context": run_datasets.c.context,
}
_OTHER_NAMES = {
    **dict.fromkeys(("created", "Created"), "start_time"),
    **dict.fromkeys(("run name", "Run name", "Run Name"), "run_name"),
}
RANGES: dict[Operator, Callable[[Any, Any], ColumnElement[bool]]] = {
    Operator.EQUAL: operators.eq,
    Operator.GREATER: operators.gt,
    Operator.GREATER_EQUAL: operators.ge,
    Operator.LESS: operators.lt,
    Operator.LESS_EQUAL: operators.le,
}
"""The comparisons that an index of numbers answers."""


class Wanted(Struct, frozen=True):
    """What a search asks for, parsed. Immutable.

    Args:
        clauses: All of them have to fit.
        orders: The first counts most; runs that are alike come by start, the latest first.
        experiments: Numbers of experiments.
        lifecycles: Whether runs are deleted: one of both, or both.
    """

    clauses: tuple[Comparison, ...]
    orders: tuple[Order, ...]
    experiments: tuple[int, ...]
    lifecycles: tuple[bool, ...]


def is_attribute(entity: str | None) -> bool:
    """Tell whether an entity stands for the columns of a run itself."""
    return entity in _ATTRIBUTE


def table_of(entity: str | None) -> Table | None:
    """Return the table of an entity whose entries have keys, or ``None`` for another entity."""
    return _TABLES.get(entity)


def compare(clause: Comparison, run_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a clause fits the run of that id.

    Raises:
        InvalidRequest: Runs have nothing like it, or it cannot be compared so.
    """
    table = table_of(clause.entity)
    if table is latest_metrics:
        return compare_metric(table, table.c.run_id == run_id, clause)
    if table is not None:
        return compare_entry(table, table.c.run_id == run_id, clause)
    if clause.entity in _DATASET:
        return _compare_dataset(clause, run_id)
    column = attribute(clause.entity, clause.key)
    return (compare_number if column.name in _NUMBERS else compare_text)(column, clause)


def has_index(clause: Comparison) -> bool:
    """Tell whether an index has the entries that fit a clause, which was compared before."""
    table = table_of(clause.entity)
    if table is latest_metrics:
        return clause.operator in RANGES
    is_short = isinstance(clause.value, str) and len(clause.value) <= LONGEST_INDEXED
    return table is not None and clause.operator is Operator.EQUAL and is_short


def fitting_entries(table: Any, operator: Operator, *, key: Any, value: Any) -> ColumnElement[bool]:
    """Return the condition on the entries that fit a clause, as their index finds them.

    Args:
        table: That of the clause's entity, or an alias of it.
        operator: Of a clause that ``has_index``.
        key: The clause's, or a value to be bound.
        value: The same.
    """
    compared = RANGES[operator](table.c.value, value)
    is_known = ~table.c.is_nan if "is_nan" in table.c else is_indexed(table)
    return and_(table.c.key == key, is_known, compared)


def is_indexed(table: Any) -> ColumnElement[bool]:
    """Return the condition that a param or tag is in the index, in the very words of the index."""
    return func.length(table.c.value) <= literal_column(str(LONGEST_INDEXED))


def attribute(entity: str | None, key: str) -> Column[Any]:
    """Return the column that an attribute of runs stands for.

    Raises:
        InvalidRequest: Runs have no such attribute, or it is none.
    """
    name = _OTHER_NAMES.get(key, key)
    if entity in _ATTRIBUTE and name in _TEXTS | _NUMBERS:
        return runs.c[name]
    attributes = ", ".join(sorted(_TEXTS | _NUMBERS))
    raise InvalidRequest(
        f"Invalid filter or order: runs have no {entity or 'attribute'} {key!r}."
        " Use metrics.<key>, params.<key>, tags.<key>, in a filter datasets.name, .digest or"
        f" .context, or one of {attributes}."
    )


def ordered(statement: Select[Any], orders: Sequence[Order]) -> Select[Any]:
    """Put runs in an order, and those that are alike by start, the latest first.

    Raises:
        InvalidRequest: Runs have nothing like one of the orders.
    """
    for order in orders:
        statement = _ordered_by(statement, order)
    return statement.order_by(runs.c.start_time.desc(), runs.c.run_id)


def directed(value: ColumnElement[Any], order: Order) -> ColumnElement[Any]:
    """Return a value as an order wants it, upwards or downwards."""
    return value.asc() if order.is_ascending else value.desc()


def _ordered_by(statement: Select[Any], order: Order) -> Select[Any]:
    """Add one order: missing values last in both directions, NaN just before them."""
    table = table_of(order.entity)
    if table is None:
        column = attribute(order.entity, order.key)
        if column.nullable:
            statement = statement.order_by(case((column.is_(None), 1), else_=0))
        return statement.order_by(directed(column, order))
    entry = table.alias()
    key = and_(entry.c.run_id == runs.c.run_id, entry.c.key == order.key)
    is_nan = entry.c.is_nan if table is latest_metrics else false()
    rank = case((entry.c.value.is_(None), 2), (is_nan, 1), else_=0)
    statement = statement.outerjoin(entry, key)
    return statement.order_by(rank, directed(entry.c.value, order))


def _compare_dataset(clause: Comparison, run_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a run read a dataset whose name, digest or context compares."""
    if clause.key not in _DATASET_COLUMNS:
        attribute(clause.entity, clause.key)
    column = _DATASET_COLUMNS[clause.key]
    entry = exists().where(
        run_datasets.c.run_id == run_id, run_datasets.c.dataset_id == datasets.c.dataset_id
    )
    return entry.where(compare_text(column, clause))
