"""Experiments, runs and logged models with the parts that have a place here. Pure.

Called by ``registry.transfer.run_import``. What cannot be told apart without the refused part, such
as a run without a valid id, is left as it is and refused as a whole afterwards.
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from registry.transfer.mending import clean_tag, clean_text, fitting, name_of, since_epoch
from tracking.errors import InvalidRequest
from tracking.limits import check_experiment_tag, check_int64, check_key, check_text
from tracking.model_limits import check_dataset, check_input_tag, check_model_id
from tracking.past import PastLoggedModel, PastRun, check_run
from tracking.wire import (
    DatasetInput,
    Experiment,
    ModelInput,
    ModelOutput,
    Param,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    Tag,
)
from tracking.wire_models import LoggedModel


def mend_experiment(given: Experiment) -> tuple[Experiment, list[str]]:
    """Return an experiment that lost what may not be kept, and what was left out or changed."""
    told: list[str] = []
    mended = replace(
        given,
        name=clean_text(given.name, "its name", told),
        creation_time=since_epoch(given.creation_time or 0, "its creation_time", told),
        last_update_time=since_epoch(given.last_update_time or 0, "its last_update_time", told),
        tags=fitting(
            [clean_tag(tag, told) for tag in given.tags],
            name_of,
            lambda tag: check_experiment_tag(tag.key, tag.value),
            told,
        ),
    )
    return mended, told


def mend_run(past: PastRun) -> tuple[PastRun, list[str]]:
    """Return a run that lost what may not be kept, and what was left out or changed."""
    if _is_sound(past):
        return past, []
    told: list[str] = []
    run = past.run
    data = RunData(params=_params(run.data.params, told), tags=_tags(run.data.tags, told))
    inputs, outputs = run.inputs or RunInputs(), run.outputs or RunOutputs()
    mended = replace(
        run,
        info=_info(run.info, told),
        data=data,
        inputs=RunInputs(
            dataset_inputs=_datasets(inputs.dataset_inputs, told),
            model_inputs=fitting(inputs.model_inputs, _link, _check_link, told),
        ),
        outputs=RunOutputs(model_outputs=fitting(outputs.model_outputs, _link, _check_link, told)),
    )
    deleted_at = past.deleted_at
    if deleted_at is not None:
        deleted_at = since_epoch(deleted_at, "its deleted_time", told)
    return PastRun(mended, deleted_at), told


def mend_logged_model(past: PastLoggedModel) -> tuple[PastLoggedModel, list[str]]:
    """Return a logged model that lost what may not be kept, and what was left out or changed."""
    told: list[str] = []
    info, data = past.model.info, past.model.data
    mended = replace(
        info,
        name=clean_text(info.name, "its name", told),
        model_type=clean_text(info.model_type, "its model_type", told),
        creation_timestamp_ms=since_epoch(
            info.creation_timestamp_ms, "its creation_timestamp_ms", told
        ),
        last_updated_timestamp_ms=since_epoch(
            info.last_updated_timestamp_ms, "its last_updated_timestamp_ms", told
        ),
        tags=_tags(info.tags, told),
    )
    kept = replace(data, params=_params(data.params, told))
    return replace(past, model=LoggedModel(mended, kept)), told


def _is_sound(past: PastRun) -> bool:
    """Return whether there is nothing to mend: nearly always, so that is asked first."""
    try:
        check_run(past)
    except InvalidRequest:
        return False
    return True


def _info(info: RunInfo, told: list[str]) -> RunInfo:
    end_time = info.end_time
    if end_time is not None:
        end_time = since_epoch(end_time, "its end_time", told)
    return replace(
        info,
        run_name=clean_text(info.run_name, "its name", told),
        user_id=clean_text(info.user_id, "its user_id", told),
        start_time=since_epoch(info.start_time or 0, "its start_time", told),
        end_time=end_time,
    )


def _tags(tags: Iterable[Tag], told: list[str]) -> list[Tag]:
    return fitting([clean_tag(tag, told) for tag in tags], name_of, _check_entry, told)


def _params(params: Iterable[Param], told: list[str]) -> list[Param]:
    cleaned = [
        replace(p, value=clean_text(p.value, f"the value of {_param(p)}", told)) for p in params
    ]
    return fitting(cleaned, _param, _check_entry, told)


def _datasets(datasets: Iterable[DatasetInput], told: list[str]) -> list[DatasetInput]:
    kept = fitting(datasets, _dataset, lambda given: check_dataset(given.dataset), told)
    return [
        replace(
            given,
            tags=fitting(
                given.tags, lambda tag: f"{name_of(tag)} of a dataset", check_input_tag, told
            ),
        )
        for given in kept
    ]


def _check_entry(entry: Param | Tag) -> None:
    check_key(entry.key)
    check_text(entry.value, "value")


def _check_link(link: ModelInput | ModelOutput) -> None:
    check_model_id(link.model_id)
    if isinstance(link, ModelOutput):
        check_int64(link.step or 0, "step")


def _param(param: Param) -> str:
    return f"param {param.key!r:.200}"


def _dataset(given: DatasetInput) -> str:
    return f"dataset {given.dataset.name!r:.200} with digest {given.dataset.digest!r:.50}"


def _link(link: Struct) -> str:
    return f"the link to model {getattr(link, 'model_id', '')!r:.100}"
