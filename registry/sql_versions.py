"""The SQL of versions and their tags, within the caller's transaction."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from msgspec import structs
from sqlalchemy import Connection, Insert, Row, delete, func, insert, select, tuple_, update

from registry.changes import ChangeKind, record_change
from registry.origins import find_copied, find_origin
from registry.outbox import announce
from registry.routes import lock_route
from registry.schema import model_alias, model_version, model_version_tag, registered_model
from registry.sources import PROXY_SCHEME
from registry.stages import Stage
from registry.switches import Cause, find_open, supersede
from registry.webhook_events import version_created
from registry.wire import CreateVersion, ModelVersion
from tracking.errors import ResourceMissing
from tracking.sql_insert import insert_by, insert_many
from tracking.sql_logged_models import note_version
from tracking.wire import Tag

Key = tuple[str, int]
"""A model's name and a version's number."""

_KEYS_PER_QUERY = 5_000
_MOST_COPIES = 10
"""How many copies of copies are followed: a model that was deleted and made anew closes a ring."""


def create_version(connection: Connection, request: CreateVersion, cause: Cause) -> int:
    """Add the next version of a model and return its number.

    Raises:
        ResourceMissing: There is no such model, or no such logged model.
    """
    lock_route(connection, request.name)
    counted = (
        update(registered_model)
        .where(registered_model.c.name == request.name)
        .values(last_version=registered_model.c.last_version + 1, updated_at=cause.now_ms)
        .returning(registered_model.c.last_version)
    )
    version = int(connection.execute(counted).scalar_one())
    origin = find_origin(connection, request)
    connection.execute(
        insert(model_version).values(
            model=request.name,
            version=version,
            stage=Stage.NONE,
            description=request.description,
            user_id=cause.actor,
            source=origin.source,
            storage=origin.storage,
            run_id=origin.run_id,
            run_link=request.run_link,
            model_id=origin.model_id,
            created_at=cause.now_ms,
            updated_at=cause.now_ms,
        )
    )
    put_tags(connection, (request.name, version), request.tags)
    if origin.model_id:
        note_version(connection, origin.model_id, request.name, version)
    record_change(connection, ChangeKind.VERSION, request.name, now_ms=cause.now_ms)
    told = structs.replace(request, source=origin.source)
    announce(connection, version_created(told, version, origin.run_id), now_ms=cause.now_ms)
    return version


def read_versions(connection: Connection, keys: Sequence[Key]) -> list[ModelVersion]:
    """Return these versions in this order, in a fixed number of queries for all."""
    pair = tuple_(model_version.c.model, model_version.c.version)
    rows = [
        row
        for start in range(0, len(keys), _KEYS_PER_QUERY)
        for row in connection.execute(
            select(model_version).where(pair.in_(keys[start : start + _KEYS_PER_QUERY]))
        )
    ]
    models = {model for model, _ in keys}
    tags, aliases = _tags(connection, models), _aliases(connection, models)
    found = {
        (row.model, row.version): _version(
            row, tags.get((row.model, row.version), []), aliases.get((row.model, row.version), [])
        )
        for row in rows
    }
    return [found[key] for key in keys if key in found]


def read_version(connection: Connection, key: Key) -> ModelVersion:
    """Return one version.

    Raises:
        ResourceMissing: There is no such version.
    """
    versions = read_versions(connection, [key])
    if not versions:
        raise missing_version(key)
    return versions[0]


def newest_by_stage(connection: Connection, models: Iterable[str]) -> dict[str, list[ModelVersion]]:
    """Return, for each model, the newest version of each stage that has one."""
    newest = (
        select(model_version.c.model, func.max(model_version.c.version).label("version"))
        .where(model_version.c.model.in_(list(models)))
        .group_by(model_version.c.model, model_version.c.stage)
        .order_by(model_version.c.model, func.max(model_version.c.version))
    )
    keys = [(row.model, row.version) for row in connection.execute(newest)]
    found: dict[str, list[ModelVersion]] = {}
    for version in read_versions(connection, keys):
        found.setdefault(version.name, []).append(version)
    return found


def describe_version(connection: Connection, key: Key, text: str | None, *, now_ms: int) -> None:
    """Set a version's description.

    Raises:
        ResourceMissing: There is no such version.
    """
    _change(connection, key, description=text, updated_at=now_ms)


def delete_version(connection: Connection, key: Key, cause: Cause) -> None:
    """Delete a version with its tags and aliases; call ``follow`` after.

    Raises:
        ResourceMissing: There is no such version.
    """
    model, version = key
    lock_route(connection, model)
    opened = find_open(connection, model)
    if opened is not None and version in opened.route.versions():
        supersede(connection, model, cause)
    of = (model_version.c.model == model, model_version.c.version == version)
    if connection.execute(delete(model_version).where(*of)).rowcount == 0:
        raise missing_version(key)
    changed = update(registered_model).where(registered_model.c.name == model)
    connection.execute(changed.values(updated_at=cause.now_ms))
    record_change(connection, ChangeKind.VERSION, model, now_ms=cause.now_ms)


def set_tag(connection: Connection, key: Key, tag: Tag) -> None:
    """Set or overwrite a tag of a version.

    Raises:
        ResourceMissing: There is no such version.
    """
    require_version(connection, key)
    put_tags(connection, key, [tag])


def put_tags(connection: Connection, key: Key, tags: Sequence[Tag]) -> None:
    """Set or overwrite tags of a version, in one statement; the last of a key counts."""
    texts = {tag.key: tag.value for tag in tags}
    if texts:
        rows = [(*key, name, value) for name, value in texts.items()]
        insert_many(connection, _put_tags(connection.dialect.name), rows)


def delete_tag(connection: Connection, key: Key, tag_key: str) -> bool:
    """Remove a tag of a version; say whether it was there."""
    model, version = key
    table = model_version_tag.c
    of = (table.model == model, table.version == version, table.key == tag_key)
    return connection.execute(delete(model_version_tag).where(*of)).rowcount > 0


def require_version(connection: Connection, key: Key) -> None:
    """Check that a version is there.

    Raises:
        ResourceMissing: It is not.
    """
    model, version = key
    of = (model_version.c.model == model, model_version.c.version == version)
    if connection.execute(select(model_version.c.version).where(*of)).first() is None:
        raise missing_version(key)


def read_download_uri(connection: Connection, key: Key) -> str:
    """Return where a version's files are: in our artifact store, or else its source as sent.

    A copy whose files are elsewhere has the source of the first, as long as that is there.

    Raises:
        ResourceMissing: There is no such version.
    """
    found = _place(connection, key)
    if found is None:
        raise missing_version(key)
    for _ in range(_MOST_COPIES):
        copied = find_copied(found)
        first = copied and _place(connection, copied)
        if not first:
            break
        found = first
    return found


def missing_version(key: Key) -> ResourceMissing:
    """Return the error for a version that is not there."""
    model, version = key
    return ResourceMissing(f"Model Version (name={model}, version={version}) not found")


def _place(connection: Connection, key: Key) -> str | None:
    model, version = key
    of = (model_version.c.model == model, model_version.c.version == version)
    chosen = select(model_version.c.storage, model_version.c.source).where(*of)
    row = connection.execute(chosen).one_or_none()
    if row is None or row.storage is None:
        return row and str(row.source)
    return f"{PROXY_SCHEME}:/{row.storage}"


def _change(connection: Connection, key: Key, **values: object) -> None:
    model, version = key
    of = (model_version.c.model == model, model_version.c.version == version)
    if connection.execute(update(model_version).where(*of).values(**values)).rowcount == 0:
        raise missing_version(key)


@cache
def _put_tags(dialect: str) -> Insert:
    statement = insert_by(dialect, model_version_tag)
    table = model_version_tag.c
    return statement.on_conflict_do_update(
        index_elements=[table.model, table.version, table.key],
        set_={"value": statement.excluded.value},
    )


def _tags(connection: Connection, models: Iterable[str]) -> dict[Key, list[Tag]]:
    found: dict[Key, list[Tag]] = {}
    of = model_version_tag.c.model.in_(list(models))
    for row in connection.execute(select(model_version_tag).where(of)):
        found.setdefault((row.model, row.version), []).append(Tag(key=row.key, value=row.value))
    return found


def _aliases(connection: Connection, models: Iterable[str]) -> dict[Key, list[str]]:
    found: dict[Key, list[str]] = {}
    of = model_alias.c.model.in_(list(models))
    for row in connection.execute(select(model_alias).where(of).order_by(model_alias.c.alias)):
        found.setdefault((row.model, row.version), []).append(row.alias)
    return found


def _version(row: Row[Any], tags: list[Tag], aliases: list[str]) -> ModelVersion:
    return ModelVersion(
        name=row.model,
        version=str(row.version),
        creation_timestamp=row.created_at,
        last_updated_timestamp=row.updated_at,
        user_id=row.user_id,
        current_stage=row.stage,
        description=row.description or "",
        source=row.source,
        run_id=row.run_id or "",
        run_link=row.run_link or "",
        model_id=row.model_id,
        status="READY",
        status_message=row.refused_why or row.seal_problem,
        tags=tags,
        aliases=aliases,
    )
