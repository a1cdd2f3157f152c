"""The MLmodel file: what a folder holds, in the format the ``mlflow`` client reads and writes.

Pure but for reading and writing that one file. What a flavor keeps beside it is the flavor's.
"""

from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct, field

from registry.signature import Signature, format_signature, parse_signature
from registry.yaml_reading import read_yaml
from tracking.errors import InvalidRequest, ResourceMissing

MLMODEL = "MLmodel"
"""Name of the file that makes a folder a model."""

MLFLOW_VERSION = "3.17.2"
"""The MLflow version whose format is written."""

_MAX_BYTES = 1 << 20


class ModelConfig(Struct, frozen=True, kw_only=True):
    """One MLmodel file, read. Immutable.

    Args:
        flavors: Name of each flavor to what it needs to load the folder.
        signature: What the model takes and gives, or none.
        saved_input_example_info: Where the example is and how it is written, or none.
        model_uuid: 32 hex digits, one for each saving.
        utc_time_created: ``2026-01-31 12:00:00.000000``, or none.
        run_id: The run that logged it, or none.
        artifact_path: The folder beneath that run's artifacts, or none.
        mlflow_version: The version of the format.
        metadata: What its author added.
    """

    flavors: dict[str, dict[str, Any]]
    signature: Signature | None = None
    saved_input_example_info: dict[str, Any] | None = None
    model_uuid: str | None = None
    utc_time_created: str | None = None
    run_id: str | None = None
    artifact_path: str | None = None
    mlflow_version: str | None = None
    metadata: dict[str, Any] | None = None


class _MLmodelFile(Struct, omit_defaults=True):
    """The file itself; keys that are not ours are skipped."""

    flavors: dict[str, dict[str, Any]]
    artifact_path: str | None = None
    run_id: str | None = None
    model_uuid: str | None = None
    # YAML reads an unquoted time as a datetime, as files of old MLflow versions have it.
    utc_time_created: Any = None
    mlflow_version: str | None = None
    metadata: dict[str, Any] | None = None
    saved_input_example_info: dict[str, Any] | None = None
    signature: dict[str, Any] | None = field(default=None)


def read_model_folder(folder: Path) -> ModelConfig:
    """Read the MLmodel file of a folder.

    Raises:
        ResourceMissing: The folder has none.
        InvalidRequest: It is too large, no YAML, or not shaped like an MLmodel file.
    """
    path = folder / MLMODEL
    if not path.is_file():
        raise ResourceMissing(f"There is no {MLMODEL} file in it: it is not the folder of a model.")
    with path.open("rb") as file:
        return parse_mlmodel(file.read(_MAX_BYTES + 1))


def parse_mlmodel(data: bytes) -> ModelConfig:
    """Read the bytes of an MLmodel file.

    Raises:
        InvalidRequest: They are too many, no YAML, or not shaped like an MLmodel file.
    """
    if len(data) > _MAX_BYTES:
        raise InvalidRequest(f"The {MLMODEL} file is larger than {_MAX_BYTES} bytes.")
    try:
        file = msgspec.convert(read_yaml(data), _MLmodelFile)
    except (yaml.YAMLError, msgspec.ValidationError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"The {MLMODEL} file cannot be read: {_brief(error)}") from error
    fields = msgspec.structs.asdict(file)
    created = fields.pop("utc_time_created")
    signature = fields.pop("signature")
    return ModelConfig(
        **fields,
        signature=parse_signature(signature) if signature else None,
        utc_time_created=None if created is None else str(created),
    )


def write_model_folder(folder: Path, config: ModelConfig) -> None:
    """Write the MLmodel file of a folder that already holds all the rest."""
    fields = msgspec.structs.asdict(config)
    signature = fields.pop("signature")
    fields["mlflow_version"] = config.mlflow_version or MLFLOW_VERSION
    file = _MLmodelFile(**fields, signature=format_signature(signature) if signature else None)
    text = yaml.safe_dump(msgspec.to_builtins(file), sort_keys=True, allow_unicode=True)
    (folder / MLMODEL).write_text(text, encoding="utf-8")


def _brief(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
