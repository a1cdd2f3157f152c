"""Searching runs in SQL. Called by ``tracking.sql_store`` inside a snapshot."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, exists, false, select

from tracking.errors import InvalidRequest
from tracking.filter import Comparison, Order, parse_filter, parse_order
from tracking.limits import MOST_RUNS, check_max_results
from tracking.page_tokens import place_of, token_for
from tracking.schema import datasets, latest_metrics, params, run_datasets, runs, tags
from tracking.sql_comparing import compare_entry, compare_metric, compare_number, compare_text
from tracking.sql_experiments import find_number, parse_view
from tracking.sql_run_contents import to_runs
from tracking.wire import RunPage, SearchRuns, ViewType

_ATTRIBUTE = {None, "attribute", "attributes", "attr", "run"}
_METRIC = {"metric", "metrics"}
_PARAM = {"param", "params", "parameter", "parameters"}
_TAG = {"tag", "tags"}
_DATASET = {"dataset", "datasets"}
_TEXTS = {"run_id", "run_name", "status", "user_id", "artifact_uri"}
_NUMBERS = {"start_time", "end_time"}
_DATASET_COLUMNS: dict[str, ColumnElement[Any]] = {
    "name": datasets.c.name,
    "digest": datasets.c.digest,
    "context": run_datasets.c.context,
}
_OTHER_NAMES = {"created": "start_time", "run name": "run_name", "Run name": "run_name"}


def search(connection: Connection, request: SearchRuns) -> RunPage:
    """Return one page of runs, the latest first unless another order is asked for.

    Raises:
        InvalidRequest: The filter, order, page size or token is not allowed.
    """
    size = check_max_results(request.max_results, MOST_RUNS)
    query = msgspec.json.encode(msgspec.structs.replace(request, page_token=None, max_results=1))
    offset = int(place_of(request.page_token, query=query)[0]) if request.page_token else 0
    orders = [parse_order(text) for text in request.order_by]
    rows = _measured_first(connection, request, orders, offset=offset, most=size + 1)
    if len(rows) <= size:
        statement = _ordered(_filtered(request, runs.c.experiment_id), orders)
        rows = connection.execute(statement.limit(size + 1).offset(offset)).all()
    token = token_for([offset + size], query=query) if len(rows) > size else None
    return RunPage(runs=to_runs(connection, rows[:size]), next_page_token=token)


def _measured_first(
    connection: Connection, request: SearchRuns, orders: list[Order], *, offset: int, most: int
) -> Sequence[Row[Any]]:
    """Return the rows of a page if its order begins with a metric that enough runs have, else few.

    Runs without the metric come last in any order, so that a full page of those that have it is the
    page. An index gives them in order, one by one, however many there are; the sum keeps SQLite
    from going through all runs of the experiment instead.
    """
    if not orders or orders[0].entity not in _METRIC:
        return []
    table, order = latest_metrics.alias(), orders[0]
    has = and_(table.c.run_id == runs.c.run_id, table.c.key == order.key, ~table.c.is_nan)
    statement = _filtered(request, runs.c.experiment_id + 0).join(table, has)
    statement = statement.order_by(
        table.c.value.asc() if order.is_ascending else table.c.value.desc()
    )
    return connection.execute(_ordered(statement, orders[1:]).limit(most).offset(offset)).all()


def _filtered(request: SearchRuns, experiment_id: ColumnElement[int]) -> Select[Any]:
    numbers = [find_number(experiment_id) for experiment_id in request.experiment_ids]
    conditions = [_condition(clause) for clause in parse_filter(request.filter)]
    return select(runs).where(
        experiment_id.in_([number for number in numbers if number is not None]),
        *_in_view(parse_view(request.run_view_type)),
        *conditions,
    )


def _in_view(view: ViewType) -> list[ColumnElement[bool]]:
    if view == "ALL":
        return []
    return [runs.c.is_deleted if view == "DELETED_ONLY" else ~runs.c.is_deleted]


def _condition(clause: Comparison) -> ColumnElement[bool]:
    if clause.entity in _METRIC:
        return compare_metric(latest_metrics, latest_metrics.c.run_id == runs.c.run_id, clause)
    if clause.entity in _PARAM:
        return compare_entry(params, params.c.run_id == runs.c.run_id, clause)
    if clause.entity in _TAG:
        return compare_entry(tags, tags.c.run_id == runs.c.run_id, clause)
    if clause.entity in _DATASET:
        return _read_dataset(clause)
    column = _attribute(clause.entity, clause.key)
    is_number = column.name in _NUMBERS
    return (compare_number if is_number else compare_text)(column, clause)


def _read_dataset(clause: Comparison) -> ColumnElement[bool]:
    """Return the condition that a run read a dataset whose name, digest or context compares."""
    if clause.key not in _DATASET_COLUMNS:
        raise _unknown(clause.entity, clause.key)
    column = _DATASET_COLUMNS[clause.key]
    entry = exists().where(
        run_datasets.c.run_id == runs.c.run_id, run_datasets.c.dataset_id == datasets.c.dataset_id
    )
    return entry.where(compare_text(column, clause))


def _ordered(statement: Select[Any], orders: list[Order]) -> Select[Any]:
    for order in orders:
        statement = _ordered_by(statement, order)
    return statement.order_by(runs.c.start_time.desc(), runs.c.run_id)


def _ordered_by(statement: Select[Any], order: Order) -> Select[Any]:
    """Add one order: missing values last in both directions, NaN just before them."""
    if order.entity in _ATTRIBUTE:
        value: ColumnElement[Any] = _attribute(order.entity, order.key)
        is_nan: ColumnElement[bool] = false()
    else:
        table = _table(order).alias()
        key = and_(table.c.run_id == runs.c.run_id, table.c.key == order.key)
        statement = statement.outerjoin(table, key)
        value = table.c.value
        is_nan = table.c.is_nan if order.entity in _METRIC else false()
    rank = case((value.is_(None), 2), (is_nan, 1), else_=0)
    return statement.order_by(rank, value.asc() if order.is_ascending else value.desc())


def _table(order: Order) -> Any:
    for entities, table in ((_METRIC, latest_metrics), (_PARAM, params), (_TAG, tags)):
        if order.entity in entities:
            return table
    raise _unknown(order.entity, order.key)


def _attribute(entity: str | None, key: str) -> Any:
    name = _OTHER_NAMES.get(key, key)
    if entity in _ATTRIBUTE and name in _TEXTS | _NUMBERS:
        return runs.c[name]
    raise _unknown(entity, key)


def _unknown(entity: str | None, key: str) -> InvalidRequest:
    attributes = ", ".join(sorted(_TEXTS | _NUMBERS))
    return InvalidRequest(
        f"Invalid filter or order: runs have no {entity or 'attribute'} {key!r}."
        " Use metrics.<key>, params.<key>, tags.<key>, in a filter datasets.name, .digest or"
        f" .context, or one of {attributes}."
    )
