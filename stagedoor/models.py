"""Models of the SDK: logged into a run, registered, and loaded by any of their URIs."""

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from msgspec import Struct, structs

from registry.flavors.flavor import Flavor
from registry.loading import LoadedModel, load_folder
from registry.model_folder import MLMODEL, ModelConfig
from registry.references import (
    ByAlias,
    ByNumber,
    ByStage,
    ModelUri,
    format_ref,
    parse_model_uri,
)
from registry.saving import Packing, save_folder
from registry.signature import Signature
from stagedoor.client import StagedoorClient
from stagedoor.clock import utc_text
from stagedoor.entities import ModelVersion
from stagedoor.run_uri import parse_run_uri
from stagedoor.runs import ActiveRun, ensure_run
from stagedoor.session import open_stores
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing
from tracking.paths import check_path, join_path, proxied_path


class SaveOptions(TypedDict, total=False):
    """What may be said of a model when it is saved or logged."""

    input_example: Any
    signature: Signature | None
    pyfunc_predict_fn: str
    metadata: dict[str, Any] | None


class ModelInfo(Struct, frozen=True):
    """What became of a logged model. Immutable.

    Args:
        model_uri: ``runs:/<run id>/<name>``; loads it, and registers it.
        run_id: The run it was logged into.
        artifact_path: Its folder beneath that run's artifacts.
        model_uuid: 32 hex digits.
        signature: What it takes and gives, or none.
        registered_model_version: The number it got in the registry, or none.
    """

    model_uri: str
    run_id: str
    artifact_path: str
    model_uuid: str
    signature: Signature | None
    registered_model_version: str | None


def save_model(model: Any, path: str | Path, flavor: Flavor, options: SaveOptions) -> None:
    """Write a model folder on this machine."""
    save_folder(model, Path(path), flavor, _packing(options))


def log_model(
    model: Any,
    name: str,
    flavor: Flavor,
    options: SaveOptions,
    *,
    registered_model_name: str | None = None,
) -> ModelInfo:
    """Write a model folder into the active run, and register it when a name is given.

    The MLmodel file is uploaded last, so that a folder that has one is whole.
    """
    run = ensure_run()
    name = check_path(name.strip("/"))
    packing = structs.replace(_packing(options), run_id=run.info.run_id, artifact_path=name)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        config = save_folder(model, folder, flavor, packing)
        _upload(run, folder, name)
    uri = f"runs:/{run.info.run_id}/{name}"
    version = None
    if registered_model_name is not None:
        version = register_model(uri, registered_model_name)
    return _model_info(uri, config, version)


def register_model(
    model_uri: str, name: str, *, tags: Mapping[str, Any] | None = None
) -> ModelVersion:
    """Add a version to a model, creating the model when it is new.

    Args:
        model_uri: ``runs:/<run id>/<path>``, ``models:/<name>/<ref>`` or another artifact URI.
        name: The registered model.
        tags: Tags of the version.
    """
    client = StagedoorClient()
    source, run_id = _source(client, model_uri)
    with contextlib.suppress(ResourceExists):
        client.create_registered_model(name)
    return client.create_model_version(name, source, run_id=run_id, tags=tags)


def load_model(model_uri: str) -> LoadedModel:
    """Load a model, running code of whoever saved it in this process.

    Args:
        model_uri: ``models:/name/Production``, ``models:/name/2``, ``models:/name@alias``,
            ``runs:/<run id>/<path>``, ``mlflow-artifacts:/…``, or a local folder.

    Raises:
        ResourceMissing: It names nothing that is there.
        InvalidRequest: It has another shape, or the files cannot be read.
        NotImplementedHere: The model has no flavor that loads here.
    """
    local = Path(model_uri.removeprefix("file://"))
    if local.is_dir():
        return load_folder(local)
    parent = Path(tempfile.mkdtemp(prefix="stagedoor-model-"))
    try:
        loaded = load_folder(fetch_uri(model_uri, parent / "model"))
    except BaseException:
        shutil.rmtree(parent, ignore_errors=True)
        raise
    # Its example is read, and its own modules are imported, from there as long as it lives.
    weakref.finalize(loaded, shutil.rmtree, parent, ignore_errors=True)
    return loaded


