"""The structs of MLflow's REST API for models and versions: used by the server and the SDK.

``version`` is a string on this wire, as MLflow has it. Times are milliseconds since the epoch.
Source: the MLflow REST API, version 2.0 paths.
"""

from functools import cache

import msgspec
from msgspec import field

from tracking.errors import InvalidRequest
from tracking.wire import Message, Tag


class Asking(Message, frozen=True):
    """The parent of requests: what they need is given, and an empty text is not.

    Raises:
        InvalidRequest: A text that is needed is empty.
    """

    def __post_init__(self) -> None:
        """Check what is needed."""
        check_given(**{name: getattr(self, name) for name in _needed(type(self))})


def check_given(**texts: str) -> None:
    """Check that texts that a request needs, by their names, are not empty.

    Raises:
        InvalidRequest: One is.
    """
    for name, text in texts.items():
        if text == "":
            raise InvalidRequest(f"Missing value for required parameter {name!r}. Send it.")


@cache
def _needed(asking: type[Asking]) -> tuple[str, ...]:
    fields = msgspec.structs.fields(asking)
    return tuple(one.name for one in fields if one.required and one.type is str)


class AliasEntry(Message, frozen=True):
    """An alias of a model and the version it points at."""

    alias: str
    version: str


class ModelVersion(Message, frozen=True):
    """An immutable, numbered artifact of a model.

    ``description``, ``run_id`` and ``run_link`` are told also when they are empty, as MLflow does.
    """

    name: str
    version: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    current_stage: str | None = None
    description: str | None = field(default_factory=str)
    source: str | None = None
    run_id: str | None = field(default_factory=str)
    status: str | None = None
    status_message: str | None = None
    tags: list[Tag] = []
    run_link: str | None = field(default_factory=str)
    aliases: list[str] = []
    model_id: str | None = None


class RegisteredModel(Message, frozen=True):
    """A name in the registry, with the newest version of each stage."""

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    description: str | None = None
    latest_versions: list[ModelVersion] = []
    tags: list[Tag] = []
    aliases: list[AliasEntry] = []


# --- requests and answers ---------------------------------------------------------------------


class CreateModel(Asking, frozen=True):
    """POST registered-models/create."""

    name: str
    tags: list[Tag] = []
    description: str | None = None


class ModelAnswer(Message, frozen=True):
    """The answer that holds one registered model."""

    registered_model: RegisteredModel


class ModelPage(Message, frozen=True):
    """One page of registered models."""

    registered_models: list[RegisteredModel] = []
    next_page_token: str | None = None


class SearchRequest(Message, frozen=True):
    """The query of registered-models/search and model-versions/search."""

    filter: str | None = None
    max_results: int | None = None
    order_by: list[str] = []
    page_token: str | None = None


class RenameModel(Asking, frozen=True):
    """POST registered-models/rename."""

    name: str
    new_name: str


class UpdateModel(Asking, frozen=True):
    """PATCH registered-models/update."""

    name: str
    description: str | None = None


class ModelReference(Asking, frozen=True):
    """DELETE registered-models/delete."""

    name: str


class LatestVersions(Asking, frozen=True):
    """POST registered-models/get-latest-versions."""

    name: str
    stages: list[str] = []


class VersionList(Message, frozen=True):
    """The answer to get-latest-versions."""

    model_versions: list[ModelVersion] = []


class VersionPage(Message, frozen=True):
    """One page of versions."""

    model_versions: list[ModelVersion] = []
    next_page_token: str | None = None


class SetModelTag(Asking, frozen=True):
    """POST registered-models/set-tag."""

    name: str
    key: str
    value: str | None = None


class DeleteModelTag(Asking, frozen=True):
    """DELETE registered-models/delete-tag."""

    name: str
    key: str


class SetAlias(Asking, frozen=True):
    """POST registered-models/alias."""

    name: str
    alias: str
    version: str


class DeleteAlias(Asking, frozen=True):
    """DELETE registered-models/alias."""

    name: str
    alias: str


class CreateVersion(Asking, frozen=True):
    """POST model-versions/create."""

    name: str
    source: str
    run_id: str | None = None
    run_link: str | None = None
    tags: list[Tag] = []
    description: str | None = None
    model_id: str | None = None


class VersionAnswer(Message, frozen=True):
    """The answer that holds one version."""

    model_version: ModelVersion


class UpdateVersion(Asking, frozen=True):
    """PATCH model-versions/update."""

    name: str
    version: str
    description: str | None = None


class VersionReference(Asking, frozen=True):
    """DELETE model-versions/delete."""

    name: str
    version: str


class TransitionStage(Asking, frozen=True):
    """POST model-versions/transition-stage."""

    name: str
    version: str
    stage: str
    archive_existing_versions: bool = False


class SetVersionTag(Asking, frozen=True):
    """POST model-versions/set-tag."""

    name: str
    version: str
    key: str
    value: str | None = None


class DeleteVersionTag(Asking, frozen=True):
    """DELETE model-versions/delete-tag."""

    name: str
    version: str
    key: str


class DownloadUri(Message, frozen=True):
    """The answer to model-versions/get-download-uri."""

    artifact_uri: str
