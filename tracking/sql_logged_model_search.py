"""Searching logged models in SQL. Called by ``tracking.sql_store`` inside a snapshot."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from tracking.errors import InvalidRequest
from tracking.filter import Comparison, parse_filter, parse_order, require_few_orders
from tracking.limits import check_max_results, check_text
from tracking.model_limits import MOST_MODELS
from tracking.page_tokens import place_of, token_for
from tracking.schema import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from tracking.sql_comparing import compare_entry, compare_number, compare_text
from tracking.sql_experiments import find_numbers
from tracking.sql_lists import is_among, listed
from tracking.sql_logged_models import to_models
from tracking.wire_models import (
    DatasetReference,
    LoggedModelOrder,
    LoggedModelPage,
    SearchLoggedModels,
)

_ATTRIBUTE = {None, "attribute", "attributes", "attr"}
_METRIC = {"metric", "metrics"}
_PARAM = {"param", "params", "parameter", "parameters"}
_TAG = {"tag", "tags"}
_TEXTS = {"name", "model_id", "model_type", "status", "source_run_id"}
_NUMBERS = {
    "creation_timestamp": "creation_time",
    "creation_timestamp_ms": "creation_time",
    "creation_time": "creation_time",
    "last_updated_timestamp": "last_update_time",
    "last_updated_timestamp_ms": "last_update_time",
}
_NAMED, _WHOLE = "=", ":"
_SHORT_STATUSES = {"PENDING", "READY", "UPLOAD_FAILED"}


def search(connection: Connection, request: SearchLoggedModels) -> LoggedModelPage:
    """Return one page of logged models, the latest first unless another order is asked for.

    Raises:
        InvalidRequest: The filter, order, page size or token is not allowed.
    """
    size = check_max_results(request.max_results, MOST_MODELS)
    query = msgspec.json.encode(msgspec.structs.replace(request, page_token=None, max_results=1))
    offset = int(place_of(request.page_token, query=query)[0]) if request.page_token else 0
    statement = _ordered(_filtered(connection.dialect.name, request), request.order_by)
    datasets = listed(connection, sorted(map(_told, request.datasets)))
    rows = connection.execute(statement.limit(size + 1).offset(offset), datasets).all()
    token = token_for([offset + size], query=query) if len(rows) > size else None
    return LoggedModelPage(models=to_models(connection, rows[:size]), next_page_token=token)


def _filtered(dialect: str, request: SearchLoggedModels) -> Select[Any]:
    clauses = parse_filter(request.filter)
    is_read = _of_datasets(dialect) if request.datasets else None
    statement = select(logged_models).where(
        logged_models.c.experiment_id.in_(find_numbers(request.experiment_ids)),
        ~logged_models.c.is_deleted,
        *[_condition(clause, is_read) for clause in clauses],
    )
    if is_read is not None and not any(clause.entity in _METRIC for clause in clauses):
        return statement.where(exists().where(_owned(), is_read))
    return statement


def _condition(clause: Comparison, is_read: ColumnElement[bool] | None) -> ColumnElement[bool]:
    if clause.entity in _METRIC:
        return _compare_point(clause, is_read)
    if clause.entity in _PARAM:
        owner = logged_model_params.c.model_id == logged_models.c.model_id
        return compare_entry(logged_model_params, owner, clause)
    if clause.entity in _TAG:
        owner = logged_model_tags.c.model_id == logged_models.c.model_id
        return compare_entry(logged_model_tags, owner, clause)
    column = _attribute(clause.entity, clause.key)
    if clause.key in _NUMBERS:
        return compare_number(column, clause)
    return compare_text(column, _with_long_status(clause) if clause.key == "status" else clause)


def _compare_point(clause: Comparison, is_read: ColumnElement[bool] | None) -> ColumnElement[bool]:
    """Return the condition that a point of the metric compares; NaN compares with nothing."""
    table = logged_model_metrics.c
    entry = exists().where(_owned(), table.key == clause.key, ~table.is_nan)
    if is_read is not None:
        entry = entry.where(is_read)
    return entry.where(compare_number(table.value, clause))


def _owned() -> ColumnElement[bool]:
    return logged_model_metrics.c.model_id == logged_models.c.model_id


def _of_datasets(dialect: str) -> ColumnElement[bool]:
    """Return the condition that a point is of a dataset in the list, each of which is a text.

    A condition for each of them would be a tree that is too deep for SQLite.
    """
    table = logged_model_metrics.c
    length = cast(func.length(table.dataset_name), String)
    named = literal(_NAMED) + table.dataset_name
    whole = length + literal(_WHOLE) + table.dataset_name + table.dataset_digest
    return or_(is_among(dialect, named), is_among(dialect, whole))


def _told(dataset: DatasetReference) -> str:
    """Return the text that stands for a dataset: no name with a digest is another's, or none."""
    name = check_text(dataset.dataset_name, "dataset_name")
    digest = check_text(dataset.dataset_digest, "dataset_digest")
    return f"{len(name)}{_WHOLE}{name}{digest}" if digest else f"{_NAMED}{name}"


