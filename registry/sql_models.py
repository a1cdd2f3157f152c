"""The SQL of registered models, their tags and aliases, within the caller's transaction."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from registry import webhook_events
from registry.changes import ChangeKind, record_change
from registry.outbox import announce
from registry.routes import create_route, lock_route, missing_model
from registry.schema import (
    model_alias,
    model_version,
    registered_model,
    registered_model_tag,
    route,
    switch,
    transition,
)
from registry.search import PROMPT_TAG
from registry.sql_versions import newest_by_stage
from registry.switches import Cause, supersede
from registry.wire import AliasEntry, CreateModel, RegisteredModel
from tracking.errors import ResourceExists
from tracking.sql_texts import put_texts
from tracking.wire import Tag

_KINDS = {False: "Registered Model", True: "Prompt"}
"""What has a name, by whether it is a prompt."""


def create_model(connection: Connection, request: CreateModel, cause: Cause) -> None:
    """Add a model without versions.

    Raises:
        ResourceExists: There is one of that name.
    """
    _check_free(connection, request.name, as_prompt=webhook_events.is_prompt_of(request.tags))
    connection.execute(
        insert(registered_model).values(
            name=request.name,
            description=request.description,
            user_id=cause.actor,
            created_at=cause.now_ms,
            updated_at=cause.now_ms,
            last_version=0,
        )
    )
    create_route(connection, request.name, now_ms=cause.now_ms)
    put_tags(connection, request.name, request.tags)
    record_change(connection, ChangeKind.MODEL, request.name, now_ms=cause.now_ms)
    announce(connection, webhook_events.model_created(request), now_ms=cause.now_ms)


def read_models(connection: Connection, names: list[str]) -> list[RegisteredModel]:
    """Return these models in this order, each in a fixed number of queries for all."""
    found = connection.execute(
        select(registered_model).where(registered_model.c.name.in_(names))
    ).all()
    rows = {row.name: row for row in found}
    tags = _tags(connection, names)
    aliases = _aliases(connection, names)
    newest = newest_by_stage(connection, names)
    return [
        RegisteredModel(
            name=name,
            creation_timestamp=rows[name].created_at,
            last_updated_timestamp=rows[name].updated_at,
            description=rows[name].description or None,
            latest_versions=newest.get(name, []),
            tags=tags.get(name, []),
            aliases=aliases.get(name, []),
        )
        for name in names
        if name in rows
    ]


def read_model(connection: Connection, name: str) -> RegisteredModel:
    """Return one model.

    Raises:
        ResourceMissing: There is none of that name.
    """
    models = read_models(connection, [name])
    if not models:
        raise missing_model(name)
    return models[0]


def rename_model(connection: Connection, name: str, new_name: str, cause: Cause) -> None:
    """Give a model another name; versions, tags, aliases, route and history go with it.

    Its own name again changes nothing but when it was changed last.

    Raises:
        ResourceMissing: There is none of that name.
        ResourceExists: The new name is taken.
    """
    lock_route(connection, name)
    of = model_version.c.model == name
    connection.execute(update(model_version).where(of).values(updated_at=cause.now_ms))
    touch(connection, name, now_ms=cause.now_ms)
    if new_name == name:
        return
    supersede(connection, name, cause)
    _check_free(connection, new_name)
    connection.execute(
        update(registered_model).where(registered_model.c.name == name).values(name=new_name)
    )
    held = model_version.c.production_of
    connection.execute(update(model_version).where(held == name).values(production_of=new_name))
    for table in (route, switch, transition):
        connection.execute(update(table).where(table.c.model == name).values(model=new_name))
    connection.execute(
        update(route)
        .where(route.c.model == new_name)
        .values(committed_epoch=route.c.committed_epoch + 1)
    )
    record_change(connection, ChangeKind.MODEL, name, now_ms=cause.now_ms)
    record_change(connection, ChangeKind.MODEL, new_name, now_ms=cause.now_ms)


def describe_model(connection: Connection, name: str, text: str | None, *, now_ms: int) -> None:
    """Set a model's description.

    Raises:
        ResourceMissing: There is none of that name.
    """
    touch(connection, name, now_ms=now_ms)
    connection.execute(
        update(registered_model).where(registered_model.c.name == name).values(description=text)
    )


def delete_model(connection: Connection, name: str, cause: Cause) -> None:
    """Delete a model with all that is its own; its switches and transitions stay as history.

    Raises:
        ResourceMissing: There is none of that name.
    """
    lock_route(connection, name)
    supersede(connection, name, cause)
    connection.execute(delete(registered_model).where(registered_model.c.name == name))
    connection.execute(delete(route).where(route.c.model == name))
    record_change(connection, ChangeKind.MODEL, name, now_ms=cause.now_ms)


def put_tags(connection: Connection, name: str, tags: Sequence[Tag]) -> None:
    """Set or overwrite tags of a model, in one statement; the last of a key counts."""
    put_texts(connection, registered_model_tag, name, {tag.key: tag.value for tag in tags})


def delete_tag(connection: Connection, name: str, key: str) -> bool:
    """Remove a tag of a model; say whether it was there."""
    of = (registered_model_tag.c.model == name, registered_model_tag.c.key == key)
    return connection.execute(delete(registered_model_tag).where(*of)).rowcount > 0


def is_prompt(connection: Connection, name: str) -> bool:
    """Say whether a model is a prompt."""
    table = registered_model_tag.c
    told = select(table.value).where(table.model == name, table.key == PROMPT_TAG)
    value = connection.execute(told).scalar()
    return webhook_events.is_prompt_of([Tag(key=PROMPT_TAG, value=value or "")])


def touch(connection: Connection, name: str, *, now_ms: int) -> None:
    """Note that a model changed now.

    Raises:
        ResourceMissing: There is no such model.
    """
    touched = connection.execute(
        update(registered_model).where(registered_model.c.name == name).values(updated_at=now_ms)
    )
    if touched.rowcount == 0:
        raise missing_model(name)


def set_alias(connection: Connection, name: str, alias: str, version: int) -> None:
    """Point an alias at a version, wherever it pointed before; call ``follow`` after."""
    delete_alias(connection, name, alias)
    connection.execute(insert(model_alias).values(model=name, alias=alias, version=version))


def delete_alias(connection: Connection, name: str, alias: str) -> bool:
    """Remove an alias, and say whether it was there; call ``follow`` after."""
    of = (model_alias.c.model == name, model_alias.c.alias == alias)
    return connection.execute(delete(model_alias).where(*of)).rowcount > 0


def _check_free(connection: Connection, name: str, *, as_prompt: bool = False) -> None:
    taken = select(registered_model.c.name).where(registered_model.c.name == name)
    if connection.execute(taken).first() is None:
        return
    kind, holder = (_KINDS[is_one] for is_one in (as_prompt, is_prompt(connection, name)))
    if kind == holder:
        message = f"{kind} (name={name}) already exists. Choose another name, or use it."
    else:
        message = (
            f"{kind} (name={name}) cannot be made: the name is already taken by a {holder.lower()},"
            " and a model and a prompt never share one. Choose another name."
        )
    raise ResourceExists(message)


def _tags(connection: Connection, names: Iterable[str]) -> dict[str, list[Tag]]:
    found: dict[str, list[Tag]] = {}
    of = registered_model_tag.c.model.in_(list(names))
    for row in connection.execute(select(registered_model_tag).where(of)):
        found.setdefault(row.model, []).append(Tag(key=row.key, value=row.value))
    return found


def _aliases(connection: Connection, names: Iterable[str]) -> dict[str, list[AliasEntry]]:
    found: dict[str, list[AliasEntry]] = {}
    of = model_alias.c.model.in_(list(names))
    for row in connection.execute(select(model_alias).where(of).order_by(model_alias.c.alias)):
        entry = AliasEntry(alias=row.alias, version=str(row.version))
        found.setdefault(row.model, []).append(entry)
    return found
