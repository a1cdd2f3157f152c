"""The seam between whoever tracks and wherever it is kept: over SQL, or over HTTP."""

from collections.abc import Sequence
from typing import Protocol

from tracking.wire import (
    CreateExperiment,
    CreateRun,
    DatasetSummary,
    Experiment,
    ExperimentPage,
    LogBatch,
    LogInputs,
    LogModel,
    LogOutputs,
    Metric,
    MetricPage,
    Param,
    Run,
    RunInfo,
    RunPage,
    SearchExperiments,
    SearchRuns,
    SetExperimentTag,
    Tag,
    UpdateExperiment,
    UpdateRun,
)
from tracking.wire_models import (
    CreateLoggedModel,
    LoggedModel,
    LoggedModelPage,
    SearchLoggedModels,
)


class TrackingStore(Protocol):
    """Experiments and runs. Safe from any thread; every write is durable when it returns.

    Raises:
        InvalidRequest: A name, value, state or token that the wire does not allow.
        ResourceMissing: The experiment or run does not exist.
        ResourceExists: An experiment of that name exists, also if deleted.
    """

    def create_experiment(self, request: CreateExperiment) -> str:
        """Create an experiment and return its id."""

    def experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, also a deleted one."""

    def find_experiment(self, name: str) -> Experiment | None:
        """Return the experiment of that name, also a deleted one, or ``None``."""

    def search_experiments(self, request: SearchExperiments) -> ExperimentPage:
        """Return one page of experiments."""

    def update_experiment(self, request: UpdateExperiment) -> None:
        """Rename an active experiment."""

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its active runs deleted."""

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment back, with the runs deleted along with it."""

    def set_experiment_tag(self, request: SetExperimentTag) -> None:
        """Set or overwrite a tag of an active experiment."""

    def create_run(self, request: CreateRun) -> Run:
        """Start a run; the server names it when the caller does not."""

    def run(self, run_id: str) -> Run:
        """Return a run with the last value of each metric, its params and tags."""

    def update_run(self, request: UpdateRun) -> RunInfo:
        """Change status, end time or name."""

    def delete_run(self, run_id: str) -> None:
        """Mark a run deleted."""

    def restore_run(self, run_id: str) -> None:
        """Bring a deleted run back."""

    def search_runs(self, request: SearchRuns) -> RunPage:
        """Return one page of runs."""

    def log_batch(self, request: LogBatch) -> None:
        """Write metrics, params and tags of one run, all or nothing."""

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove one tag of a run."""

    def metric_history(
        self, run_id: str, key: str, *, max_results: int = 25_000, page_token: str | None = None
    ) -> MetricPage:
        """Return the points of one metric, ordered by timestamp, step, value."""

    def bulk_history(
        self, run_ids: Sequence[str], key: str, *, max_results: int = 25_000
    ) -> list[Metric]:
        """Return the points of a metric in many runs, ordered by run, timestamp, step, value."""

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

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Return what runs of these experiments read, once for each context."""

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove one tag of an active experiment."""

    def log_inputs(self, request: LogInputs) -> None:
        """Note datasets and logged models that a run read."""

    def log_outputs(self, request: LogOutputs) -> None:
        """Note logged models that a run made."""

    def log_model(self, request: LogModel) -> None:
        """Note a model that a client older than logged models has logged."""

    def create_logged_model(self, request: CreateLoggedModel) -> LoggedModel:
        """Begin a logged model; it gets a name when the caller gives none."""

    def logged_model(self, model_id: str) -> LoggedModel:
        """Return a logged model that is not deleted."""

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Say whether the files of a logged model are all there."""

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a logged model deleted."""

    def search_logged_models(self, request: SearchLoggedModels) -> LoggedModelPage:
        """Return one page of logged models."""

    def add_logged_model_params(self, model_id: str, params: Sequence[Param]) -> None:
        """Add params to a logged model; each is written once."""

    def set_logged_model_tags(self, model_id: str, tags: Sequence[Tag]) -> LoggedModel:
        """Set or overwrite tags of a logged model."""

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove one tag of a logged model."""
