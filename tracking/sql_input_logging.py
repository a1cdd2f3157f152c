"""Logging what a run reads and makes, in SQL: datasets and logged models.

Functions on a connection, inside the transaction of whoever calls: ``tracking.sql_store``. Sending
anything twice changes nothing, because clients send again what they got no answer to.
"""

import msgspec
from sqlalchemy import Connection, select

from tracking.errors import InvalidRequest
from tracking.limits import check_int64, cut_tag
from tracking.model_limits import check_dataset, check_input_tag, check_model_id
from tracking.schema import datasets, run_datasets, run_model_inputs, run_outputs, tags
from tracking.sql_inputs import CONTEXT_TAG
from tracking.sql_insert import insert_into
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


def log_inputs(connection: Connection, request: LogInputs) -> None:
    """Note datasets and models that an active run read.

    Raises:
        InvalidRequest: A field is not allowed, or the run is deleted.
        ResourceMissing: There is no such run.
    """
    require_active(connection, request.run_id)
    experiment_id = row_of(connection, request.run_id).experiment_id
    for given in request.datasets:
        link_dataset(connection, request.run_id, experiment_id, given)
    for model in request.models:
        link_input(connection, request.run_id, model)


def link_input(connection: Connection, run_id: str, model: ModelInput) -> None:
    """Note one logged model that a run read.

    Raises:
        InvalidRequest: No logged model can have such an id.
    """
    values = {"run_id": run_id, "model_id": check_model_id(model.model_id)}
    connection.execute(insert_into(connection, run_model_inputs).on_conflict_do_nothing(), values)


def log_outputs(connection: Connection, request: LogOutputs) -> None:
    """Note models that an active run made; one noted before gets the new step.

    Raises:
        InvalidRequest: A field is not allowed, or the run is deleted.
        ResourceMissing: There is no such run.
    """
    require_active(connection, request.run_id)
    for model in request.models:
        link_output(connection, request.run_id, model)


def link_output(connection: Connection, run_id: str, model: ModelOutput) -> None:
    """Note one logged model that a run made.

    Raises:
        InvalidRequest: A field is not allowed.
    """
    statement = insert_into(connection, run_outputs).values(
        run_id=run_id,
        model_id=check_model_id(model.model_id),
        step=check_int64(model.step or 0, "step"),
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[run_outputs.c.run_id, run_outputs.c.model_id],
            set_={"step": statement.excluded.step},
        )
    )


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


def link_dataset(
    connection: Connection, run_id: str, experiment_id: int, given: DatasetInput
) -> None:
    """Note one dataset that a run of an experiment read.

    Raises:
        InvalidRequest: A field is not allowed.
    """
    texts = {tag.key: tag.value for tag in map(check_input_tag, given.tags)}
    number = _put_dataset(connection, experiment_id, check_dataset(given.dataset))
    statement = insert_into(connection, run_datasets).values(
        run_id=run_id,
        dataset_id=number,
        tags=msgspec.json.encode(texts).decode(),
        context=texts.get(CONTEXT_TAG),
    )
    connection.execute(statement.on_conflict_do_nothing())


def _put_dataset(connection: Connection, experiment_id: int, dataset: Dataset) -> int:
    """Return the number of a dataset of an experiment, which it gets if it is new."""
    key = {"experiment_id": experiment_id, "name": dataset.name, "digest": dataset.digest}
    statement = insert_into(connection, datasets).values(
        **key,
        source_type=dataset.source_type,
        source=dataset.source,
        schema=dataset.schema,
        profile=dataset.profile,
    )
    connection.execute(statement.on_conflict_do_nothing())
    found = select(datasets.c.dataset_id).filter_by(**key)
    return int(connection.execute(found).scalar_one())


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
