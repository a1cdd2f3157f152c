"""Searching experiments in SQL. Called by ``tracking.sql_store`` inside a snapshot."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, select

from tracking.errors import InvalidRequest
from tracking.filter import (
    Comparison,
    Operator,
    Order,
    parse_filter,
    parse_order,
    require_few_orders,
)
from tracking.limits import MOST_RUNS, check_max_results
from tracking.page_tokens import place_of, token_for
from tracking.schema import experiment_tags, experiments
from tracking.sql_comparing import compare_entry, compare_number, compare_text
from tracking.sql_experiments import find_number, parse_view, to_experiments
from tracking.wire import ExperimentPage, SearchExperiments, ViewType

_NUMBERS = {"experiment_id", "creation_time", "last_update_time"}
_ATTRIBUTE = {None, "attribute", "attributes", "attr"}
_TAG = {"tag", "tags"}
_NOBODY = -1


def search(connection: Connection, request: SearchExperiments) -> ExperimentPage:
    """Return one page of experiments, the newest first unless another order is asked for.

    Raises:
        InvalidRequest: The filter, order, page size or token is not allowed.
    """
    size = check_max_results(request.max_results, MOST_RUNS)
    query = msgspec.json.encode(msgspec.structs.replace(request, page_token=None, max_results=1))
    offset = int(place_of(request.page_token, query=query)[0]) if request.page_token else 0
    require_few_orders(request.order_by)
    conditions = [_condition(clause) for clause in parse_filter(request.filter)]
    statement = (
        select(experiments)
        .where(*_in_view(parse_view(request.view_type)), *conditions)
        .order_by(*_order([parse_order(text) for text in request.order_by]))
        .limit(size + 1)
        .offset(offset)
    )
    rows = list(connection.execute(statement))
    token = token_for([offset + size], query=query) if len(rows) > size else None
    return ExperimentPage(
        experiments=to_experiments(connection, rows[:size]), next_page_token=token
    )


def _in_view(view: ViewType) -> list[ColumnElement[bool]]:
    if view == "ALL":
        return []
    return [experiments.c.is_deleted if view == "DELETED_ONLY" else ~experiments.c.is_deleted]


def _condition(clause: Comparison) -> ColumnElement[bool]:
    if clause.entity in _TAG:
        owner = experiment_tags.c.experiment_id == experiments.c.experiment_id
        return compare_entry(experiment_tags, owner, clause)
    column = _column(clause.entity, clause.key)
    if clause.key == "experiment_id" and isinstance(clause.value, tuple):
        numbers = [_number_of(text) for text in clause.value]
        return column.in_(numbers) if clause.operator is Operator.IN else column.not_in(numbers)
    if clause.key == "experiment_id" and isinstance(clause.value, str):
        clause = msgspec.structs.replace(clause, value=_number_of(clause.value))
    return (compare_number if clause.key in _NUMBERS else compare_text)(column, clause)


def _number_of(experiment_id: str) -> int:
    number = find_number(experiment_id)
    return _NOBODY if number is None else number


def _order(orders: list[Order]) -> list[ColumnElement[Any]]:
    wanted = [
        column.asc() if order.is_ascending else column.desc()
        for order in orders
        for column in [_column(order.entity, order.key)]
    ]
    return [*wanted, experiments.c.creation_time.desc(), experiments.c.experiment_id.asc()]


def _column(entity: str | None, key: str) -> ColumnElement[Any]:
    if entity in _ATTRIBUTE and key in _NUMBERS | {"name"}:
        return experiments.c[key]
    raise InvalidRequest(
        f"Invalid filter or order: experiments have no {entity or 'attribute'} {key!r}."
        " Use name, experiment_id, creation_time, last_update_time, or tags.<key> in a filter."
    )
