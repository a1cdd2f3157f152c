"""The registry over HTTP: MLflow's REST API, of our server or of somebody else's.

The SDK calls it from any thread; ``tracking.http`` is the next hop.
"""

from registry.wire import (
    CreateModel,
    CreateVersion,
    DeleteAlias,
    DeleteModelTag,
    DeleteVersionTag,
    DownloadUri,
    LatestVersions,
    ModelAnswer,
    ModelPage,
    ModelReference,
    ModelVersion,
    RegisteredModel,
    RenameModel,
    SearchRequest,
    SetAlias,
    SetModelTag,
    SetVersionTag,
    TransitionStage,
    UpdateModel,
    UpdateVersion,
    VersionAnswer,
    VersionList,
    VersionPage,
    VersionReference,
)
from tracking.http import HttpApi, Query
from tracking.wire import Nothing

_MODELS = "registered-models"
_VERSIONS = "model-versions"


class HttpRegistryStore:
    """``RegistryStore`` over HTTP. Safe from any thread.

    Args:
        api: The server.
    """

    def __init__(self, api: HttpApi) -> None:
        self._api = api

    def create_model(self, request: CreateModel) -> RegisteredModel:
        """See ``RegistryStore``."""
        path = f"{_MODELS}/create"
        return self._api.call("POST", path, ModelAnswer, body=request).registered_model

    def model(self, name: str) -> RegisteredModel:
        """See ``RegistryStore``."""
        query = {"name": name}
        return self._api.call("GET", f"{_MODELS}/get", ModelAnswer, query=query).registered_model

    def search_models(self, request: SearchRequest) -> ModelPage:
        """See ``RegistryStore``."""
        return self._api.call("GET", f"{_MODELS}/search", ModelPage, query=_query(request))

    def rename_model(self, name: str, new_name: str) -> RegisteredModel:
        """See ``RegistryStore``."""
        body = RenameModel(name=name, new_name=new_name)
        return self._api.call("POST", f"{_MODELS}/rename", ModelAnswer, body=body).registered_model

    def update_model(self, request: UpdateModel) -> RegisteredModel:
        """See ``RegistryStore``."""
        path = f"{_MODELS}/update"
        return self._api.call("PATCH", path, ModelAnswer, body=request).registered_model

    def delete_model(self, name: str) -> None:
        """See ``RegistryStore``."""
        self._api.call("DELETE", f"{_MODELS}/delete", Nothing, body=ModelReference(name=name))

    def latest_versions(self, name: str, stages: list[str]) -> list[ModelVersion]:
        """See ``RegistryStore``."""
        body = LatestVersions(name=name, stages=stages)
        path = f"{_MODELS}/get-latest-versions"
        return self._api.call("POST", path, VersionList, body=body).model_versions

    def set_model_tag(self, request: SetModelTag) -> None:
        """See ``RegistryStore``."""
        self._api.call("POST", f"{_MODELS}/set-tag", Nothing, body=request)

    def delete_model_tag(self, name: str, key: str) -> None:
        """See ``RegistryStore``."""
        body = DeleteModelTag(name=name, key=key)
        self._api.call("DELETE", f"{_MODELS}/delete-tag", Nothing, body=body)

    def set_alias(self, request: SetAlias) -> None:
        """See ``RegistryStore``."""
        self._api.call("POST", f"{_MODELS}/alias", Nothing, body=request)

    def delete_alias(self, name: str, alias: str) -> None:
        """See ``RegistryStore``."""
        body = DeleteAlias(name=name, alias=alias)
        self._api.call("DELETE", f"{_MODELS}/alias", Nothing, body=body)

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """See ``RegistryStore``."""
        query = {"name": name, "alias": alias}
        return self._api.call("GET", f"{_MODELS}/alias", VersionAnswer, query=query).model_version

    def create_version(self, request: CreateVersion) -> ModelVersion:
        """See ``RegistryStore``."""
        path = f"{_VERSIONS}/create"
        return self._api.call("POST", path, VersionAnswer, body=request).model_version

    def version(self, name: str, version: str) -> ModelVersion:
        """See ``RegistryStore``."""
        query = {"name": name, "version": version}
        return self._api.call("GET", f"{_VERSIONS}/get", VersionAnswer, query=query).model_version

    def search_versions(self, request: SearchRequest) -> VersionPage:
        """See ``RegistryStore``."""
        return self._api.call("GET", f"{_VERSIONS}/search", VersionPage, query=_query(request))

    def update_version(self, request: UpdateVersion) -> ModelVersion:
        """See ``RegistryStore``."""
        path = f"{_VERSIONS}/update"
        return self._api.call("PATCH", path, VersionAnswer, body=request).model_version

    def delete_version(self, name: str, version: str) -> None:
        """See ``RegistryStore``."""
        body = VersionReference(name=name, version=version)
        self._api.call("DELETE", f"{_VERSIONS}/delete", Nothing, body=body)

    def transition_stage(self, request: TransitionStage) -> ModelVersion:
        """See ``RegistryStore``."""
        path = f"{_VERSIONS}/transition-stage"
        return self._api.call("POST", path, VersionAnswer, body=request).model_version

    def set_version_tag(self, request: SetVersionTag) -> None:
        """See ``RegistryStore``."""
        self._api.call("POST", f"{_VERSIONS}/set-tag", Nothing, body=request)

    def delete_version_tag(self, request: DeleteVersionTag) -> None:
        """See ``RegistryStore``."""
        self._api.call("DELETE", f"{_VERSIONS}/delete-tag", Nothing, body=request)

    def download_uri(self, name: str, version: str) -> str:
        """See ``RegistryStore``."""
        query = {"name": name, "version": version}
        path = f"{_VERSIONS}/get-download-uri"
        return self._api.call("GET", path, DownloadUri, query=query).artifact_uri


def _query(request: SearchRequest) -> Query:
    return {
        "filter": request.filter,
        "max_results": request.max_results,
        "order_by": request.order_by or None,
        "page_token": request.page_token,
    }
