"""The tracking store over SQL: each method is one snapshot, or one piece of work.

Called by the fluent client and by the handlers of ``gateway/api/mlflow``, from any thread. Next
hops: ``tracking.sql_experiments``, ``sql_runs``, ``sql_logging``, ``sql_input_logging``,
``sql_logged_models`` and the three searches.
"""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from random import SystemRandom

from sqlalchemy import Connection

from tracking import (
    sql_experiment_search,
    sql_experiments,
    sql_histories,
    sql_input_logging,
    sql_inputs,
    sql_logged_model_search,
    sql_logged_models,
    sql_logging,
    sql_run_search,
    sql_runs,
    sql_samples,
)
from tracking.artifact_location import absolute_root
from tracking.clock import now_ms
from tracking.database import Database
from tracking.limits import check_steps
from tracking.run_names import name_run
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


class SqlTrackingStore:
    """Experiments and runs in a database of ours. Safe from any thread.

    Args:
        database: Open, at the schema this program needs.
        default_artifact_root: Beneath it lie the artifacts of experiments that chose no place; a
            relative path begins at the folder in which this process runs.

    Raises:
        InvalidRequest: Nothing can lie beneath such a root.
    """

    def __init__(
        self, database: Database, *, default_artifact_root: str = "mlflow-artifacts:/"
    ) -> None:
        self._database = database
        self._root = absolute_root(default_artifact_root, Path.cwd())
        self._chance = SystemRandom()
        self._make_default()

    def create_experiment(self, request: CreateExperiment) -> str:
        """Create an experiment and return its id."""
        root, now = self._root, now_ms()
        return self._database.write(
            lambda connection: sql_experiments.create(connection, request, root=root, now_ms=now)
        )

    def experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, also a deleted one."""
        with self._database.read() as connection:
            return sql_experiments.one(connection, experiment_id)

    def find_experiment(self, name: str) -> Experiment | None:
        """Return the experiment of that name, also a deleted one, or ``None``."""
        with self._database.read() as connection:
            return sql_experiments.find(connection, name)

    def search_experiments(self, request: SearchExperiments) -> ExperimentPage:
        """Return one page of experiments."""
        with self._database.read() as connection:
            return sql_experiment_search.search(connection, request)

    def update_experiment(self, request: UpdateExperiment) -> None:
        """Rename an active experiment."""
        now = now_ms()
        self._database.write(
            lambda connection: sql_experiments.rename(connection, request, now_ms=now)
        )

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its active runs deleted."""
        now = now_ms()
        self._database.write(
            lambda connection: sql_experiments.remove(connection, experiment_id, now_ms=now)
        )

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment back, with the runs deleted along with it."""
        now = now_ms()
        self._database.write(
            lambda connection: sql_experiments.restore(connection, experiment_id, now_ms=now)
        )

    def set_experiment_tag(self, request: SetExperimentTag) -> None:
        """Set or overwrite a tag of an active experiment."""
        now = now_ms()
        self._database.write(
            lambda connection: sql_experiments.set_tag(connection, request, now_ms=now)
        )

    def create_run(self, request: CreateRun) -> Run:
        """Start a run; it gets a name when the caller gives none."""
        return self._database.write(self._creation_of(request))

    def create_run_soon(self, request: CreateRun) -> "Future[Run]":
        """Do as ``create_run`` without waiting: return where the run will be."""
        return self._database.write_soon(self._creation_of(request))

    def run(self, run_id: str) -> Run:
        """Return a run with the last value of each metric, its params and tags."""
        with self._database.read() as connection:
            return sql_runs.one(connection, run_id)

    def update_run(self, request: UpdateRun) -> RunInfo:
        """Change status, end time or name."""
        return self._database.write(lambda connection: sql_runs.change(connection, request))

    def update_run_soon(self, request: UpdateRun) -> "Future[RunInfo]":
        """Do as ``update_run`` without waiting."""
        return self._database.write_soon(lambda connection: sql_runs.change(connection, request))

    def delete_run(self, run_id: str) -> None:
        """Mark a run deleted."""
        now = now_ms()
        self._database.write(lambda connection: sql_runs.mark(connection, run_id, deleted_at=now))

    def restore_run(self, run_id: str) -> None:
        """Bring a deleted run back."""
        self._database.write(lambda connection: sql_runs.mark(connection, run_id, deleted_at=None))

    def search_runs(self, request: SearchRuns) -> RunPage:
        """Return one page of runs."""
        with self._database.read() as connection:
            return sql_run_search.search(connection, request)

    def log_batch(self, request: LogBatch) -> None:
        """Write metrics, params and tags of one run, all or nothing."""
        self._database.write(lambda connection: sql_logging.log(connection, request))

    def log_batch_soon(self, request: LogBatch) -> "Future[None]":
        """Do as ``log_batch`` without waiting."""
        return self._database.write_soon(lambda connection: sql_logging.log(connection, request))

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove one tag of a run."""
        self._database.write(lambda connection: sql_logging.delete_tag(connection, run_id, key))

    def metric_history(
        self, run_id: str, key: str, *, max_results: int = 25_000, page_token: str | None = None
    ) -> MetricPage:
        """Return the points of one metric, ordered by timestamp, step, value."""
        with self._database.read() as connection:
            return sql_histories.history(
                connection, run_id, key, max_results=max_results, page_token=page_token
            )

    def bulk_history(
        self, run_ids: Sequence[str], key: str, *, max_results: int = 25_000
    ) -> list[Metric]:
        """Return the points of a metric in many runs, ordered by run, timestamp, step, value."""
        with self._database.read() as connection:
            return sql_histories.bulk_history(connection, run_ids, key, max_results=max_results)

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
        steps = check_steps(start_step, end_step)
        with self._database.read() as connection:
            return sql_samples.sample(
                connection, run_ids, key, max_results=max_results, steps=steps
            )

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Return what runs of these experiments read, once for each context."""
        with self._database.read() as connection:
            return sql_inputs.summarize_datasets(connection, experiment_ids)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove one tag of an active experiment."""
        now = now_ms()
        self._database.write(
            lambda connection: sql_experiments.delete_tag(
                connection, experiment_id, key, now_ms=now
            )
        )

    def log_inputs(self, request: LogInputs) -> None:
        """Note datasets and logged models that a run read."""
        self._database.write(lambda connection: sql_input_logging.log_inputs(connection, request))

    def log_outputs(self, request: LogOutputs) -> None:
        """Note logged models that a run made."""
        self._database.write(lambda connection: sql_input_logging.log_outputs(connection, request))

    def log_model(self, request: LogModel) -> None:
        """Note a model that a client older than logged models has logged."""
        self._database.write(lambda connection: sql_input_logging.log_model(connection, request))

    def create_logged_model(self, request: CreateLoggedModel) -> LoggedModel:
        """Begin a logged model; it gets a name when the caller gives none."""
        model_id, name, now = f"m-{uuid.uuid4().hex}", name_run(self._chance), now_ms()
        return self._database.write(
            lambda connection: sql_logged_models.create(
                connection, request, model_id=model_id, spare_name=name, now_ms=now
            )
        )

    def logged_model(self, model_id: str) -> LoggedModel:
        """Return a logged model that is not deleted."""
        with self._database.read() as connection:
            return sql_logged_models.one(connection, model_id)

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Say whether the files of a logged model are all there."""
        now = now_ms()
        return self._database.write(
            lambda connection: sql_logged_models.finalize(connection, model_id, status, now_ms=now)
        )

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a logged model deleted."""
        now = now_ms()
        self._database.write(
            lambda connection: sql_logged_models.remove(connection, model_id, now_ms=now)
        )

    def search_logged_models(self, request: SearchLoggedModels) -> LoggedModelPage:
        """Return one page of logged models."""
        with self._database.read() as connection:
            return sql_logged_model_search.search(connection, request)

    def add_logged_model_params(self, model_id: str, params: Sequence[Param]) -> None:
        """Add params to a logged model; each is written once."""
        self._database.write(
            lambda connection: sql_logged_models.add_params(connection, model_id, params)
        )

    def set_logged_model_tags(self, model_id: str, tags: Sequence[Tag]) -> LoggedModel:
        """Set or overwrite tags of a logged model."""
        now = now_ms()
        return self._database.write(
            lambda connection: sql_logged_models.set_tags(connection, model_id, tags, now_ms=now)
        )

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove one tag of a logged model."""
        self._database.write(
            lambda connection: sql_logged_models.delete_tag(connection, model_id, key)
        )

    def _creation_of(self, request: CreateRun) -> Callable[[Connection], Run]:
        run_id, now = uuid.uuid4().hex, now_ms()
        name = request.run_name or name_run(self._chance)
        return lambda connection: sql_runs.create(
            connection, request, run_id=run_id, spare_name=name, now_ms=now
        )

    def _make_default(self) -> None:
        with self._database.read() as connection:
            is_there = sql_experiments.has_default(connection)
        if not is_there:
            root, now = self._root, now_ms()
            self._database.write(
                lambda connection: sql_experiments.ensure_default(connection, root=root, now_ms=now)
            )
