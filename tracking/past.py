"""Runs and logged models as they were kept elsewhere, and what of them may be kept here. Pure.

``registry/transfer`` reads them from other stores and hands them to ``tracking.sql_past``; no
client can send them, because a client may not choose ids, times and states.
"""

from typing import get_args

import msgspec
from msgspec import Struct

from tracking.errors import InvalidRequest
from tracking.limits import (
    check_experiment_name,
    check_experiment_tag,
    check_int64,
    check_key,
    check_run_id,
    check_text,
    check_time,
    invalid,
)
from tracking.model_limits import check_dataset, check_input_tag, check_model_id
from tracking.wire import Experiment, Param, Run, RunInfo, RunInputs, RunOutputs, RunStatus, Tag
from tracking.wire_models import LoggedModel, LoggedModelStatus


class PastRun(Struct, frozen=True):
    """A run with its params, tags, inputs and outputs; its points come apart.

    Args:
        run: As on the wire; its metrics are not looked at.
        deleted_at: When it was deleted, in milliseconds, if it is and that is known.
    """

    run: Run
    deleted_at: int | None = None

    @property
    def id(self) -> str:
        """The run's id, which it keeps."""
        return self.run.info.run_id


class PastLoggedModel(Struct, frozen=True):
    """A logged model, deleted or not."""

    model: LoggedModel
    is_deleted: bool = False

    @property
    def id(self) -> str:
        """The model's id, which it keeps."""
        return self.model.info.model_id


def check_types(value: Struct) -> None:
    """Check that each field holds what it should: rows of somebody else's hold anything.

    Raises:
        InvalidRequest: One does not.
    """
    try:
        plain = msgspec.to_builtins(value, builtin_types=(bytes, bytearray, memoryview))
        msgspec.convert(plain, type(value))
    except (msgspec.ValidationError, TypeError, UnicodeEncodeError) as error:
        raise InvalidRequest(f"a value has the wrong type ({str(error)[:200]})") from error


def check_experiment(experiment: Experiment) -> Experiment:
    """Return an experiment that may be kept.

    Raises:
        InvalidRequest: Something of it is not allowed.
    """
    check_types(experiment)
    check_experiment_name(experiment.name)
    for tag in experiment.tags:
        check_experiment_tag(tag.key, tag.value)
    for time in (experiment.creation_time, experiment.last_update_time):
        check_time(time or 0, "creation_time")
    return experiment


def check_run(past: PastRun) -> PastRun:
    """Return a run that may be kept. Long values are kept whole: they were kept elsewhere.

    Raises:
        InvalidRequest: Something of it is not allowed.
    """
    check_types(past)
    info, data = past.run.info, past.run.data
    _check_info(info)
    check_time(past.deleted_at or 0, "deleted_time")
    _check_texts([*data.params, *data.tags])
    inputs, outputs = past.run.inputs or RunInputs(), past.run.outputs or RunOutputs()
    for read in inputs.dataset_inputs:
        check_dataset(read.dataset)
        for tag in read.tags:
            check_input_tag(tag)
    for model in inputs.model_inputs:
        check_model_id(model.model_id)
    for made in outputs.model_outputs:
        check_model_id(made.model_id)
        check_int64(made.step or 0, "step")
    return past


def check_logged_model(past: PastLoggedModel) -> PastLoggedModel:
    """Return a logged model that may be kept; its metrics are checked as points.

    Raises:
        InvalidRequest: Something of it is not allowed.
    """
    check_types(past)
    info = past.model.info
    check_model_id(info.model_id)
    for text in (info.name, info.model_type, info.source_run_id):
        check_text(text, "name")
    if info.status not in get_args(LoggedModelStatus):
        raise invalid(str(info.status), "status", "It is no status of a logged model.")
    for time in (info.creation_timestamp_ms, info.last_updated_timestamp_ms):
        check_time(time, "creation_timestamp_ms")
    _check_texts([*past.model.data.params, *info.tags])
    return past


def _check_info(info: RunInfo) -> None:
    check_run_id(info.run_id)
    check_text(info.run_name, "run_name")
    check_text(info.user_id, "user_id")
    if info.status not in get_args(RunStatus):
        raise InvalidRequest(f"Invalid value {str(info.status)[:50]!r} for parameter 'status'.")
    for time in (info.start_time, info.end_time):
        check_time(time or 0, "start_time")


def _check_texts(entries: list[Param | Tag]) -> None:
    for entry in entries:
        check_key(entry.key)
        check_text(entry.value, "value")