def _of_dataset(name: str, digest: str) -> ColumnElement[bool]:
    table = logged_model_metrics.c
    has_name = table.dataset_name == name
    return and_(has_name, table.dataset_digest == digest) if digest else has_name


def _with_long_status(clause: Comparison) -> Comparison:
    """Let a status be asked for by the name that users know: READY for LOGGED_MODEL_READY."""
    if isinstance(clause.value, tuple):
        value: Any = tuple(map(_long_status, clause.value))
    else:
        value = _long_status(clause.value)
    return msgspec.structs.replace(clause, value=value)


def _long_status(value: object) -> object:
    return f"LOGGED_MODEL_{value}" if value in _SHORT_STATUSES else value


def _ordered(statement: Select[Any], orders: Sequence[LoggedModelOrder]) -> Select[Any]:
    require_few_orders(orders)
    for order in orders:
        statement = _ordered_by(statement, order)
    return statement.order_by(logged_models.c.creation_time.desc(), logged_models.c.model_id)


def _ordered_by(statement: Select[Any], order: LoggedModelOrder) -> Select[Any]:
    """Add one order: missing values last in both directions, NaN just before them."""
    parsed = parse_order(order.field_name)
    if parsed.entity not in _METRIC:
        value: ColumnElement[Any] = _attribute(parsed.entity, parsed.key)
        return statement.order_by(value.asc() if order.ascending else value.desc())
    latest = _latest_points(parsed.key, order)
    statement = statement.outerjoin(latest, latest.c.model_id == logged_models.c.model_id)
    rank = case((latest.c.value.is_(None), 2), (latest.c.is_nan, 1), else_=0)
    value = latest.c.value
    return statement.order_by(rank, value.asc() if order.ascending else value.desc())


def _latest_points(key: str, order: LoggedModelOrder) -> FromClause:
    """Return the last point of a metric of each model, perhaps of one dataset only."""
    table = logged_model_metrics.c
    newest_first = (table.timestamp.desc(), table.step.desc(), table.value.desc(), table.run_id)
    place = func.row_number().over(partition_by=table.model_id, order_by=newest_first)
    numbered = select(table.model_id, table.value, table.is_nan, place.label("place")).where(
        table.key == key
    )
    if order.dataset_name:
        numbered = numbered.where(_of_dataset(order.dataset_name, order.dataset_digest))
    points = numbered.subquery()
    return select(points).where(points.c.place == 1).subquery()


def _attribute(entity: str | None, key: str) -> Any:
    name = _NUMBERS.get(key, key)
    if entity in _ATTRIBUTE and (key in _NUMBERS or key in _TEXTS):
        return logged_models.c[name]
    known = ", ".join(sorted(_TEXTS | {"creation_timestamp", "last_updated_timestamp"}))
    raise InvalidRequest(
        f"Invalid filter or order: logged models have no {entity or 'attribute'} {key!r}."
        f" Use metrics.<key>, params.<key>, tags.<key>, or one of {known}."
    )
