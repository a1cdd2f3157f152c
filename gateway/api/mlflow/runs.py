"""Runs and what they log, as MLflow's clients ask for them.

Thin: decode, one call of the tracking store, return. Handlers run in the thread pool.
"""

from litestar import get, post
from litestar.params import FromQuery, JSONBody

from gateway.api.dependencies import Tracking
from gateway.auth.policy import Permission
from tracking.wire import (
    DeleteTag,
    LogBatch,
    LogInputs,
    LogMetric,
    LogModel,
    LogOutputs,
    LogParam,
    Metric,
    Nothing,
    Param,
    RunAnswer,
    RunInfoAnswer,
    RunPage,
    RunReference,
    SearchRuns,
    SetTag,
    StartRun,
    Tag,
    UpdateRun,
)

_PREFIX = "/api/2.0/mlflow/runs"
_READ = {"permission": Permission.READ}
_LOG = {"permission": Permission.LOG}


@post(f"{_PREFIX}/create", status_code=200, sync_to_thread=True, opt=_LOG)
def create_run(data: JSONBody[StartRun], tracking: Tracking) -> RunAnswer:
    """Start a run."""
    return RunAnswer(run=tracking.create_run(data))


@get(f"{_PREFIX}/get", sync_to_thread=True, opt=_READ)
def run(
    tracking: Tracking, run_id: FromQuery[str] = "", run_uuid: FromQuery[str] = ""
) -> RunAnswer:
    """Return a run with the last value of each metric, its params and tags."""
    return RunAnswer(run=tracking.run(run_id or run_uuid))


@post(f"{_PREFIX}/update", status_code=200, sync_to_thread=True, opt=_LOG)
def update_run(data: JSONBody[UpdateRun], tracking: Tracking) -> RunInfoAnswer:
    """Change status, end time or name."""
    return RunInfoAnswer(run_info=tracking.update_run(data))


@post(f"{_PREFIX}/delete", status_code=200, sync_to_thread=True, opt=_LOG)
def delete_run(data: JSONBody[RunReference], tracking: Tracking) -> Nothing:
    """Mark a run deleted."""
    tracking.delete_run(data.run_id)
    return Nothing()


@post(f"{_PREFIX}/restore", status_code=200, sync_to_thread=True, opt=_LOG)
def restore_run(data: JSONBody[RunReference], tracking: Tracking) -> Nothing:
    """Bring a deleted run back."""
    tracking.restore_run(data.run_id)
    return Nothing()


@post(f"{_PREFIX}/search", status_code=200, sync_to_thread=True, opt=_READ)
def search_runs(data: JSONBody[SearchRuns], tracking: Tracking) -> RunPage:
    """Return one page of runs."""
    return tracking.search_runs(data)


@post(f"{_PREFIX}/log-metric", status_code=200, sync_to_thread=True, opt=_LOG)
def log_metric(data: JSONBody[LogMetric], tracking: Tracking) -> Nothing:
    """Add a point to a metric."""
    tracking.log_batch(batch_of_metric(data))
    return Nothing()


@post(f"{_PREFIX}/log-parameter", status_code=200, sync_to_thread=True, opt=_LOG)
def log_param(data: JSONBody[LogParam], tracking: Tracking) -> Nothing:
    """Log a param; the same value again is fine."""
    tracking.log_batch(batch_of_param(data))
    return Nothing()


@post(f"{_PREFIX}/set-tag", status_code=200, sync_to_thread=True, opt=_LOG)
def set_tag(data: JSONBody[SetTag], tracking: Tracking) -> Nothing:
    """Set or overwrite a tag."""
    tracking.log_batch(batch_of_tag(data))
    return Nothing()


@post(f"{_PREFIX}/delete-tag", status_code=200, sync_to_thread=True, opt=_LOG)
def delete_tag(data: JSONBody[DeleteTag], tracking: Tracking) -> Nothing:
    """Remove a tag."""
    tracking.delete_tag(data.run_id, data.key)
    return Nothing()


@post(f"{_PREFIX}/log-batch", status_code=200, sync_to_thread=True, opt=_LOG)
def log_batch(data: JSONBody[LogBatch], tracking: Tracking) -> Nothing:
    """Write metrics, params and tags of one run, all or nothing."""
    tracking.log_batch(data)
    return Nothing()


@post(f"{_PREFIX}/log-inputs", status_code=200, sync_to_thread=True, opt=_LOG)
def log_inputs(data: JSONBody[LogInputs], tracking: Tracking) -> Nothing:
    """Note datasets and logged models that a run read."""
    tracking.log_inputs(data)
    return Nothing()


@post(f"{_PREFIX}/outputs", status_code=200, sync_to_thread=True, opt=_LOG)
def log_outputs(data: JSONBody[LogOutputs], tracking: Tracking) -> Nothing:
    """Note logged models that a run made."""
    tracking.log_outputs(data)
    return Nothing()


@post(f"{_PREFIX}/log-model", status_code=200, sync_to_thread=True, opt=_LOG)
def log_model(data: JSONBody[LogModel], tracking: Tracking) -> Nothing:
    """Note a model that a client older than logged models has logged."""
    tracking.log_model(data)
    return Nothing()


def batch_of_metric(asked: LogMetric) -> LogBatch:
    """Return the batch that one point of a metric is."""
    point = Metric(
        key=asked.key,
        value=asked.value,
        timestamp=asked.timestamp,
        step=asked.step,
        model_id=asked.model_id,
        dataset_name=asked.dataset_name,
        dataset_digest=asked.dataset_digest,
    )
    return LogBatch(run_id=asked.run_id or asked.run_uuid or "", metrics=[point])


def batch_of_param(asked: LogParam) -> LogBatch:
    """Return the batch that one param is."""
    params = [Param(key=asked.key, value=asked.value)]
    return LogBatch(run_id=asked.run_id or asked.run_uuid or "", params=params)


def batch_of_tag(asked: SetTag) -> LogBatch:
    """Return the batch that one tag is."""
    tags = [Tag(key=asked.key, value=asked.value)]
    return LogBatch(run_id=asked.run_id or asked.run_uuid or "", tags=tags)


HANDLERS = [
    create_run,
    run,
    update_run,
    delete_run,
    restore_run,
    search_runs,
    log_metric,
    log_param,
    set_tag,
    delete_tag,
    log_batch,
    log_inputs,
    log_outputs,
    log_model,
]
