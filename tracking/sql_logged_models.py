"""Logged models in SQL: functions on a connection, inside the transaction of whoever calls.

Called by ``tracking.sql_store``; the registry asks where a model's files are, and notes in its tags
which versions were made of it.
"""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec
from sqlalchemy import Connection, Row, Table, delete, insert, select, update

from tracking.artifact_location import model_location
from tracking.chunks import chunks
from tracking.errors import ResourceMissing
from tracking.limits import check_key, check_text, cut_param, cut_tag, invalid
from tracking.model_limits import check_model_name
from tracking.schema import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    run_outputs,
)
from tracking.sql_experiments import require_active as require_active_experiment
from tracking.sql_texts import add_texts, put_texts
from tracking.wire import Metric, Param, Tag
from tracking.wire_models import (
    CreateLoggedModel,
    LoggedModel,
    LoggedModelData,
    LoggedModelInfo,
    LoggedModelStatus,
)

VERSIONS_TAG = "mlflow.modelVersions"


def create(
    connection: Connection,
    request: CreateLoggedModel,
    *,
    model_id: str,
    spare_name: str,
    now_ms: int,
) -> LoggedModel:
    """Begin a logged model, whose files come next.

    Args:
        connection: In a write transaction.
        request: What the caller says of the model.
        model_id: The new model's id.
        spare_name: Its name if the caller gives none.
        now_ms: When it is made.

    Raises:
        InvalidRequest: A name, param or tag is not allowed, or the experiment is deleted.
        ResourceMissing: There is no such experiment.
    """
    experiment = require_active_experiment(connection, request.experiment_id)
    name = spare_name if request.name is None else check_model_name(request.name)
    connection.execute(
        insert(logged_models).values(
            model_id=model_id,
            experiment_id=experiment.experiment_id,
            name=name,
            model_type=check_text(request.model_type, "model_type"),
            source_run_id=check_text(request.source_run_id, "source_run_id"),
            artifact_uri=model_location(experiment.artifact_location, model_id),
            status="LOGGED_MODEL_PENDING",
            is_deleted=False,
            creation_time=now_ms,
            last_update_time=now_ms,
        )
    )
    _add_params(connection, model_id, request.params)
    _put_tags(connection, model_id, request.tags)
    return one(connection, model_id)


def one(connection: Connection, model_id: str) -> LoggedModel:
    """Return a logged model with its params, tags and metrics.

    Raises:
        ResourceMissing: There is none of that id, or it is deleted.
    """
    return to_models(connection, [row_of(connection, model_id)])[0]


def finalize(connection: Connection, model_id: str, status: str, *, now_ms: int) -> LoggedModel:
    """Say whether a model's files are all there.

    Raises:
        InvalidRequest: There is no such status.
        ResourceMissing: There is no such model.
    """
    row_of(connection, model_id)
    _change(connection, model_id, status=_check_status(status), last_update_time=now_ms)
    return one(connection, model_id)


def remove(connection: Connection, model_id: str, *, now_ms: int) -> None:
    """Mark a model deleted.

    Raises:
        ResourceMissing: There is no such model.
    """
    row_of(connection, model_id)
    _change(connection, model_id, is_deleted=True, last_update_time=now_ms)


def add_params(connection: Connection, model_id: str, params: Sequence[Param]) -> None:
    """Add params to a model; each is written once.

    Raises:
        InvalidRequest: A param is not allowed, or there with another value.
        ResourceMissing: There is no such model.
    """
    row_of(connection, model_id)
    _add_params(connection, model_id, params)


def set_tags(
    connection: Connection, model_id: str, tags: Sequence[Tag], *, now_ms: int
) -> LoggedModel:
    """Set tags of a model, over those that are there.

    Raises:
        InvalidRequest: A tag is not allowed.
        ResourceMissing: There is no such model.
    """
    row_of(connection, model_id)
    _put_tags(connection, model_id, tags)
    _change(connection, model_id, last_update_time=now_ms)
    return one(connection, model_id)


def delete_tag(connection: Connection, model_id: str, key: str) -> None:
    """Remove one tag of a model.

    Raises:
        ResourceMissing: There is no such model, or it has no such tag.
    """
    row_of(connection, model_id)
    table = logged_model_tags
    entry = delete(table).where(table.c.model_id == model_id, table.c.key == key)
    if connection.execute(entry).rowcount == 0:
        raise ResourceMissing(f"No tag with key {key!r} in model with ID {model_id!r}.")


def row_of(connection: Connection, model_id: str) -> Row[Any]:
    """Return the row of a model that is not deleted.

    Raises:
        ResourceMissing: There is none of that id.
    """
    row = find_row(connection, model_id)
    if row is None:
        raise ResourceMissing(
            f"Logged model with ID {model_id[:100]!r} not found. Search the logged models by name."
        )
    return row


