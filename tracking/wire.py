"""The structs of MLflow's REST API for tracking: one wire format, used by the server and the SDK.

A field that is unset or an empty list is left out of the JSON, as proto3 does it; a text that
MLflow's server sets even where nobody gave one is written also when it is empty. Times are
milliseconds since the epoch. Source: the MLflow REST API, version 2.0 paths.
"""

from typing import Literal

from msgspec import Struct, field

RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
ViewType = Literal["ACTIVE_ONLY", "DELETED_ONLY", "ALL"]
LifecycleStage = Literal["active", "deleted"]


class Message(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The parent of every struct on this wire. Immutable."""


class Nothing(Message, frozen=True):
    """The answer ``{}`` of a write."""


class Tag(Message, frozen=True, gc=False):
    """A key with a text value, on an experiment, run, model or version."""

    key: str
    value: str = field(default_factory=str)


class Experiment(Message, frozen=True):
    """A named group of runs."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: LifecycleStage | None = None
    creation_time: int | None = None
    last_update_time: int | None = None
    tags: list[Tag] = []


class Metric(Message, frozen=True, gc=False):
    """One point of a metric.

    ``value`` is a number, or the text ``NaN``: JSON has no token for it. Infinities are clamped to
    the largest float, as MLflow does.
    """

    key: str
    value: float | str
    timestamp: int
    step: int | None = None
    run_id: str | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class Param(Message, frozen=True, gc=False):
    """One input of a training execution; written once."""

    key: str
    value: str = field(default_factory=str)


class RunInfo(Message, frozen=True, gc=False):
    """What identifies a run and says how it stands."""

    run_id: str
    run_uuid: str
    experiment_id: str
    run_name: str = ""
    user_id: str = field(default_factory=str)
    status: RunStatus | None = None
    start_time: int | None = None
    end_time: int | None = None
    artifact_uri: str = ""
    lifecycle_stage: LifecycleStage | None = None


class RunData(Message, frozen=True):
    """What a run logged; of each metric the last value."""

    metrics: list[Metric] = []
    params: list[Param] = []
    tags: list[Tag] = []


class Dataset(Message, frozen=True):
    """What a run read; the same name and digest in an experiment are one dataset."""

    name: str
    digest: str
    source_type: str = field(default_factory=str)
    source: str = field(default_factory=str)
    schema: str = ""
    profile: str = ""


class DatasetInput(Message, frozen=True):
    """A dataset as an input of a run, with what it was used for in its tags."""

    dataset: Dataset
    tags: list[Tag] = []


class ModelInput(Message, frozen=True):
    """A logged model that a run read."""

    model_id: str


class ModelOutput(Message, frozen=True):
    """A logged model that a run made."""

    model_id: str
    step: int | None = None


class RunInputs(Message, frozen=True):
    """What a run read."""

    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[ModelInput] = []


class RunOutputs(Message, frozen=True):
    """What a run made."""

    model_outputs: list[ModelOutput] = []


class Run(Message, frozen=True):
    """One training execution."""

    info: RunInfo
    data: RunData = RunData()
    inputs: RunInputs | None = None
    outputs: RunOutputs | None = None


class FileInfo(Message, frozen=True):
    """One entry of an artifact folder."""

    path: str
    is_dir: bool
    file_size: int | None = None


# --- requests and answers ---------------------------------------------------------------------


class CreateExperiment(Message, frozen=True):
    """POST experiments/create."""

    name: str
    artifact_location: str | None = None
    tags: list[Tag] = []


class ExperimentCreated(Message, frozen=True):
    """The answer to experiments/create."""

    experiment_id: str


class ExperimentAnswer(Message, frozen=True):
    """The answer to experiments/get and get-by-name."""

    experiment: Experiment


class SearchExperiments(Message, frozen=True):
    """POST experiments/search."""

    max_results: int = 1000
    page_token: str | None = None
    filter: str | None = None
    order_by: list[str] = []
    view_type: str = "ACTIVE_ONLY"


class ExperimentPage(Message, frozen=True):
    """One page of experiments."""

    experiments: list[Experiment] = []
    next_page_token: str | None = None


class UpdateExperiment(Message, frozen=True):
    """POST experiments/update."""

    experiment_id: str
    new_name: str | None = None


class ExperimentReference(Message, frozen=True):
    """POST experiments/delete and restore."""

    experiment_id: str


class SetExperimentTag(Message, frozen=True):
    """POST experiments/set-experiment-tag."""

    experiment_id: str
    key: str
    value: str = ""


class DeleteExperimentTag(Message, frozen=True):
    """POST experiments/delete-experiment-tag."""

    experiment_id: str
    key: str


class CreateRun(Message, frozen=True):
    """POST runs/create, as it is sent; ``StartRun`` is what a server takes it for."""

    experiment_id: str = field(default_factory=lambda: "0")
    user_id: str = ""
    run_name: str | None = None
    start_time: int | None = None
    tags: list[Tag] = []


class StartRun(CreateRun, frozen=True):
    """POST runs/create, as it is received: nobody gets a run in an experiment by saying none."""

    experiment_id: str


class RunAnswer(Message, frozen=True):
    """The answer to runs/create and runs/get."""

    run: Run


class UpdateRun(Message, frozen=True):
    """POST runs/update."""

    run_id: str | None = None
    run_uuid: str | None = None
    status: str | None = None
    end_time: int | None = None
    run_name: str | None = None


class RunInfoAnswer(Message, frozen=True):
    """The answer to runs/update."""

    run_info: RunInfo


class RunReference(Message, frozen=True):
    """POST runs/delete and restore."""

    run_id: str


class SearchRuns(Message, frozen=True):
    """POST runs/search."""

    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str = "ACTIVE_ONLY"
    max_results: int = 1000
    order_by: list[str] = []
    page_token: str | None = None


class RunPage(Message, frozen=True):
    """One page of runs."""

    runs: list[Run] = []
    next_page_token: str | None = None


class LogMetric(Message, frozen=True):
    """POST runs/log-metric."""

    key: str
    value: float | str
    timestamp: int
    step: int = 0
    run_id: str | None = None
    run_uuid: str | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class LogParam(Message, frozen=True):
    """POST runs/log-parameter."""

    key: str
    value: str = ""
    run_id: str | None = None
    run_uuid: str | None = None


class SetTag(Message, frozen=True):
    """POST runs/set-tag."""

    key: str
    value: str = ""
    run_id: str | None = None
    run_uuid: str | None = None


class DeleteTag(Message, frozen=True):
    """POST runs/delete-tag."""

    run_id: str
    key: str


class LogBatch(Message, frozen=True):
    """POST runs/log-batch: all of it or nothing."""

    run_id: str
    metrics: list[Metric] = []
    params: list[Param] = []
    tags: list[Tag] = []


class LogInputs(Message, frozen=True):
    """POST runs/log-inputs."""

    run_id: str
    datasets: list[DatasetInput] = []
    models: list[ModelInput] = []


class LogOutputs(Message, frozen=True):
    """POST runs/outputs."""

    run_id: str
    models: list[ModelOutput] = []


class LogModel(Message, frozen=True):
    """POST runs/log-model, as clients before 3.0 send it; ``model_json`` is their MLmodel."""

    run_id: str
    model_json: str


class MetricPage(Message, frozen=True):
    """One page of a metric's history, ordered by timestamp, step, value."""

    metrics: list[Metric] = []
    next_page_token: str | None = None


class BulkHistory(Message, frozen=True):
    """The answer to get-history-bulk; its list is written also when it is empty."""

    metrics: list[Metric]


class PointSample(Message, frozen=True):
    """The answer to get-history-bulk-interval."""

    metrics: list[Metric] = []


class SearchDatasets(Message, frozen=True):
    """POST experiments/search-datasets."""

    experiment_ids: list[str] = []


class DatasetSummary(Message, frozen=True):
    """A dataset that runs of an experiment read, once for each context it was read in."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class DatasetSummaries(Message, frozen=True):
    """The answer to experiments/search-datasets."""

    dataset_summaries: list[DatasetSummary] = []


class ArtifactListing(Message, frozen=True):
    """The answer to artifacts/list: paths from the run's root."""

    root_uri: str
    files: list[FileInfo] = []


class FolderListing(Message, frozen=True):
    """The answer of the artifact proxy: one level, base names only."""

    files: list[FileInfo] = []
