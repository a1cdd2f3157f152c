"""The tracking store over HTTP: MLflow's REST API, of our server or somebody else's.

Called by the fluent client from any thread. Next hop: ``tracking.http``.
"""

from collections.abc import Sequence
from urllib.parse import quote

from tracking.errors import ResourceMissing
from tracking.http import HttpApi, Query
from tracking.wire import (
    BulkHistory,
    CreateExperiment,
    CreateRun,
    DatasetSummaries,
    DatasetSummary,
    DeleteExperimentTag,
    DeleteTag,
    Experiment,
    ExperimentAnswer,
    ExperimentCreated,
    ExperimentPage,
    ExperimentReference,
    LogBatch,
    LogInputs,
    LogModel,
    LogOutputs,
    Metric,
    MetricPage,
    Nothing,
    Param,
    PointSample,
    Run,
    RunAnswer,
    RunInfo,
    RunInfoAnswer,
    RunPage,
    RunReference,
    SearchDatasets,
    SearchExperiments,
    SearchRuns,
    SetExperimentTag,
    Tag,
    UpdateExperiment,
    UpdateRun,
)
from tracking.wire_models import (
    CreateLoggedModel,
    FinalizeLoggedModel,
    LoggedModel,
    LoggedModelAnswer,
    LoggedModelPage,
    LogModelParams,
    SearchLoggedModels,
    SetLoggedModelTags,
)

# Where MLflow's server has what its pages ask for; ours has it by either name.
_AJAX = "/ajax-api/2.0/mlflow/"


