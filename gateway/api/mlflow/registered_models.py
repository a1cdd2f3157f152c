"""Registered models, their tags and aliases, as MLflow's clients ask for them.

Thin: decode, one call of the registry, return. Bodies are read by ``decoding``; handlers run in the
thread pool.
"""

from litestar import delete, get, patch, post

from gateway.api.dependencies import Registry
from gateway.auth.policy import Permission
from registry.wire import (
    CreateModel,
    DeleteAlias,
    DeleteModelTag,
    LatestVersions,
    ModelAnswer,
    ModelPage,
    ModelReference,
    RenameModel,
    SearchRequest,
    SetAlias,
    SetModelTag,
    UpdateModel,
    VersionAnswer,
    VersionList,
    check_given,
)
from tracking.wire import Nothing

_PREFIX = "/api/2.0/mlflow/registered-models"
_READ = {"permission": Permission.READ}
_REGISTER = {"permission": Permission.REGISTER}
_STAGE = {"permission": Permission.STAGE}


@post(f"{_PREFIX}/create", status_code=200, sync_to_thread=True, opt=_REGISTER)
def create_model(data: CreateModel, registry: Registry) -> ModelAnswer:
    """Create a registered model without versions."""
    return ModelAnswer(registered_model=registry.create_model(data))


@get(f"{_PREFIX}/get", sync_to_thread=True, opt=_READ)
def model(name: str, registry: Registry) -> ModelAnswer:
    """Return a model with the newest version of each stage, its aliases and tags."""
    check_given(name=name)
    return ModelAnswer(registered_model=registry.model(name))


@get(f"{_PREFIX}/search", sync_to_thread=True, opt=_READ)
def search_models(
    registry: Registry,
    filter: str | None = None,  # noqa: A002  # the wire's name
    max_results: int | None = None,
    order_by: list[str] | None = None,
    page_token: str | None = None,
) -> ModelPage:
    """Return one page of models."""
    return registry.search_models(
        SearchRequest(
            filter=filter,
            max_results=max_results,
            order_by=order_by or [],
            page_token=page_token,
        )
    )


@post(f"{_PREFIX}/rename", status_code=200, sync_to_thread=True, opt=_REGISTER)
def rename_model(data: RenameModel, registry: Registry) -> ModelAnswer:
    """Rename a model; its route moves with it."""
    return ModelAnswer(registered_model=registry.rename_model(data.name, data.new_name))


@patch(f"{_PREFIX}/update", sync_to_thread=True, opt=_REGISTER)
def update_model(data: UpdateModel, registry: Registry) -> ModelAnswer:
    """Change a model's description."""
    return ModelAnswer(registered_model=registry.update_model(data))


@delete(f"{_PREFIX}/delete", status_code=200, sync_to_thread=True, opt=_REGISTER)
def delete_model(data: ModelReference, registry: Registry) -> Nothing:
    """Delete a model with all its versions."""
    registry.delete_model(data.name)
    return Nothing()


@post(f"{_PREFIX}/get-latest-versions", status_code=200, sync_to_thread=True, opt=_READ)
def post_latest_versions(data: LatestVersions, registry: Registry) -> VersionList:
    """Return the newest version of each stage asked for."""
    return VersionList(model_versions=registry.latest_versions(data.name, data.stages))


@get(f"{_PREFIX}/get-latest-versions", sync_to_thread=True, opt=_READ)
def latest_versions(name: str, registry: Registry, stages: list[str] | None = None) -> VersionList:
    """Return the newest version of each stage asked for."""
    check_given(name=name)
    return VersionList(model_versions=registry.latest_versions(name, stages or []))


@post(f"{_PREFIX}/set-tag", status_code=200, sync_to_thread=True, opt=_REGISTER)
def set_model_tag(data: SetModelTag, registry: Registry) -> Nothing:
    """Set or overwrite a tag of a model."""
    registry.set_model_tag(data)
    return Nothing()


@delete(f"{_PREFIX}/delete-tag", status_code=200, sync_to_thread=True, opt=_REGISTER)
def delete_model_tag(data: DeleteModelTag, registry: Registry) -> Nothing:
    """Remove a tag of a model."""
    registry.delete_model_tag(data.name, data.key)
    return Nothing()


@post(f"{_PREFIX}/alias", status_code=200, sync_to_thread=True, opt=_STAGE)
def set_alias(data: SetAlias, registry: Registry) -> Nothing:
    """Point an alias at a version."""
    registry.set_alias(data)
    return Nothing()


@delete(f"{_PREFIX}/alias", status_code=200, sync_to_thread=True, opt=_STAGE)
def delete_alias(data: DeleteAlias, registry: Registry) -> Nothing:
    """Remove an alias."""
    registry.delete_alias(data.name, data.alias)
    return Nothing()


@get(f"{_PREFIX}/alias", sync_to_thread=True, opt=_READ)
def version_by_alias(name: str, alias: str, registry: Registry) -> VersionAnswer:
    """Return the version an alias points at."""
    check_given(name=name, alias=alias)
    return VersionAnswer(model_version=registry.version_by_alias(name, alias))


HANDLERS = [
    create_model,
    model,
    search_models,
    rename_model,
    update_model,
    delete_model,
    post_latest_versions,
    latest_versions,
    set_model_tag,
    delete_model_tag,
    set_alias,
    delete_alias,
    version_by_alias,
]
