"""Experiments, as MLflow's clients ask for them.

Thin: decode, one call of the tracking store, return. Handlers run in the thread pool.
"""

from litestar import get, post
from litestar.params import FromQuery, JSONBody

from gateway.api.dependencies import Tracking
from gateway.auth.policy import Permission
from tracking.errors import ResourceMissing
from tracking.wire import (
    CreateExperiment,
    DatasetSummaries,
    DeleteExperimentTag,
    Experiment,
    ExperimentAnswer,
    ExperimentCreated,
    ExperimentPage,
    ExperimentReference,
    Nothing,
    SearchDatasets,
    SearchExperiments,
    SetExperimentTag,
    UpdateExperiment,
)

_PREFIX = "/api/2.0/mlflow/experiments"
_READ = {"permission": Permission.READ}
_LOG = {"permission": Permission.LOG}


@post(f"{_PREFIX}/create", status_code=200, sync_to_thread=True, opt=_LOG)
def create_experiment(data: JSONBody[CreateExperiment], tracking: Tracking) -> ExperimentCreated:
    """Create an experiment."""
    return ExperimentCreated(experiment_id=tracking.create_experiment(data))


@get(f"{_PREFIX}/get", sync_to_thread=True, opt=_READ)
def experiment(experiment_id: FromQuery[str], tracking: Tracking) -> ExperimentAnswer:
    """Return an experiment, also a deleted one."""
    return ExperimentAnswer(experiment=tracking.experiment(experiment_id))


@get(f"{_PREFIX}/get-by-name", sync_to_thread=True, opt=_READ)
def experiment_by_name(experiment_name: FromQuery[str], tracking: Tracking) -> ExperimentAnswer:
    """Return an experiment, also a deleted one; 404 tells a client that it must create it."""
    found = tracking.find_experiment(experiment_name)
    return ExperimentAnswer(experiment=_required(found, experiment_name))


@post(f"{_PREFIX}/search", status_code=200, sync_to_thread=True, opt=_READ)
def search_experiments(data: JSONBody[SearchExperiments], tracking: Tracking) -> ExperimentPage:
    """Return one page of experiments."""
    return tracking.search_experiments(data)


@get(f"{_PREFIX}/search", sync_to_thread=True, opt=_READ)
def list_experiments(
    tracking: Tracking,
    *,
    max_results: FromQuery[int] = 1000,
    page_token: FromQuery[str | None] = None,
    filter: FromQuery[str | None] = None,  # noqa: A002 - the wire's name
    order_by: FromQuery[list[str] | None] = None,
    view_type: FromQuery[str] = "ACTIVE_ONLY",
) -> ExperimentPage:
    """Return one page of experiments."""
    request = SearchExperiments(
        max_results=max_results,
        page_token=page_token,
        filter=filter,
        order_by=order_by or [],
        view_type=view_type,
    )
    return tracking.search_experiments(request)


@post(f"{_PREFIX}/update", status_code=200, sync_to_thread=True, opt=_LOG)
def update_experiment(data: JSONBody[UpdateExperiment], tracking: Tracking) -> Nothing:
    """Rename an active experiment."""
    tracking.update_experiment(data)
    return Nothing()


@post(f"{_PREFIX}/delete", status_code=200, sync_to_thread=True, opt=_LOG)
def delete_experiment(data: JSONBody[ExperimentReference], tracking: Tracking) -> Nothing:
    """Mark an experiment and its active runs deleted."""
    tracking.delete_experiment(data.experiment_id)
    return Nothing()


@post(f"{_PREFIX}/restore", status_code=200, sync_to_thread=True, opt=_LOG)
def restore_experiment(data: JSONBody[ExperimentReference], tracking: Tracking) -> Nothing:
    """Bring a deleted experiment back, with the runs deleted along with it."""
    tracking.restore_experiment(data.experiment_id)
    return Nothing()


@post(f"{_PREFIX}/set-experiment-tag", status_code=200, sync_to_thread=True, opt=_LOG)
def set_experiment_tag(data: JSONBody[SetExperimentTag], tracking: Tracking) -> Nothing:
    """Set or overwrite a tag of an active experiment."""
    tracking.set_experiment_tag(data)
    return Nothing()


@post(f"{_PREFIX}/delete-experiment-tag", status_code=200, sync_to_thread=True, opt=_LOG)
def delete_experiment_tag(data: JSONBody[DeleteExperimentTag], tracking: Tracking) -> Nothing:
    """Remove a tag of an active experiment."""
    tracking.delete_experiment_tag(data.experiment_id, data.key)
    return Nothing()


@post(f"{_PREFIX}/search-datasets", status_code=200, sync_to_thread=True, opt=_READ)
def search_datasets(data: JSONBody[SearchDatasets], tracking: Tracking) -> DatasetSummaries:
    """Return what runs of some experiments read, once for each context."""
    return DatasetSummaries(dataset_summaries=tracking.search_datasets(data.experiment_ids))


def _required(found: Experiment | None, name: str) -> Experiment:
    if found is None:
        raise ResourceMissing(
            f"Could not find experiment with name {name[:500]!r}. Create it, or search the names."
        )
    return found


HANDLERS = [
    create_experiment,
    experiment,
    experiment_by_name,
    search_experiments,
    list_experiments,
    update_experiment,
    delete_experiment,
    restore_experiment,
    set_experiment_tag,
    delete_experiment_tag,
    search_datasets,
]
