"""Searching models and versions: a filter and an order to one page of keys, by bound parameters.

The grammar is ``tracking.filter``; here stands what its names mean for the registry, and which
operators fit them. Works within the caller's transaction.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, select

from registry.limits import RESULTS_MODELS, RESULTS_VERSIONS, check_max_results
from registry.schema import (
    model_version,
    model_version_tag,
    registered_model,
    registered_model_tag,
)
from registry.wire import SearchRequest
from tracking.errors import InvalidRequest
from tracking.filter import (
    Comparison,
    Operator,
    Order,
    parse_filter,
    parse_order,
    require_few_orders,
)
from tracking.page_tokens import place_of, token_for
from tracking.sql_comparing import compare_entry, compare_number, compare_text

PROMPT_TAG = "mlflow.prompt.is_prompt"
"""What has this tag with ``true`` is a prompt, and is found by whoever asks for prompts only."""

_DEFAULT_MODELS = 100
_DEFAULT_VERSIONS = 10_000

_MODEL_KEYS = {
    "name": registered_model.c.name,
    "creation_timestamp": registered_model.c.created_at,
    "last_updated_timestamp": registered_model.c.updated_at,
    "timestamp": registered_model.c.updated_at,
}
_VERSION_KEYS = {
    "name": model_version.c.model,
    "version_number": model_version.c.version,
    "creation_timestamp": model_version.c.created_at,
    "last_updated_timestamp": model_version.c.updated_at,
    "run_id": model_version.c.run_id,
    "source_path": model_version.c.source,
}
_TEXT_KEYS = frozenset({"name", "run_id", "source_path"})
_FILTER_MODEL = frozenset({"name"})
_FILTER_VERSION = frozenset({"name", "run_id", "source_path", "version_number"})

Columns = Mapping[str, ColumnElement[Any]]


def find_models(connection: Connection, request: SearchRequest) -> tuple[list[str], str | None]:
    """Return the names on one page of models, and the token of the next.

    Raises:
        InvalidRequest: The filter, order, size or token is not one we know.
    """
    size = check_max_results(request.max_results, default=_DEFAULT_MODELS, most=RESULTS_MODELS)
    table = registered_model_tag.c
    prompts = exists().where(table.model == registered_model.c.name, *_says_prompt(table))
    chosen = select(registered_model.c.name)
    query = _filtered(chosen, request, _model_condition, prompts)
    orders = _orders(request, _MODEL_KEYS)
    rows, token = _page(connection, query.order_by(*orders, registered_model.c.name), request, size)
    return [row[0] for row in rows], token


def find_versions(
    connection: Connection, request: SearchRequest
) -> tuple[list[tuple[str, int]], str | None]:
    """Return the keys on one page of versions, and the token of the next.

    Raises:
        InvalidRequest: The filter, order, size or token is not one we know.
    """
    size = check_max_results(request.max_results, default=_DEFAULT_VERSIONS, most=RESULTS_VERSIONS)
    chosen = select(model_version.c.model, model_version.c.version)
    table = model_version_tag.c
    prompts = exists().where(table.model == model_version.c.model, *_says_prompt(table))
    query = _filtered(chosen, request, _version_condition, prompts)
    orders = _orders(request, _VERSION_KEYS) or [model_version.c.updated_at.desc()]
    ties = (model_version.c.model, model_version.c.version.desc())
    rows, token = _page(connection, query.order_by(*orders, *ties), request, size)
    return [(row[0], row[1]) for row in rows], token


def _filtered(
    query: Select[Any],
    request: SearchRequest,
    condition: Callable[[Comparison], ColumnElement[bool]],
    prompts: ColumnElement[bool],
) -> Select[Any]:
    """Narrow a query to what a filter finds: models, or prompts for whoever asks for those."""
    clauses = parse_filter(request.filter)
    naming = [clause for clause in clauses if _names_prompts(clause)]
    if naming and _asks_for_prompts(naming[0]):
        return query.where(*map(condition, clauses))
    others = (clause for clause in clauses if clause not in naming)
    return query.where(*map(condition, others), ~prompts)


def _says_prompt(table: Any) -> tuple[ColumnElement[bool], ...]:
    return (table.key == PROMPT_TAG, table.value == "true")


def _names_prompts(clause: Comparison) -> bool:
    return clause.entity in ("tag", "tags") and clause.key == PROMPT_TAG


def _asks_for_prompts(clause: Comparison) -> bool:
    """Return whether a clause wants prompts; any other clause of that tag wants models alone."""
    value = str(clause.value).lower()
    wanted = (Operator.EQUAL, "true"), (Operator.UNEQUAL, "false")
    return (clause.operator, value) in wanted


def _model_condition(clause: Comparison) -> ColumnElement[bool]:
    if clause.entity in ("tag", "tags"):
        table = registered_model_tag
        return compare_entry(table, table.c.model == registered_model.c.name, clause)
    return _key_condition(clause, _MODEL_KEYS, _FILTER_MODEL)


def _version_condition(clause: Comparison) -> ColumnElement[bool]:
    if clause.entity in ("tag", "tags"):
        table = model_version_tag
        of = and_(
            table.c.model == model_version.c.model, table.c.version == model_version.c.version
        )
        return compare_entry(table, of, clause)
    return _key_condition(clause, _VERSION_KEYS, _FILTER_VERSION)


def _key_condition(
    clause: Comparison, columns: Columns, allowed: frozenset[str]
) -> ColumnElement[bool]:
    if clause.entity not in (None, "attribute", "attributes") or clause.key not in allowed:
        names = ", ".join(sorted(allowed))
        message = f"Invalid filter: {clause.key!r} is not an attribute; use {names}, or tags.key."
        raise InvalidRequest(message)
    column = columns[clause.key]
    if clause.key in _TEXT_KEYS:
        return compare_text(column, clause)
    return compare_number(column, clause)


def _orders(request: SearchRequest, columns: Columns) -> list[ColumnElement[Any]]:
    require_few_orders(request.order_by)
    return [_ordered(parse_order(text), columns) for text in request.order_by]


def _ordered(order: Order, columns: Columns) -> ColumnElement[Any]:
    column = columns.get(order.key)
    if column is None or order.entity not in (None, "attribute", "attributes"):
        names = ", ".join(sorted(columns))
        raise InvalidRequest(f"Invalid order_by key {order.key!r}: use {names}.")
    return column.asc() if order.is_ascending else column.desc()


def _page(
    connection: Connection, query: Select[Any], request: SearchRequest, size: int
) -> tuple[list[Any], str | None]:
    asked = msgspec.json.encode([request.filter, request.order_by])
    start = int(place_of(request.page_token, query=asked)[0]) if request.page_token else 0
    rows = list(connection.execute(query.limit(size + 1).offset(start)))
    token = token_for([start + size], query=asked) if len(rows) > size else None
    return rows[:size], token