def load_native(model_uri: str, flavor: Flavor) -> Any:
    """Load a model by any of its URIs, as its library's own object.

    Raises:
        InvalidRequest: It was saved by another flavor.
    """
    loaded = load_model(model_uri)
    if loaded.flavor != flavor.name:
        raise InvalidRequest(f"{model_uri!r} holds a {loaded.flavor} model: use load_model().")
    return loaded.native


def folder_of(name: str | None, artifact_path: str | None) -> str:
    """Return the folder that a logged model goes to.

    Raises:
        InvalidRequest: It has no name.
    """
    folder = name or artifact_path
    if folder is None:
        raise InvalidRequest("Give the logged model a name, such as 'model'.")
    return folder


def fetch_uri(uri: str, into: Path) -> Path:
    """Copy what an artifact URI names into a local folder; return the folder, or the file in it.

    Raises:
        ResourceMissing: There is nothing at that URI.
    """
    path = _resolve(StagedoorClient(), uri)
    try:
        return open_stores().artifacts.download(path, into)
    except ResourceMissing as error:
        raise ResourceMissing(f"There are no files at {uri!r}.") from error


def _packing(options: SaveOptions) -> Packing:
    return Packing(
        created=utc_text(),
        input_example=options.get("input_example"),
        signature=options.get("signature"),
        predict_method=options.get("pyfunc_predict_fn", "predict"),
        metadata=options.get("metadata"),
    )


def _upload(run: ActiveRun, folder: Path, name: str) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (path.name == MLMODEL, path.as_posix())):
        beneath = path.relative_to(folder).parent.as_posix().removeprefix(".")
        run.client.log_artifact(run.info.run_id, path, join_path(name, beneath))


def _model_info(uri: str, config: ModelConfig, version: ModelVersion | None) -> ModelInfo:
    return ModelInfo(
        model_uri=uri,
        run_id=config.run_id or "",
        artifact_path=config.artifact_path or "",
        model_uuid=config.model_uuid or "",
        signature=config.signature,
        registered_model_version=version.version if version else None,
    )


def _source(client: StagedoorClient, uri: str) -> tuple[str, str | None]:
    """Return the source to register and the run it belongs to."""
    if uri.startswith("runs:"):
        return uri, parse_run_uri(uri)[0]
    if uri.startswith("models:"):
        version = _version(client, parse_model_uri(uri))
        return f"models:/{version.name}/{version.version}", version.run_id
    return uri, None


def _resolve(client: StagedoorClient, uri: str) -> str:
    """Return the path beneath the artifact root that a URI leads to."""
    if uri.startswith("models:"):
        version = _version(client, parse_model_uri(uri))
        uri = client.get_model_version_download_uri(version.name, version.version)
    if uri.startswith("runs:"):
        run_id, path = parse_run_uri(uri)
        return join_path(proxied_path(client.get_run(run_id).info.artifact_uri), path)
    return proxied_path(uri)


def _version(client: StagedoorClient, uri: ModelUri) -> ModelVersion:
    match uri.ref:
        case ByNumber(version=number):
            return client.get_model_version(uri.name, number)
        case ByAlias(alias=alias):
            return client.get_model_version_by_alias(uri.name, alias)
        case ByStage(stage=stage):
            found = client.get_latest_versions(uri.name, [stage.value])
        case _:
            found = client.get_latest_versions(uri.name)
    if not found:
        raise _no_version(uri, client.get_latest_versions(uri.name))
    return max(found, key=lambda version: int(version.version))


def _no_version(uri: ModelUri, newest: Sequence[ModelVersion]) -> ResourceMissing:
    """Return the error for a stage without versions, with what there is instead."""
    if not newest:
        return ResourceMissing(
            f"The model {uri.name!r} has no versions. Log one with"
            f" log_model(..., registered_model_name={uri.name!r})."
        )
    ordered = sorted(newest, key=lambda version: -int(version.version))
    listed = ", ".join(f"{version.version} ({version.current_stage})" for version in ordered)
    return ResourceMissing(
        f"The model {uri.name!r} has no version in {format_ref(uri.ref)}; the newest of each stage"
        f" is {listed}. Promote one, or load one by its number: models:/{uri.name}/<number>."
    )