def find_row(connection: Connection, model_id: str) -> Row[Any] | None:
    """Return the row of a model that is not deleted, or ``None``."""
    check_text(model_id, "model_id")
    table = logged_models.c
    statement = select(logged_models).where(table.model_id == model_id, ~table.is_deleted)
    return connection.execute(statement).first()


def find_output(connection: Connection, run_id: str, name: str) -> Row[Any] | None:
    """Return the model of that name that a run made, of the highest step, or ``None``.

    One whose upload failed is none.
    """
    table = logged_models.c
    statement = (
        select(logged_models)
        .join(run_outputs, run_outputs.c.model_id == table.model_id)
        .where(run_outputs.c.run_id == run_id, table.name == name, ~table.is_deleted)
        .where(table.status != "LOGGED_MODEL_UPLOAD_FAILED")
        .order_by(run_outputs.c.step.desc(), table.creation_time.desc(), table.model_id)
    )
    return connection.execute(statement).first()


def note_version(connection: Connection, model_id: str, name: str, version: int) -> None:
    """Add a registered version to the tag that lists those made of a model, once."""
    table = logged_model_tags.c
    told = connection.execute(
        select(table.value).where(table.model_id == model_id, table.key == VERSIONS_TAG)
    ).scalar()
    listed = _listed_versions(told)
    entry = {"name": name, "version": str(version)}
    if entry not in listed:
        text = msgspec.json.encode([*listed, entry]).decode()
        put_texts(connection, logged_model_tags, model_id, {VERSIONS_TAG: text})


def to_models(connection: Connection, rows: Sequence[Row[Any]]) -> list[LoggedModel]:
    """Return the models of these rows, with what belongs to them, in order."""
    ids = [row.model_id for row in rows]
    params = _by_model(connection, logged_model_params, ids)
    tags = _by_model(connection, logged_model_tags, ids)
    metrics = _by_model(connection, logged_model_metrics, ids)
    return [
        LoggedModel(
            info=_to_info(row, [Tag(key=e.key, value=e.value) for e in tags[row.model_id]]),
            data=LoggedModelData(
                params=[Param(key=e.key, value=e.value) for e in params[row.model_id]],
                metrics=[_to_metric(entry) for entry in metrics[row.model_id]],
            ),
        )
        for row in rows
    ]


def _add_params(connection: Connection, model_id: str, params: Sequence[Param]) -> None:
    texts = {check_key(param.key): cut_param(param.value) for param in params}
    add_texts(connection, logged_model_params, model_id, texts)


def _put_tags(connection: Connection, model_id: str, tags: Sequence[Tag]) -> None:
    texts = {check_key(tag.key): cut_tag(tag.value) for tag in tags}
    put_texts(connection, logged_model_tags, model_id, texts)


def _change(connection: Connection, model_id: str, **values: Any) -> None:
    of = logged_models.c.model_id == model_id
    connection.execute(update(logged_models).where(of).values(values))


def _listed_versions(told: str | None) -> list[Any]:
    """Return what the tag lists; a text that somebody else put there counts as nothing."""
    try:
        return msgspec.json.decode(told or "[]", type=list[Any])
    except msgspec.MsgspecError:
        return []


def _by_model(
    connection: Connection, table: Table, model_ids: Sequence[str]
) -> dict[str, list[Row[Any]]]:
    entries: dict[str, list[Row[Any]]] = {model_id: [] for model_id in model_ids}
    for chunk in chunks(model_ids):
        of = table.c.model_id.in_(chunk)
        for row in connection.execute(select(table).where(of).order_by(*table.primary_key)):
            entries[row.model_id].append(row)
    return entries


def _to_info(row: Row[Any], tags: list[Tag]) -> LoggedModelInfo:
    return LoggedModelInfo(
        model_id=row.model_id,
        experiment_id=str(row.experiment_id),
        name=row.name,
        creation_timestamp_ms=row.creation_time,
        last_updated_timestamp_ms=row.last_update_time,
        artifact_uri=row.artifact_uri,
        status=row.status,
        model_type=row.model_type,
        source_run_id=row.source_run_id,
        tags=tags,
    )


def _to_metric(row: Row[Any]) -> Metric:
    return Metric(
        key=row.key,
        value="NaN" if row.is_nan else row.value,
        timestamp=row.timestamp,
        step=row.step,
        run_id=row.run_id,
        model_id=row.model_id,
        dataset_name=row.dataset_name or None,
        dataset_digest=row.dataset_digest or None,
    )


def _check_status(status: str) -> LoggedModelStatus:
    statuses: tuple[LoggedModelStatus, ...] = get_args(LoggedModelStatus)
    for known in statuses:
        if known == status and known != "LOGGED_MODEL_PENDING":
            return known
    raise invalid(status, "status", f"Use {' or '.join(statuses[1:])}.")
