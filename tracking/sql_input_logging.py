"""Logging what a run reads and makes, in SQL: datasets and logged models.

Functions on a connection, inside the transaction of whoever calls: ``tracking.sql_store``. Sending
anything twice changes nothing, because clients send again what they got no answer to.
"""

from collections.abc import Sequence
from functools import cache

import msgspec
from sqlalchemy import Connection, Insert, select, tuple_

from tracking.chunks import chunks
from tracking.errors import InvalidRequest
from tracking.limits import check_int64, cut_tag
from tracking.model_limits import check_dataset, check_input_tag, check_model_id
from tracking.schema import datasets, run_datasets, run_model_inputs, run_outputs, tags
from tracking.sql_inputs import CONTEXT_TAG
from tracking.sql_insert import insert_by, insert_many, insert_new
from tracking.sql_lists import is_among, listed
from tracking.sql_runs import require_active, row_of
from tracking.sql_texts import put_texts
from tracking.wire import (
    Dataset,
    DatasetInput,
    LogInputs,
    LogModel,
    LogOutputs,
    ModelInput,
    ModelOutput,
)

HISTORY_TAG = "mlflow.log-model.history"
_MOST_PAIRS = 1_000


def log_inputs(connection: Connection, request: LogInputs) -> None:
    """Note datasets and models that an active run read.

    Raises:
        InvalidRequest: A field is not allowed, or the run is deleted.
        ResourceMissing: There is no such run.
    """
    require_active(connection, request.run_id)
    experiment_id = row_of(connection, request.run_id).experiment_id
    link_datasets(connection, request.run_id, experiment_id, request.datasets)
    link_inputs(connection, request.run_id, request.models)


def link_inputs(connection: Connection, run_id: str, models: Sequence[ModelInput]) -> None:
    """Note logged models that a run read.

    Raises:
        InvalidRequest: No logged model can have such an id.
    """
    rows = [(run_id, check_model_id(model.model_id)) for model in models]
    if rows:
        insert_many(connection, insert_new(connection.dialect.name, run_model_inputs), rows)


def log_outputs(connection: Connection, request: LogOutputs) -> None:
    """Note models that an active run made; one noted before gets the new step.

    Raises:
        InvalidRequest: A field is not allowed, or the run is deleted.
        ResourceMissing: There is no such run.
    """
    require_active(connection, request.run_id)
    link_outputs(connection, request.run_id, request.models)


def link_outputs(connection: Connection, run_id: str, models: Sequence[ModelOutput]) -> None:
    """Note logged models that a run made.

    Raises:
        InvalidRequest: A field is not allowed.
    """
    rows = [
        (run_id, check_model_id(model.model_id), check_int64(model.step or 0, "step"))
        for model in models
    ]
    if rows:
        insert_many(connection, _put_output(connection.dialect.name), rows)


def log_model(connection: Connection, request: LogModel) -> None:
    """Append the MLmodel of an older client to the tag that lists those of its run.

    Raises:
        InvalidRequest: It is no MLmodel, or the run is deleted.
        ResourceMissing: There is no such run.
    """
    require_active(connection, request.run_id)
    told = connection.execute(
        select(tags.c.value).where(tags.c.run_id == request.run_id, tags.c.key == HISTORY_TAG)
    ).scalar()
    listed = _decoded_history(told)
    listed.append(_decoded_model(request.model_json))
    text = cut_tag(msgspec.json.encode(listed).decode())
    put_texts(connection, tags, request.run_id, {HISTORY_TAG: text})


def link_datasets(
    connection: Connection, run_id: str, experiment_id: int, given: Sequence[DatasetInput]
) -> None:
    """Note datasets that a run of an experiment read; of one named twice, the first.

    Raises:
        InvalidRequest: A field is not allowed.
    """
    texts = [{tag.key: tag.value for tag in map(check_input_tag, entry.tags)} for entry in given]
    read = [check_dataset(entry.dataset) for entry in given]
    numbers = _put_datasets(connection, experiment_id, read)
    rows = [
        (
            run_id,
            numbers[dataset.name, dataset.digest],
            msgspec.json.encode(told).decode(),
            told.get(CONTEXT_TAG),
        )
        for dataset, told in zip(read, texts, strict=True)
    ]
    if rows:
        insert_many(connection, insert_new(connection.dialect.name, run_datasets), rows)


def _put_datasets(
    connection: Connection, experiment_id: int, given: Sequence[Dataset]
) -> dict[tuple[str, str], int]:
    """Return the numbers of datasets of an experiment, which new ones get, by name and digest."""
    rows = [{"experiment_id": experiment_id, **msgspec.structs.asdict(each)} for each in given]
    if rows:
        connection.execute(insert_new(connection.dialect.name, datasets), rows)
    table = datasets.c
    found: dict[tuple[str, str], int] = {}
    dialect = connection.dialect.name
    for chunk in chunks([(each.name, each.digest) for each in given], _MOST_PAIRS):
        statement = select(table.name, table.digest, table.dataset_id).where(
            table.experiment_id == experiment_id, tuple_(table.name, table.digest).in_(chunk)
        )
        if dialect != "sqlite":
            # An index finds names in a list; pairs in a list are compared one by one.
            statement = statement.where(is_among(dialect, table.name))
        names = listed(connection, sorted({name for name, _ in chunk}))
        for name, digest, number in connection.execute(statement, names):
            found[name, digest] = number
    return found


@cache
def _put_output(dialect: str) -> Insert:
    statement = insert_by(dialect, run_outputs)
    return statement.on_conflict_do_update(
        index_elements=[run_outputs.c.run_id, run_outputs.c.model_id],
        set_={"step": statement.excluded.step},
    )


def _decoded_history(told: str | None) -> list[msgspec.Raw]:
    """Return the list in the tag; a text that was cut, or is somebody else's, counts as nothing."""
    try:
        return msgspec.json.decode(told or "[]", type=list[msgspec.Raw])
    except msgspec.MsgspecError:
        return []


def _decoded_model(text: str) -> msgspec.Raw:
    try:
        fields: set[str] = set(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    except msgspec.MsgspecError:
        raise InvalidRequest(
            "Malformed model info: 'model_json' must be a text that holds a JSON object."
        ) from None
    missing = {"artifact_path", "flavors", "utc_time_created", "run_id"} - fields
    if missing:
        raise InvalidRequest(
            f"Model json is missing mandatory fields: {', '.join(sorted(missing))}. Send them."
        )
    return msgspec.Raw(text.encode())
