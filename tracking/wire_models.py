"""The structs of MLflow's REST API for logged models: models as runs make them, unregistered.

Used by the server and the SDK, as ``tracking.wire`` is. Source: version 2.0 paths beneath
``logged-models``; times are milliseconds since the epoch.
"""

from typing import Literal

from msgspec import field

from tracking.wire import Message, Metric, Param, Tag

LoggedModelStatus = Literal[
    "LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"
]


class LoggedModelInfo(Message, frozen=True):
    """What identifies a logged model and says how it stands."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int = 0
    last_updated_timestamp_ms: int = 0
    artifact_uri: str = ""
    status: LoggedModelStatus | None = None
    model_type: str = field(default_factory=str)
    source_run_id: str = field(default_factory=str)
    tags: list[Tag] = []


class LoggedModelData(Message, frozen=True):
    """What is known of a logged model; of its metrics each point."""

    params: list[Param] = []
    metrics: list[Metric] = []


class LoggedModel(Message, frozen=True):
    """A model with its files, made by a run."""

    info: LoggedModelInfo
    data: LoggedModelData = LoggedModelData()


class CreateLoggedModel(Message, frozen=True):
    """POST logged-models."""

    experiment_id: str
    name: str | None = None
    model_type: str = ""
    source_run_id: str = ""
    params: list[Param] = []
    tags: list[Tag] = []


class LoggedModelAnswer(Message, frozen=True):
    """The answer that holds one logged model."""

    model: LoggedModel


class FinalizeLoggedModel(Message, frozen=True):
    """PATCH logged-models/<id>."""

    status: str


class LogModelParams(Message, frozen=True):
    """POST logged-models/<id>/params."""

    params: list[Param] = []


class SetLoggedModelTags(Message, frozen=True):
    """PATCH logged-models/<id>/tags."""

    tags: list[Tag] = []


class DatasetReference(Message, frozen=True):
    """A dataset that metrics of a search must belong to."""

    dataset_name: str
    dataset_digest: str = ""


class LoggedModelOrder(Message, frozen=True):
    """One order of a search: an attribute, or ``metrics.<key>``."""

    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class SearchLoggedModels(Message, frozen=True):
    """POST logged-models/search."""

    experiment_ids: list[str] = []
    filter: str = ""
    datasets: list[DatasetReference] = []
    max_results: int = 100
    order_by: list[LoggedModelOrder] = []
    page_token: str | None = None


class LoggedModelPage(Message, frozen=True):
    """One page of logged models."""

    models: list[LoggedModel] = []
    next_page_token: str | None = None
