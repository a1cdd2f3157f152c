"""The registry over SQL: checks a request, does it in one transaction, lets the route follow.

Handlers and the SDK call it from any thread. The SQL is in ``sql_models``, ``sql_versions``,
``promotion`` and ``switches``.
"""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from registry import limits, promotion, sql_models, sql_versions, webhook_events
from registry.changes import ChangeKind, record_change
from registry.origins import check_origin
from registry.outbox import announce
from registry.references import LATEST
from registry.routes import lock_route
from registry.search import find_models, find_versions
from registry.stages import parse_stage
from registry.switches import Cause, follow
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
from tracking.clock import now_ms
from tracking.database import Database
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.wire import Tag

T = TypeVar("T")

Seal = Callable[[str, int], None]
"""Hashes a version's files and writes the digest: model, version."""


class SqlRegistryStore:
    """``RegistryStore`` over SQLite or PostgreSQL. Safe from any thread.

    Args:
        database: Where it is kept.
        seal: Called after a version was created.
        actor: Who acts, for the log.
        switch_timeout_s: How long workers may take to prepare a route.
    """

    def __init__(
        self, database: Database, *, seal: Seal, actor: str, switch_timeout_s: float = 120.0
    ) -> None:
        self._database = database
        self._seal = seal
        self._actor = actor
        self._timeout_ms = int(switch_timeout_s * 1000)

    def acting_as(self, actor: str) -> "SqlRegistryStore":
        """Return the same store, acting for somebody else."""
        return SqlRegistryStore(
            self._database,
            seal=self._seal,
            actor=actor,
            switch_timeout_s=self._timeout_ms / 1000,
        )

    def create_model(self, request: CreateModel) -> RegisteredModel:
        """See ``RegistryStore``."""
        limits.check_model_name(request.name)
        limits.check_texts(description=request.description)
        for tag in request.tags:
            limits.check_tag(tag)

        def work(connection: Connection) -> RegisteredModel:
            sql_models.create_model(connection, request, self._cause())
            return sql_models.read_model(connection, request.name)

        return self._database.write(work)

    def model(self, name: str) -> RegisteredModel:
        """See ``RegistryStore``."""
        with self._database.read() as connection:
            return sql_models.read_model(connection, name)

    def search_models(self, request: SearchRequest) -> ModelPage:
        """See ``RegistryStore``."""
        with self._database.read() as connection:
            names, token = find_models(connection, request)
            models = sql_models.read_models(connection, names)
        return ModelPage(registered_models=models, next_page_token=token)

    def rename_model(self, name: str, new_name: str) -> RegisteredModel:
        """See ``RegistryStore``."""
        limits.check_model_name(new_name)

        def work(connection: Connection) -> RegisteredModel:
            sql_models.rename_model(connection, name, new_name, self._cause())
            self._follow(connection, new_name)
            return sql_models.read_model(connection, new_name)

        return self._database.write(work)

    def update_model(self, request: UpdateModel) -> RegisteredModel:
        """See ``RegistryStore``."""
        limits.check_texts(description=request.description)

        def work(connection: Connection) -> RegisteredModel:
            sql_models.describe_model(
                connection, request.name, request.description, now_ms=now_ms()
            )
            return sql_models.read_model(connection, request.name)

        return self._database.write(work)

    def delete_model(self, name: str) -> None:
        """See ``RegistryStore``."""
        self._database.write(
            lambda connection: sql_models.delete_model(connection, name, self._cause())
        )

    def latest_versions(self, name: str, stages: list[str]) -> list[ModelVersion]:
        """See ``RegistryStore``."""
        wanted = {parse_stage(stage).value for stage in stages}
        newest = self.model(name).latest_versions
        return [v for v in newest if not wanted or v.current_stage in wanted]

    def set_model_tag(self, request: SetModelTag) -> None:
        """See ``RegistryStore``."""
        tag = limits.check_tag(Tag(key=request.key, value=request.value or ""))

        def work(connection: Connection) -> None:
            lock_route(connection, request.name)
            sql_models.put_tags(connection, request.name, [tag])
            if sql_models.is_prompt(connection, request.name):
                told = webhook_events.prompt_tag_changed(request.name, tag.key, tag.value)
                announce(connection, told, now_ms=now_ms())

        self._database.write(work)

    def delete_model_tag(self, name: str, key: str) -> None:
        """See ``RegistryStore``."""

        def work(connection: Connection) -> None:
            lock_route(connection, name)
            is_prompt = sql_models.is_prompt(connection, name)
            if sql_models.delete_tag(connection, name, key) and is_prompt:
                told = webhook_events.prompt_tag_changed(name, key, None)
                announce(connection, told, now_ms=now_ms())

        self._database.write(work)

    def set_alias(self, request: SetAlias) -> None:
        """See ``RegistryStore``."""
        limits.check_alias(request.alias)
        key = (request.name, limits.parse_version(request.version))

        def work(connection: Connection) -> None:
            lock_route(connection, request.name)
            sql_versions.require_version(connection, key)
            sql_models.set_alias(connection, request.name, request.alias, key[1])
            self._alias_changed(connection, request.name, request.alias, key[1])
            self._follow(connection, request.name)

        self._database.write(work)

    def delete_alias(self, name: str, alias: str) -> None:
        """See ``RegistryStore``."""

        def work(connection: Connection) -> None:
            lock_route(connection, name)
            if sql_models.delete_alias(connection, name, alias):
                self._alias_changed(connection, name, alias, None)
            self._follow(connection, name)

        self._database.write(work)

    def version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """See ``RegistryStore``."""
        model = self.model(name)
        if alias.lower() == LATEST:
            return _newest(model)
        entries = {entry.alias: entry.version for entry in model.aliases}
        if alias not in entries:
            known = ", ".join(sorted(entries)) or "none"
            message = f"Registered model alias {alias} not found. Aliases of {name!r}: {known}."
            raise InvalidRequest(message)
        return self.version(name, entries[alias])

    def create_version(self, request: CreateVersion) -> ModelVersion:
        """See ``RegistryStore``."""
        check_origin(request)
        limits.check_texts(
            description=request.description, run_id=request.run_id, run_link=request.run_link
        )
        for tag in request.tags:
            limits.check_tag(tag)
        version = self._database.write(
            lambda connection: sql_versions.create_version(connection, request, self._cause())
        )
        self._seal(request.name, version)
        return self.version(request.name, str(version))

    def version(self, name: str, version: str) -> ModelVersion:
        """See ``RegistryStore``."""
        with self._database.read() as connection:
            return sql_versions.read_version(connection, (name, limits.parse_version(version)))

    def search_versions(self, request: SearchRequest) -> VersionPage:
        """See ``RegistryStore``."""
        with self._database.read() as connection:
            keys, token = find_versions(connection, request)
            versions = sql_versions.read_versions(connection, keys)
        return VersionPage(model_versions=versions, next_page_token=token)

    def update_version(self, request: UpdateVersion) -> ModelVersion:
        """See ``RegistryStore``."""
        limits.check_texts(description=request.description)
        key = (request.name, limits.parse_version(request.version))

        def work(connection: Connection) -> ModelVersion:
            sql_versions.describe_version(connection, key, request.description, now_ms=now_ms())
            return sql_versions.read_version(connection, key)

        return self._database.write(work)

    def delete_version(self, name: str, version: str) -> None:
        """See ``RegistryStore``."""
        key = (name, limits.parse_version(version))

        def work(connection: Connection) -> None:
            sql_versions.delete_version(connection, key, self._cause())
            self._follow(connection, name)

        self._database.write(work)

    def transition_stage(self, request: TransitionStage) -> ModelVersion:
        """See ``RegistryStore``."""
        key = (request.name, limits.parse_version(request.version))
        stage = parse_stage(request.stage)
        self._seal(*key)
        archive = request.archive_existing_versions

        def work(connection: Connection) -> ModelVersion:
            move = (key[1], stage)
            promotion.move_stage(connection, request.name, move, self._cause(), archive=archive)
            self._follow(connection, request.name)
            return sql_versions.read_version(connection, key)

        return self._database.write(work)

    def set_version_tag(self, request: SetVersionTag) -> None:
        """See ``RegistryStore``."""
        tag = limits.check_tag(Tag(key=request.key, value=request.value or ""))
        key = (request.name, limits.parse_version(request.version))

        def work(connection: Connection) -> None:
            sql_versions.set_tag(connection, key, tag)
            self._tag_changed(connection, key, tag.key, tag.value)

        self._database.write(work)

    def delete_version_tag(self, request: DeleteVersionTag) -> None:
        """See ``RegistryStore``."""
        key = (request.name, limits.parse_version(request.version))

        def work(connection: Connection) -> None:
            sql_versions.require_version(connection, key)
            if sql_versions.delete_tag(connection, key, request.key):
                self._tag_changed(connection, key, request.key, None)

        self._database.write(work)

    def download_uri(self, name: str, version: str) -> str:
        """See ``RegistryStore``."""
        key = (name, limits.parse_version(version))
        with self._database.read() as connection:
            return sql_versions.read_download_uri(connection, key)

    def _alias_changed(
        self, connection: Connection, model: str, alias: str, version: int | None
    ) -> None:
        is_prompt = sql_models.is_prompt(connection, model)
        told = webhook_events.alias_changed(model, alias, version, is_prompt=is_prompt)
        record_change(connection, ChangeKind.ALIAS, model, now_ms=now_ms())
        announce(connection, told, now_ms=now_ms())

    def _tag_changed(
        self, connection: Connection, key: tuple[str, int], tag: str, value: str | None
    ) -> None:
        is_prompt = sql_models.is_prompt(connection, key[0])
        told = webhook_events.version_tag_changed(key, tag, value, is_prompt=is_prompt)
        announce(connection, told, now_ms=now_ms())

    def _cause(self) -> Cause:
        return Cause(actor=self._actor, reason="", now_ms=now_ms())

    def _follow(self, connection: Connection, model: str) -> None:
        follow(connection, model, self._cause(), timeout_ms=self._timeout_ms)


def _newest(model: RegisteredModel) -> ModelVersion:
    if not model.latest_versions:
        raise ResourceMissing(f"Latest version not found for model {model.name}. Register one.")
    return max(model.latest_versions, key=lambda version: int(version.version))
