"""Models and versions by name: MLflow's names on one side, the registry store on the other."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from registry.store import RegistryStore
from registry.wire import (
    CreateModel,
    CreateVersion,
    DeleteVersionTag,
    SearchRequest,
    SetAlias,
    SetModelTag,
    SetVersionTag,
    TransitionStage,
    UpdateModel,
    UpdateVersion,
)
from stagedoor.entities import (
    ModelVersion,
    Page,
    RegisteredModel,
    read_model,
    read_version,
    tag_list,
)
from stagedoor.run_uri import find_run_id


class VersionOptions(TypedDict, total=False):
    """What may be said of a new version besides its name and source."""

    run_id: str | None
    tags: Mapping[str, Any] | None
    run_link: str | None
    description: str | None


class RegistryClient:
    """Models, versions, stages and aliases. Safe from any thread.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: RegistryStore) -> None:
        self._registry = store

    def create_registered_model(
        self, name: str, tags: Mapping[str, Any] | None = None, description: str | None = None
    ) -> RegisteredModel:
        """Create a model without versions."""
        request = CreateModel(name=name, tags=tag_list(tags), description=description)
        return read_model(self._registry.create_model(request))

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Return a model with its aliases and the newest version of each stage."""
        return read_model(self._registry.model(name))

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """Return one page of models; ``.token`` asks for the next."""
        page = self._registry.search_models(
            SearchRequest(
                filter=filter_string,
                max_results=max_results,
                order_by=list(order_by or ()),
                page_token=page_token,
            )
        )
        return Page(map(read_model, page.registered_models), page.next_page_token)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Rename a model; its route moves with it."""
        return read_model(self._registry.rename_model(name, new_name))

    def update_registered_model(self, name: str, description: str | None = None) -> RegisteredModel:
        """Change a model's description."""
        request = UpdateModel(name=name, description=description)
        return read_model(self._registry.update_model(request))

    def delete_registered_model(self, name: str) -> None:
        """Delete a model with all its versions."""
        self._registry.delete_model(name)

    def get_latest_versions(
        self, name: str, stages: Sequence[str] | None = None
    ) -> list[ModelVersion]:
        """Return the newest version of each of the stages, of every stage when none is named."""
        return list(map(read_version, self._registry.latest_versions(name, list(stages or ()))))

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """Set or overwrite a tag of a model."""
        self._registry.set_model_tag(SetModelTag(name=name, key=key, value=str(value)))

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model."""
        self._registry.delete_model_tag(name, key)

    def set_registered_model_alias(self, name: str, alias: str, version: str | int) -> None:
        """Point an alias at a version, wherever it pointed before."""
        self._registry.set_alias(SetAlias(name=name, alias=alias, version=str(version)))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias."""
        self._registry.delete_alias(name, alias)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version an alias points at."""
        return read_version(self._registry.version_by_alias(name, alias))

    def create_model_version(
        self, name: str, source: str, **options: Unpack[VersionOptions]
    ) -> ModelVersion:
        """Add the next version of a model.

        Args:
            name: The model.
            source: Where its files are, such as ``runs:/<run id>/model``.
            **options: ``run_id`` (when none is given, that of a ``runs:`` source), ``tags``,
                ``run_link``, ``description``.
        """
        request = CreateVersion(
            name=name,
            source=source,
            run_id=options.get("run_id") or find_run_id(source),
            run_link=options.get("run_link"),
            tags=tag_list(options.get("tags")),
            description=options.get("description"),
        )
        return read_version(self._registry.create_version(request))

    def get_model_version(self, name: str, version: str | int) -> ModelVersion:
        """Return one version."""
        return read_version(self._registry.version(name, str(version)))

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 10_000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """Return one page of versions; ``.token`` asks for the next."""
        page = self._registry.search_versions(
            SearchRequest(
                filter=filter_string,
                max_results=max_results,
                order_by=list(order_by or ()),
                page_token=page_token,
            )
        )
        return Page(map(read_version, page.model_versions), page.next_page_token)

    def update_model_version(
        self, name: str, version: str | int, description: str | None = None
    ) -> ModelVersion:
        """Change a version's description."""
        request = UpdateVersion(name=name, version=str(version), description=description)
        return read_version(self._registry.update_version(request))

    def transition_model_version_stage(
        self,
        name: str,
        version: str | int,
        stage: str,
        *,
        archive_existing_versions: bool = False,
    ) -> ModelVersion:
        """Move a version to another stage.

        What serves follows once every worker has proved the version.

        Args:
            name: The model.
            version: Its version.
            stage: ``None``, ``Staging``, ``Production`` or ``Archived``, in any case.
            archive_existing_versions: Whether what is in that stage goes to Archived.
        """
        request = TransitionStage(
            name=name,
            version=str(version),
            stage=stage,
            archive_existing_versions=archive_existing_versions,
        )
        return read_version(self._registry.transition_stage(request))

    def delete_model_version(self, name: str, version: str | int) -> None:
        """Delete a version and its aliases; its number is not used again."""
        self._registry.delete_version(name, str(version))

    def get_model_version_download_uri(self, name: str, version: str | int) -> str:
        """Return where a version's files are."""
        return self._registry.download_uri(name, str(version))

    def set_model_version_tag(self, name: str, version: str | int, key: str, value: Any) -> None:
        """Set or overwrite a tag of a version."""
        request = SetVersionTag(name=name, version=str(version), key=key, value=str(value))
        self._registry.set_version_tag(request)

    def delete_model_version_tag(self, name: str, version: str | int, key: str) -> None:
        """Remove a tag of a version."""
        self._registry.delete_version_tag(
            DeleteVersionTag(name=name, version=str(version), key=key)
        )
