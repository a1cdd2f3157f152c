"""Experiments and runs by id: MLflow's names on one side, the tracking store on the other."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stagedoor.entities import (
    Experiment,
    Page,
    Run,
    read_experiment,
    read_run,
    tag_list,
)
from tracking.clock import now_ms
from tracking.store import TrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    LogBatch,
    Metric,
    Param,
    SearchExperiments,
    SearchRuns,
    SetExperimentTag,
    Tag,
    UpdateExperiment,
    UpdateRun,
)

_MAX_METRICS = 1000
_MAX_PARAMS = 100
_MAX_TAGS = 100


class TrackingClient:
    """Experiments and runs. Safe from any thread.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: TrackingStore) -> None:
        self._tracking = store

    def create_experiment(
        self,
        name: str,
        artifact_location: str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> str:
        """Create an experiment and return its id."""
        return self._tracking.create_experiment(
            CreateExperiment(name=name, artifact_location=artifact_location, tags=tag_list(tags))
        )

    def get_experiment(self, experiment_id: str) -> Experiment:
        """Return an experiment, also a deleted one."""
        return read_experiment(self._tracking.experiment(str(experiment_id)))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment of that name, also a deleted one, or ``None``."""
        found = self._tracking.find_experiment(name)
        return None if found is None else read_experiment(found)

    def search_experiments(
        self,
        view_type: str = "ACTIVE_ONLY",
        max_results: int = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """Return one page of experiments; ``.token`` asks for the next."""
        page = self._tracking.search_experiments(
            SearchExperiments(
                view_type=view_type,
                max_results=max_results,
                filter=filter_string,
                order_by=list(order_by or ()),
                page_token=page_token,
            )
        )
        return Page(map(read_experiment, page.experiments), page.next_page_token)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Rename an active experiment."""
        request = UpdateExperiment(experiment_id=str(experiment_id), new_name=new_name)
        self._tracking.update_experiment(request)

    def delete_experiment(self, experiment_id: str) -> None:
        """Mark an experiment and its active runs deleted."""
        self._tracking.delete_experiment(str(experiment_id))

    def restore_experiment(self, experiment_id: str) -> None:
        """Bring a deleted experiment back."""
        self._tracking.restore_experiment(str(experiment_id))

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set or overwrite a tag of an experiment."""
        self._tracking.set_experiment_tag(
            SetExperimentTag(experiment_id=str(experiment_id), key=key, value=str(value))
        )

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Start a run without making it the active one.

        Args:
            experiment_id: Where it belongs.
            start_time: Milliseconds since the epoch; now when not given.
            tags: Its first tags.
            run_name: Its name; the server invents one when not given.
        """
        tags = dict(tags or {})
        return read_run(
            self._tracking.create_run(
                CreateRun(
                    experiment_id=str(experiment_id),
                    user_id=str(tags.get("mlflow.user", "unknown")),
                    start_time=now_ms() if start_time is None else start_time,
                    tags=tag_list(tags),
                    run_name=run_name,
                )
            )
        )

    def get_run(self, run_id: str) -> Run:
        """Return a run, also a deleted one."""
        return read_run(self._tracking.run(run_id))

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: str = "ACTIVE_ONLY",
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[Run]:
        """Return one page of runs; ``.token`` asks for the next."""
        page = self._tracking.search_runs(
            SearchRuns(
                experiment_ids=[str(one) for one in experiment_ids],
                filter=filter_string,
                run_view_type=run_view_type,
                max_results=max_results,
                order_by=list(order_by or ()),
                page_token=page_token,
            )
        )
        return Page(map(read_run, page.runs), page.next_page_token)

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change a run's status or name."""
        self._tracking.update_run(UpdateRun(run_id=run_id, status=status, run_name=name))

    def set_terminated(
        self, run_id: str, status: str = "FINISHED", end_time: int | None = None
    ) -> None:
        """End a run.

        Args:
            run_id: The run.
            status: FINISHED, FAILED or KILLED.
            end_time: Milliseconds since the epoch; now when not given.
        """
        ended = now_ms() if end_time is None else end_time
        self._tracking.update_run(UpdateRun(run_id=run_id, status=status, end_time=ended))

    def delete_run(self, run_id: str) -> None:
        """Mark a run deleted."""
        self._tracking.delete_run(run_id)

    def restore_run(self, run_id: str) -> None:
        """Bring a deleted run back."""
        self._tracking.restore_run(run_id)

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
    ) -> None:
        """Add a point to a metric."""
        self.log_batch(run_id, metrics=[make_metric(key, value, step=step, timestamp=timestamp)])

    def log_param(self, run_id: str, key: str, value: Any) -> None:
        """Write a param; once written, it cannot become another."""
        self.log_batch(run_id, params=[Param(key=key, value=str(value))])

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        """Set or overwrite a tag of a run."""
        self.log_batch(run_id, tags=tag_list({key: value}))

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag of a run."""
        self._tracking.delete_tag(run_id, key)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[Tag] = (),
    ) -> None:
        """Write metrics, params and tags, in as few calls as the limits of a batch allow."""
        requests = [
            *(LogBatch(run_id=run_id, params=part) for part in _parts(params, _MAX_PARAMS)),
            *(LogBatch(run_id=run_id, metrics=part) for part in _parts(metrics, _MAX_METRICS)),
            *(LogBatch(run_id=run_id, tags=part) for part in _parts(tags, _MAX_TAGS)),
        ]
        for request in requests:
            self._tracking.log_batch(request)

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Return all points of a metric, ordered by timestamp, step, value."""
        points: list[Metric] = []
        token: str | None = None
        while True:
            page = self._tracking.metric_history(run_id, key, page_token=token)
            points.extend(page.metrics)
            token = page.next_page_token
            if token is None:
                return points


def make_metric(
    key: str, value: float, *, step: int | None = None, timestamp: int | None = None
) -> Metric:
    """Build one point, as the wire has it.

    Args:
        key: The metric.
        value: A number, or what becomes one; NaN and infinities are fine.
        step: 0 when not given.
        timestamp: Milliseconds since the epoch; now when not given.
    """
    return Metric(
        key=key,
        value=_wire_number(float(value)),
        timestamp=now_ms() if timestamp is None else timestamp,
        step=step or 0,
    )


def _wire_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _parts(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