class HttpTrackingStore:
    """Experiments and runs of a server. Safe from any thread.

    Args:
        api: The server.
    """

    def __init__(self, api: HttpApi) -> None:
        self._api = api

    def create_experiment(self, request: CreateExperiment) -> str:
        """Create an experiment and return its id."""
        path = "experiments/create"
        return self._api.call("POST", path, ExperimentCreated, body=request).experiment_id

    def experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, also a deleted one."""
        query = {"experiment_id": experiment_id}
        return self._api.call("GET", "experiments/get", ExperimentAnswer, query=query).experiment

    def find_experiment(self, name: str) -> Experiment | None:
        """Return the experiment of that name, also a deleted one, or ``None``."""
        query = {"experiment_name": name}
        try:
            answer = self._api.call("GET", "experiments/get-by-name", ExperimentAnswer, query=query)
        except ResourceMissing:
            return None
        return answer.experiment

    def search_experiments(self, request: SearchExperiments) -> ExperimentPage:
        """Return one page of experiments."""
        return self._api.call("POST", "experiments/search", ExperimentPage, body=request)

    def update_experiment(self, request: UpdateExperiment) -> None:
        """Rename an active experiment."""
        self._api.call("POST", "experiments/update", Nothing, body=request)

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its active runs deleted."""
        body = ExperimentReference(experiment_id=experiment_id)
        self._api.call("POST", "experiments/delete", Nothing, body=body)

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment back, with the runs deleted along with it."""
        body = ExperimentReference(experiment_id=experiment_id)
        self._api.call("POST", "experiments/restore", Nothing, body=body)

    def set_experiment_tag(self, request: SetExperimentTag) -> None:
        """Set or overwrite a tag of an active experiment."""
        self._api.call("POST", "experiments/set-experiment-tag", Nothing, body=request)

    def create_run(self, request: CreateRun) -> Run:
        """Start a run; the server names it when the caller does not."""
        return self._api.call("POST", "runs/create", RunAnswer, body=request).run

    def run(self, run_id: str) -> Run:
        """Return a run with the last value of each metric, its params and tags."""
        return self._api.call("GET", "runs/get", RunAnswer, query={"run_id": run_id}).run

    def update_run(self, request: UpdateRun) -> RunInfo:
        """Change status, end time or name."""
        return self._api.call("POST", "runs/update", RunInfoAnswer, body=request).run_info

    def delete_run(self, run_id: str) -> None:
        """Mark a run deleted."""
        self._api.call("POST", "runs/delete", Nothing, body=RunReference(run_id=run_id))

    def restore_run(self, run_id: str) -> None:
        """Bring a deleted run back."""
        self._api.call("POST", "runs/restore", Nothing, body=RunReference(run_id=run_id))

    def search_runs(self, request: SearchRuns) -> RunPage:
        """Return one page of runs."""
        return self._api.call("POST", "runs/search", RunPage, body=request)

    def log_batch(self, request: LogBatch) -> None:
        """Write metrics, params and tags of one run, all or nothing."""
        self._api.call("POST", "runs/log-batch", Nothing, body=request)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove one tag of a run."""
        body = DeleteTag(run_id=run_id, key=key)
        self._api.call("POST", "runs/delete-tag", Nothing, body=body)

    def metric_history(
        self, run_id: str, key: str, *, max_results: int = 25_000, page_token: str | None = None
    ) -> MetricPage:
        """Return the points of one metric, ordered by timestamp, step, value."""
        query: Query = {
            "run_id": run_id,
            "metric_key": key,
            "max_results": max_results,
            "page_token": page_token,
        }
        return self._api.call("GET", "metrics/get-history", MetricPage, query=query)

    def bulk_history(
        self, run_ids: Sequence[str], key: str, *, max_results: int = 25_000
    ) -> list[Metric]:
        """Return the points of a metric in many runs, ordered by run, timestamp, step, value."""
        query: Query = {"run_id": list(run_ids), "metric_key": key, "max_results": max_results}
        return self._api.call(
            "GET", f"{_AJAX}metrics/get-history-bulk", BulkHistory, query=query
        ).metrics

    def sample_history(
        self,
        run_ids: Sequence[str],
        key: str,
        *,
        max_results: int = 2_500,
        start_step: int | None = None,
        end_step: int | None = None,
    ) -> list[Metric]:
        """Return for each run about ``max_results`` points, with the ends and all spikes."""
        query: Query = {
            "run_ids": list(run_ids),
            "metric_key": key,
            "max_results": max_results,
            "start_step": start_step,
            "end_step": end_step,
        }
        path = f"{_AJAX}metrics/get-history-bulk-interval"
        return self._api.call("GET", path, PointSample, query=query).metrics

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Return what runs of these experiments read, once for each context."""
        path, body = (
            f"{_AJAX}experiments/search-datasets",
            SearchDatasets(experiment_ids=list(experiment_ids)),
        )
        return self._api.call("POST", path, DatasetSummaries, body=body).dataset_summaries

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove one tag of an active experiment."""
        body = DeleteExperimentTag(experiment_id=experiment_id, key=key)
        self._api.call("POST", "experiments/delete-experiment-tag", Nothing, body=body)

    def log_inputs(self, request: LogInputs) -> None:
        """Note datasets and logged models that a run read."""
        self._api.call("POST", "runs/log-inputs", Nothing, body=request)

    def log_outputs(self, request: LogOutputs) -> None:
        """Note logged models that a run made."""
        self._api.call("POST", "runs/outputs", Nothing, body=request)

    def log_model(self, request: LogModel) -> None:
        """Note a model that a client older than logged models has logged."""
        self._api.call("POST", "runs/log-model", Nothing, body=request)

    def create_logged_model(self, request: CreateLoggedModel) -> LoggedModel:
        """Begin a logged model; it gets a name when the caller gives none."""
        return self._api.call("POST", "logged-models", LoggedModelAnswer, body=request).model

    def logged_model(self, model_id: str) -> LoggedModel:
        """Return a logged model that is not deleted."""
        return self._api.call("GET", _model_path(model_id), LoggedModelAnswer).model

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Say whether the files of a logged model are all there."""
        body = FinalizeLoggedModel(status=status)
        return self._api.call("PATCH", _model_path(model_id), LoggedModelAnswer, body=body).model

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a logged model deleted."""
        self._api.call("DELETE", _model_path(model_id), Nothing)

    def search_logged_models(self, request: SearchLoggedModels) -> LoggedModelPage:
        """Return one page of logged models."""
        return self._api.call("POST", "logged-models/search", LoggedModelPage, body=request)

    def add_logged_model_params(self, model_id: str, params: Sequence[Param]) -> None:
        """Add params to a logged model; each is written once."""
        body = LogModelParams(params=list(params))
        self._api.call("POST", f"{_model_path(model_id)}/params", Nothing, body=body)

    def set_logged_model_tags(self, model_id: str, tags: Sequence[Tag]) -> LoggedModel:
        """Set or overwrite tags of a logged model."""
        path, body = f"{_model_path(model_id)}/tags", SetLoggedModelTags(tags=list(tags))
        return self._api.call("PATCH", path, LoggedModelAnswer, body=body).model

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove one tag of a logged model."""
        path = f"{_model_path(model_id)}/tags/{quote(key, safe='')}"
        self._api.call("DELETE", path, Nothing)


def _model_path(model_id: str) -> str:
    return f"logged-models/{quote(model_id, safe='')}"
