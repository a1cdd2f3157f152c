"""Versions, their stages and tags, as MLflow's clients ask for them.

Thin: decode, one call of the registry, return. A stage moved here moves at once; the route follows
when every worker is prepared (the follow lane). Handlers run in the thread pool.
"""

from litestar import delete, get, patch, post

from gateway.api.dependencies import Registry
from gateway.auth.policy import Permission
from registry.wire import (
    CreateVersion,
    DeleteVersionTag,
    DownloadUri,
    SearchRequest,
    SetVersionTag,
    TransitionStage,
    UpdateVersion,
    VersionAnswer,
    VersionPage,
    VersionReference,
    check_given,
)
from tracking.wire import Nothing

_PREFIX = "/api/2.0/mlflow/model-versions"
_READ = {"permission": Permission.READ}
_REGISTER = {"permission": Permission.REGISTER}
_STAGE = {"permission": Permission.STAGE}


@post(f"{_PREFIX}/create", status_code=200, sync_to_thread=True, opt=_REGISTER)
def create_version(data: CreateVersion, registry: Registry) -> VersionAnswer:
    """Add the next version of a model."""
    return VersionAnswer(model_version=registry.create_version(data))


@get(f"{_PREFIX}/get", sync_to_thread=True, opt=_READ)
def version(name: str, version: str, registry: Registry) -> VersionAnswer:
    """Return one version."""
    check_given(name=name, version=version)
    return VersionAnswer(model_version=registry.version(name, version))


@get(f"{_PREFIX}/search", sync_to_thread=True, opt=_READ)
def search_versions(
    registry: Registry,
    filter: str | None = None,  # noqa: A002  # the wire's name
    max_results: int | None = None,
    order_by: list[str] | None = None,
    page_token: str | None = None,
) -> VersionPage:
    """Return one page of versions."""
    return registry.search_versions(
        SearchRequest(
            filter=filter,
            max_results=max_results,
            order_by=order_by or [],
            page_token=page_token,
        )
    )


@patch(f"{_PREFIX}/update", sync_to_thread=True, opt=_REGISTER)
def update_version(data: UpdateVersion, registry: Registry) -> VersionAnswer:
    """Change a version's description."""
    return VersionAnswer(model_version=registry.update_version(data))


@delete(f"{_PREFIX}/delete", status_code=200, sync_to_thread=True, opt=_REGISTER)
def delete_version(data: VersionReference, registry: Registry) -> Nothing:
    """Delete a version and its aliases."""
    registry.delete_version(data.name, data.version)
    return Nothing()


@get(f"{_PREFIX}/get-download-uri", sync_to_thread=True, opt=_READ)
def download_uri(name: str, version: str, registry: Registry) -> DownloadUri:
    """Return where a version's files are."""
    check_given(name=name, version=version)
    return DownloadUri(artifact_uri=registry.download_uri(name, version))


@post(f"{_PREFIX}/transition-stage", status_code=200, sync_to_thread=True, opt=_STAGE)
def transition_stage(data: TransitionStage, registry: Registry) -> VersionAnswer:
    """Move a version to another stage."""
    return VersionAnswer(model_version=registry.transition_stage(data))


@post(f"{_PREFIX}/set-tag", status_code=200, sync_to_thread=True, opt=_REGISTER)
def set_version_tag(data: SetVersionTag, registry: Registry) -> Nothing:
    """Set or overwrite a tag of a version."""
    registry.set_version_tag(data)
    return Nothing()


@delete(f"{_PREFIX}/delete-tag", status_code=200, sync_to_thread=True, opt=_REGISTER)
def delete_version_tag(data: DeleteVersionTag, registry: Registry) -> Nothing:
    """Remove a tag of a version."""
    registry.delete_version_tag(data)
    return Nothing()


HANDLERS = [
    create_version,
    version,
    search_versions,
    update_version,
    delete_version,
    download_uri,
    transition_stage,
    set_version_tag,
    delete_version_tag,
]
