"""The rows of MLflow's tables, as what they are on the wire. Pure.

Called by ``registry.transfer.mlflow_database`` and ``mlflow_registry``. Columns that a version of
MLflow did not have are ``None`` in a row.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row

from tracking.errors import InvalidRequest
from tracking.past import PastLoggedModel, PastRun
from tracking.wire import (
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    ModelInput,
    ModelOutput,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    Tag,
)
from tracking.wire_models import (
    LoggedModel,
    LoggedModelData,
    LoggedModelInfo,
    LoggedModelStatus,
)

T = TypeVar("T", Param, Tag)

Link = DatasetInput | ModelInput | ModelOutput
Groups = Mapping[Any, Sequence[Row[Any]]]
"""Rows by the value of one of their columns."""

PointRow = tuple[str, str, float, int | None, int | None, bool | int | None]
"""Run, key, value, time, step, and whether it is NaN."""

LAYOUT: Mapping[str, Sequence[str]] = {
    "experiments": (
        "experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time",
        "last_update_time", "workspace",
    ),
    "experiment_tags": ("experiment_id", "key", "value"),
    "runs": (
        "run_uuid", "name", "user_id", "status", "start_time", "end_time", "deleted_time",
        "lifecycle_stage", "artifact_uri", "experiment_id",
    ),
    "params": ("run_uuid", "key", "value"),
    "tags": ("run_uuid", "key", "value"),
    "metrics": ("run_uuid", "key", "value", "timestamp", "step", "is_nan"),
    "datasets": (
        "dataset_uuid", "name", "digest", "dataset_source_type", "dataset_source",
        "dataset_schema", "dataset_profile",
    ),
    "inputs": (
        "input_uuid", "source_type", "source_id", "destination_type", "destination_id", "step",
    ),
    "input_tags": ("input_uuid", "name", "value"),
    "logged_models": (
        "model_id", "experiment_id", "name", "artifact_location", "creation_timestamp_ms",
        "last_updated_timestamp_ms", "status", "lifecycle_stage", "model_type", "source_run_id",
    ),
    "logged_model_params": ("model_id", "param_key", "param_value"),
    "logged_model_tags": ("model_id", "tag_key", "tag_value"),
    "logged_model_metrics": (
        "model_id", "metric_name", "metric_timestamp_ms", "metric_step", "metric_value", "run_id",
        "dataset_name", "dataset_digest",
    ),
    "registered_models": (
        "name", "creation_time", "last_updated_time", "description", "workspace",
    ),
    "registered_model_tags": ("name", "key", "value", "workspace"),
    "registered_model_aliases": ("name", "alias", "version", "workspace"),
    "model_versions": (
        "name", "version", "creation_time", "last_updated_time", "description", "user_id",
        "current_stage", "source", "storage_location", "run_id", "run_link", "workspace",
    ),
    "model_version_tags": ("name", "version", "key", "value", "workspace"),
    "trace_info": (), "evaluation_datasets": (), "scorers": (), "webhooks": (),
}  # fmt: skip
"""The columns that are read of each table; of those without any, only how many rows there are."""

_DEFAULT_WORKSPACE = "default"
_NAME_TAG = "mlflow.runName"
_STATUSES: Mapping[int, LoggedModelStatus] = {
    1: "LOGGED_MODEL_PENDING",
    2: "LOGGED_MODEL_READY",
    3: "LOGGED_MODEL_UPLOAD_FAILED",
}


def is_default(row: Row[Any]) -> bool:
    """Return whether a row is of the workspace that is brought over."""
    return row.workspace in {None, _DEFAULT_WORKSPACE}


def grouped(rows: Iterable[Row[Any]], key: str) -> dict[Any, list[Row[Any]]]:
    """Return rows by the value of a column."""
    groups: dict[Any, list[Row[Any]]] = {}
    for row in rows:
        groups.setdefault(getattr(row, key), []).append(row)
    return groups


def texts(rows: Iterable[Row[Any]], kind: type[T]) -> list[T]:
    """Return params or tags, sorted by key."""
    entries = ((row.key, row.value or "") for row in rows)
    return [kind(key=key, value=value) for key, value in sorted(entries)]


def to_experiment(row: Row[Any], tags: Groups) -> Experiment:
    """Return an experiment."""
    return Experiment(
        experiment_id=str(row.experiment_id),
        name=row.name,
        artifact_location=row.artifact_location or "",
        lifecycle_stage=_stage(row.lifecycle_stage),
        creation_time=row.creation_time or 0,
        last_update_time=row.last_update_time or row.creation_time or 0,
        tags=texts(tags.get(row.experiment_id, ()), Tag),
    )


def to_run(row: Row[Any], texts_by_run: Mapping[str, Groups], links: Sequence[Link]) -> PastRun:
    """Return a run.

    Args:
        row: Of the table of runs.
        texts_by_run: Rows by run, of the tables ``params`` and ``tags``.
        links: What it read and made.
    """
    tags = texts(texts_by_run["tags"].get(row.run_uuid, ()), Tag)
    info = RunInfo(
        run_id=row.run_uuid,
        run_uuid=row.run_uuid,
        experiment_id=str(row.experiment_id),
        run_name=row.name or next((tag.value for tag in tags if tag.key == _NAME_TAG), ""),
        user_id=row.user_id or "",
        status=row.status,
        start_time=row.start_time or 0,
        end_time=row.end_time,
        artifact_uri=row.artifact_uri or "",
        lifecycle_stage=_stage(row.lifecycle_stage),
    )
    params = texts(texts_by_run["params"].get(row.run_uuid, ()), Param)
    return PastRun(linked(Run(info, RunData(params=params, tags=tags)), links), row.deleted_time)


def linked(run: Run, links: Sequence[Link]) -> Run:
    """Return a run with what it read and made."""
    inputs = RunInputs(
        dataset_inputs=[link for link in links if isinstance(link, DatasetInput)],
        model_inputs=[link for link in links if isinstance(link, ModelInput)],
    )
    outputs = RunOutputs(model_outputs=[link for link in links if isinstance(link, ModelOutput)])
    return Run(info=run.info, data=run.data, inputs=inputs, outputs=outputs)


def to_points(rows: Iterable[Sequence[Any]]) -> list[Metric]:
    """Return points of metrics, of rows in the order of the layout: there are millions.

    Raises:
        InvalidRequest: One holds something else than it should.
    """
    try:
        points = msgspec.convert([tuple(row) for row in rows], list[PointRow])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"a point has the wrong type ({str(error)[:200]})") from error
    return [
        Metric(
            key=key,
            value="NaN" if is_nan else value,
            timestamp=timestamp or 0,
            step=step or 0,
            run_id=run_id,
        )
        for run_id, key, value, timestamp, step, is_nan in points
    ]


def to_dataset_input(row: Row[Any], tags: Sequence[Row[Any]]) -> DatasetInput:
    """Return a dataset as an input of a run."""
    dataset = Dataset(
        name=row.name,
        digest=row.digest,
        source_type=row.dataset_source_type or "",
        source=row.dataset_source or "",
        schema=row.dataset_schema or "",
        profile=row.dataset_profile or "",
    )
    return DatasetInput(dataset, [Tag(key=tag.name, value=tag.value or "") for tag in tags])


def find_model_link(row: Row[Any]) -> ModelInput | ModelOutput | None:
    """Return the logged model that a row links a run with, if it does."""
    match row.source_type, row.destination_type:
        case "RUN_INPUT", "MODEL_INPUT":
            return ModelInput(model_id=row.destination_id)
        case "RUN_OUTPUT", "MODEL_OUTPUT":
            return ModelOutput(model_id=row.destination_id, step=row.step or 0)
    return None


def to_logged_model(
    row: Row[Any], params: Groups, tags: Groups, metrics: Groups
) -> PastLoggedModel:
    """Return a logged model; what belongs to it is found by its id."""
    model_id = row.model_id
    info = LoggedModelInfo(
        model_id=model_id,
        experiment_id=str(row.experiment_id),
        name=row.name,
        creation_timestamp_ms=row.creation_timestamp_ms,
        last_updated_timestamp_ms=row.last_updated_timestamp_ms,
        artifact_uri=row.artifact_location or "",
        status=_STATUSES.get(row.status),
        model_type=row.model_type or "",
        source_run_id=row.source_run_id or "",
        tags=[Tag(key=tag.tag_key, value=tag.tag_value) for tag in tags.get(model_id, ())],
    )
    data = LoggedModelData(
        params=[Param(key=p.param_key, value=p.param_value) for p in params.get(model_id, ())],
        metrics=[_model_point(point) for point in metrics.get(model_id, ())],
    )
    return PastLoggedModel(LoggedModel(info, data), row.lifecycle_stage == "deleted")


def _model_point(row: Row[Any]) -> Metric:
    return Metric(
        key=row.metric_name,
        value="NaN" if row.metric_value is None else row.metric_value,
        timestamp=row.metric_timestamp_ms,
        step=row.metric_step,
        run_id=row.run_id,
        model_id=row.model_id,
        dataset_name=row.dataset_name,
        dataset_digest=row.dataset_digest,
    )


def _stage(text: str | None) -> LifecycleStage:
    return "deleted" if text == "deleted" else "active"
