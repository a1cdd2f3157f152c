"""The seam between whoever registers models and wherever that is kept: over SQL, or over HTTP."""

from typing import Protocol

from registry.wire import (
    CreateModel,
    CreateVersion,
    DeleteVersionTag,
    ModelPage,
    ModelVersion,
    RegisteredModel,
    SearchRequest,
    SetAlias,
    SetModelTag,
    SetVersionTag,
    TransitionStage,
    UpdateModel,
    UpdateVersion,
    VersionPage,
)


class RegistryStore(Protocol):
    """Models, versions, stages, aliases. Safe from any thread; a write is durable on return.

    Raises:
        InvalidRequest: A name, stage, alias or token that the wire does not allow.
        ResourceMissing: The model or version does not exist.
        ResourceExists: A model of that name exists.
    """

    def create_model(self, request: CreateModel) -> RegisteredModel:
        """Create a registered model without versions."""

    def model(self, name: str) -> RegisteredModel:
        """Return a model with the newest version of each stage, its aliases and tags."""

    def search_models(self, request: SearchRequest) -> ModelPage:
        """Return one page of models."""

    def rename_model(self, name: str, new_name: str) -> RegisteredModel:
        """Rename a model; its route moves with it."""

    def update_model(self, request: UpdateModel) -> RegisteredModel:
        """Change a model's description."""

    def delete_model(self, name: str) -> None:
        """Delete a model with all its versions; serving drains, then answers 404."""

    def latest_versions(self, name: str, stages: list[str]) -> list[ModelVersion]:
        """Return the newest version of each of these stages; of every stage when none is named."""

    def set_model_tag(self, request: SetModelTag) -> None:
        """Set or overwrite a tag of a model."""

    def delete_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model."""

    def set_alias(self, request: SetAlias) -> None:
        """Point an alias at a version, wherever it pointed before."""

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias."""

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version an alias points at; an unknown alias is an ``InvalidRequest``.

        ``latest``, in any case, is the highest number there is.
        """

    def create_version(self, request: CreateVersion) -> ModelVersion:
        """Add the next version of a model. It is READY at once."""

    def version(self, name: str, version: str) -> ModelVersion:
        """Return one version."""

    def search_versions(self, request: SearchRequest) -> VersionPage:
        """Return one page of versions."""

    def update_version(self, request: UpdateVersion) -> ModelVersion:
        """Change a version's description."""

    def delete_version(self, name: str, version: str) -> None:
        """Delete a version and its aliases; its number is not used again."""

    def transition_stage(self, request: TransitionStage) -> ModelVersion:
        """Move a version to another stage; the route follows when every worker is prepared."""

    def set_version_tag(self, request: SetVersionTag) -> None:
        """Set or overwrite a tag of a version."""

    def delete_version_tag(self, request: DeleteVersionTag) -> None:
        """Remove a tag of a version."""

    def download_uri(self, name: str, version: str) -> str:
        """Return where the version's files are, as a URI that an artifact store resolves."""
