"""What the SDK hands to a user: the wire's structs, with tags, params and metrics as dicts."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from registry import wire as registry_wire
from tracking import wire
from tracking.wire import RunInfo, Tag

_Item = TypeVar("_Item")


class Page(list[_Item]):
    """A list with the token that asks for the next page, ``None`` on the last."""

    def __init__(self, items: Iterable[_Item], token: str | None) -> None:
        super().__init__(items)
        self.token = token


class RunData(Struct, frozen=True):
    """What a run logged; of each metric the last value. Immutable."""

    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]


class Run(Struct, frozen=True):
    """One training execution, as it was when it was read. Immutable."""

    info: RunInfo
    data: RunData


class Experiment(Struct, frozen=True):
    """A named group of runs. Immutable."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    tags: dict[str, str]
    creation_time: int | None
    last_update_time: int | None


class ModelVersion(Struct, frozen=True):
    """An immutable, numbered artifact of a model."""

    name: str
    version: str
    current_stage: str
    source: str | None
    run_id: str | None
    description: str | None
    status: str | None
    status_message: str | None
    tags: dict[str, str]
    aliases: list[str]
    creation_timestamp: int | None
    last_updated_timestamp: int | None


class RegisteredModel(Struct, frozen=True):
    """A name in the registry. Immutable.

    Args:
        aliases: Alias to version.
        latest_versions: The newest version of each stage that has one.
    """

    name: str
    description: str | None
    tags: dict[str, str]
    aliases: dict[str, str]
    latest_versions: list[ModelVersion]
    creation_timestamp: int | None
    last_updated_timestamp: int | None


def tag_list(tags: Mapping[str, Any] | None) -> list[Tag]:
    """Write tags for the wire; a value is the text of what was given."""
    return [Tag(key=key, value=str(value)) for key, value in (tags or {}).items()]


def tag_dict(tags: Iterable[Tag]) -> dict[str, str]:
    """Read tags from the wire."""
    return {tag.key: tag.value for tag in tags}


def read_run(run: wire.Run) -> Run:
    """Read a run from the wire."""
    data = RunData(
        metrics={metric.key: float(metric.value) for metric in run.data.metrics},
        params={param.key: param.value for param in run.data.params},
        tags=tag_dict(run.data.tags),
    )
    return Run(info=run.info, data=data)


def read_experiment(experiment: wire.Experiment) -> Experiment:
    """Read an experiment from the wire."""
    return Experiment(
        experiment_id=experiment.experiment_id,
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage=experiment.lifecycle_stage or "active",
        tags=tag_dict(experiment.tags),
        creation_time=experiment.creation_time,
        last_update_time=experiment.last_update_time,
    )


def read_version(version: registry_wire.ModelVersion) -> ModelVersion:
    """Read a version from the wire."""
    return ModelVersion(
        name=version.name,
        version=version.version,
        current_stage=version.current_stage or "None",
        source=version.source,
        run_id=version.run_id or None,
        description=version.description or None,
        status=version.status,
        status_message=version.status_message,
        tags=tag_dict(version.tags),
        aliases=version.aliases,
        creation_timestamp=version.creation_timestamp,
        last_updated_timestamp=version.last_updated_timestamp,
    )


def read_model(model: registry_wire.RegisteredModel) -> RegisteredModel:
    """Read a registered model from the wire."""
    return RegisteredModel(
        name=model.name,
        description=model.description,
        tags=tag_dict(model.tags),
        aliases={entry.alias: entry.version for entry in model.aliases},
        latest_versions=[read_version(version) for version in model.latest_versions],
        creation_timestamp=model.creation_timestamp,
        last_updated_timestamp=model.last_updated_timestamp,
    )
