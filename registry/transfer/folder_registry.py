"""The registered models in a folder ``mlruns``. Called by ``registry.transfer.mlflow_folder``."""

from collections.abc import Iterator

from registry.transfer.folder_files import FolderFiles
from registry.transfer.folder_metas import ModelMeta, VersionMeta
from registry.transfer.mlflow_registry import DELETED
from registry.transfer.source import Broken, PastModel, PastVersion
from registry.transfer.version_sources import find_model_id
from registry.wire import AliasEntry, ModelVersion, RegisteredModel
from tracking.errors import InvalidRequest, StagedoorError
from tracking.wire import Tag

_MODELS = "models"
_VERSION = "version-"


def read_models(files: FolderFiles) -> Iterator[PastModel | Broken]:
    """Yield the registered models, each with its versions."""
    for name in files.folders(_MODELS):
        try:
            yield _read_model(files, name)
        except StagedoorError as error:
            yield Broken(f"model {name!r}", error.message)


def _read_model(files: FolderFiles, name: str) -> PastModel:
    path = f"{_MODELS}/{name}"
    meta = files.meta(path, ModelMeta)
    if meta.name != name:
        raise InvalidRequest(f"its meta.yaml is that of model {meta.name[:100]!r}")
    aliases = [
        AliasEntry(alias=alias, version=files.text(f"{path}/aliases/{alias}").strip())
        for alias in files.names(f"{path}/aliases")
    ]
    metas = [
        (folder, files.meta(f"{path}/{folder}", VersionMeta))
        for folder in files.folders(path)
        if folder.startswith(_VERSION)
    ]
    metas.sort(key=lambda found: found[1].version)
    for folder, version in metas:
        if (version.name, f"{_VERSION}{version.version}") != (name, folder):
            raise InvalidRequest(f"the meta.yaml of its {folder} is that of another version")
    return PastModel(
        model=RegisteredModel(
            name=name,
            creation_timestamp=meta.creation_timestamp or 0,
            last_updated_timestamp=meta.last_updated_timestamp or meta.creation_timestamp or 0,
            description=meta.description,
            tags=files.texts(f"{path}/tags", Tag),
            aliases=aliases,
        ),
        versions=[
            _to_version(files, f"{path}/{folder}", version)
            for folder, version in metas
            if version.current_stage != DELETED
        ],
        last_version=metas[-1][1].version if metas else 0,
    )


def _to_version(files: FolderFiles, path: str, meta: VersionMeta) -> PastVersion:
    source = meta.source or ""
    version = ModelVersion(
        name=meta.name,
        version=str(meta.version),
        creation_timestamp=meta.creation_timestamp or 0,
        last_updated_timestamp=meta.last_updated_timestamp or meta.creation_timestamp or 0,
        user_id=meta.user_id,
        current_stage=meta.current_stage or "None",
        description=meta.description,
        source=source,
        run_id=meta.run_id or None,
        run_link=meta.run_link or None,
        tags=files.texts(f"{path}/tags", Tag),
        model_id=meta.model_id or find_model_id(source),
    )
    return PastVersion(version, files.relocated(meta.storage_location or source))
