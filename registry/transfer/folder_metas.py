"""The files ``meta.yaml`` in a folder of MLflow's, ``mlruns``: what each kind holds. Pure.

Read by ``registry.transfer.mlflow_folder``, written by ``folder_writer``. Keys that are not ours
are skipped; YAML may make plain values and nothing else.
"""

from typing import Any, TypeVar

import msgspec
import yaml
from msgspec import Struct

from registry.yaml_reading import FAST_LOADER, read_yaml
from tracking.errors import InvalidRequest
from tracking.wire import RunStatus
from tracking.wire_models import LoggedModelStatus

T = TypeVar("T", bound="Meta")

MOST_BYTES = 32 << 20
RUN_STATUSES: tuple[RunStatus, ...] = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
"""In the order of their numbers, from 1."""
MODEL_STATUSES: tuple[LoggedModelStatus, ...] = (
    "LOGGED_MODEL_PENDING",
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
)
"""In the order of their numbers, from 1."""


class Meta(Struct, frozen=True, kw_only=True):
    """The parent of every file ``meta.yaml``. Immutable."""


class ExperimentMeta(Meta, frozen=True):
    """``<experiment>/meta.yaml``."""

    experiment_id: str | int
    name: str
    artifact_location: str | None = None
    lifecycle_stage: str | None = None
    creation_time: int | None = None
    last_update_time: int | None = None


class RunMeta(Meta, frozen=True):
    """``<experiment>/<run>/meta.yaml``; old ones have ``run_uuid`` only."""

    experiment_id: str | int
    run_id: str | None = None
    run_uuid: str | None = None
    run_name: str | None = None
    user_id: str | None = None
    status: int | None = None
    start_time: int | None = None
    end_time: int | None = None
    deleted_time: int | None = None
    lifecycle_stage: str | None = None
    artifact_uri: str | None = None
    # MLflow's reader wants these to be there.
    entry_point_name: str | None = None
    source_name: str | None = None
    source_type: int | None = None
    source_version: str | None = None
    tags: list[Any] = []


class DatasetMeta(Meta, frozen=True):
    """``<experiment>/datasets/<dataset>/meta.yaml``."""

    name: str
    digest: str
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class LinkMeta(Meta, frozen=True):
    """``<run>/inputs/<link>/meta.yaml`` and ``<run>/outputs/<model>/meta.yaml``.

    As MLflow writes them, both ids are that of the dataset or logged model.
    """

    source_type: str
    source_id: str
    destination_type: str
    destination_id: str | None = None
    tags: dict[str, str] = {}
    step: int = 0


class LoggedModelMeta(Meta, frozen=True):
    """``<experiment>/models/<model>/meta.yaml``."""

    model_id: str
    experiment_id: str | int
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    artifact_location: str | None = None
    status: int | None = None
    status_message: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    lifecycle_stage: str | None = None


class ModelMeta(Meta, frozen=True):
    """``models/<name>/meta.yaml``."""

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str | None = None


class VersionMeta(Meta, frozen=True):
    """``models/<name>/version-<n>/meta.yaml``."""

    name: str
    version: int
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    current_stage: str | None = None
    description: str | None = None
    user_id: str | None = None
    source: str | None = None
    storage_location: str | None = None
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    status: str | None = None
    status_message: str | None = None


def read_meta(data: bytes, kind: type[T]) -> T:
    """Return what a file holds.

    Raises:
        InvalidRequest: It is no YAML of plain values, or holds something else.
    """
    try:
        return msgspec.convert(read_yaml(data, _PlainLoader), kind, strict=False)
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        first = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InvalidRequest(f"its meta.yaml cannot be read ({first})") from error


def write_meta(meta: Meta) -> bytes:
    """Return the bytes of a file."""
    text: str = yaml.safe_dump(msgspec.to_builtins(meta), allow_unicode=True)
    return text.encode()


class _PlainLoader(FAST_LOADER):  # type: ignore[misc, valid-type]  # which one is known at run time
    """A safe loader that joins no mappings: a few lines of joins can make gigabytes."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave a join as it stands, which makes it an error."""
