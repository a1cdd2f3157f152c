"""Writing models that were registered elsewhere: numbers, times and words as they were there.

Functions on a connection, for ``registry.transfer.importer``. Stages and aliases come afterwards,
through the store, because they move routes.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from registry.changes import ChangeKind, record_change
from registry.limits import check_model_name, check_tag, parse_version
from registry.routes import create_route
from registry.schema import (
    model_version,
    registered_model,
    registered_model_tag,
    transition,
)
from registry.sql_models import read_models
from registry.sql_versions import Key, put_tags, read_versions
from registry.stages import Stage
from registry.wire import ModelVersion, RegisteredModel
from tracking.errors import ResourceConflict
from tracking.limits import check_text, check_time
from tracking.past import check_types
from tracking.sql_past import Effect
from tracking.sql_texts import put_text_rows

Described = RegisteredModel | ModelVersion


class Incoming(Struct, frozen=True):
    """A model with its versions, ready to be written.

    Args:
        model: The model; its aliases and newest versions are not looked at.
        versions: With sources that mean something here.
        storages: The folder of each version's files beneath our artifact root, by number.
        last_version: The highest number that must not be used again.
    """

    model: RegisteredModel
    versions: Sequence[ModelVersion]
    storages: Mapping[str, str | None]
    last_version: int


def check_incoming(given: Incoming) -> Incoming:
    """Return a model that may be kept.

    Raises:
        InvalidRequest: Something of it is not allowed.
    """
    check_types(given)
    check_model_name(given.model.name)
    for tag in given.model.tags:
        check_tag(tag)
    for version in given.versions:
        parse_version(version.version)
        check_text(version.description or "", "description")
        check_time(version.creation_timestamp or 0, "creation_timestamp")
        for tag in version.tags:
            check_tag(tag)
    return given


def effects_on_model(connection: Connection, given: Incoming) -> dict[str, Effect]:
    """Return what writing a model would come to, by version; that of the model itself under ''.

    Versions that were deleted here are left out.

    Raises:
        ResourceConflict: There is another model of that name here.
    """
    name = given.model.name
    here = read_models(connection, [name])
    there = {version.version: version for version in _versions_here(connection, name)}
    used = _last_version(connection, name)
    effects = {"": _effect(given.model, here[0] if here else None)}
    for version in given.versions:
        found = there.get(version.version)
        if found is not None and found.creation_timestamp != version.creation_timestamp:
            raise ResourceConflict(
                f"there is another model of that name here: its version {version.version} was"
                " made at another time. Rename one of the two, and import again"
            )
        if found is not None or int(version.version) > used:
            effects[version.version] = _effect(version, found)
        if effects.get(version.version) is Effect.UNCHANGED and _gains_files(
            connection, version, given.storages
        ):
            effects[version.version] = Effect.UPDATED
    return effects


def put_model(connection: Connection, given: Incoming, *, now_ms: int) -> dict[str, Effect]:
    """Write a model and its versions, and return what that came to.

    Raises:
        ResourceConflict: There is another model of that name here.
    """
    effects = effects_on_model(connection, given)
    name = given.model.name
    if effects[""] is Effect.ADDED:
        _add_model(connection, given, now_ms)
    elif effects[""] is Effect.UPDATED:
        _change_model(connection, given)
    written = {number for number, effect in effects.items() if effect is not Effect.UNCHANGED}
    for version in given.versions:
        if version.version in written:
            _put_version(connection, version, given.storages[version.version], effects)
    numbers = [int(version.version) for version in given.versions]
    highest = max([given.last_version, *numbers])
    of = (registered_model.c.name == name, registered_model.c.last_version < highest)
    connection.execute(update(registered_model).where(*of).values(last_version=highest))
    if written:
        record_change(connection, ChangeKind.MODEL, name, now_ms=now_ms)
    return effects


def is_taken_over(connection: Connection, given: Incoming, *, actor: str) -> bool:
    """Return whether somebody else than an import has moved stages or added versions here."""
    name = given.model.name
    moved = select(transition.c.id).where(transition.c.model == name, transition.c.actor != actor)
    if connection.execute(moved.limit(1)).first() is not None:
        return True
    numbers = {int(version.version) for version in given.versions}
    return any(int(v.version) not in numbers for v in _versions_here(connection, name))


def read_storage(connection: Connection, key: Key) -> str | None:
    """Return the folder of a version's files beneath our artifact root, if it has one."""
    of = (model_version.c.model == key[0], model_version.c.version == key[1])
    storage: str | None = connection.execute(select(model_version.c.storage).where(*of)).scalar()
    return storage


def read_unsealed(connection: Connection, name: str) -> dict[int, bool]:
    """Return the versions without sealed files, and whether sealing each of them was tried."""
    table = model_version.c
    of = (table.model == name, table.digest.is_(None))
    rows = connection.execute(select(table.version, table.seal_problem).where(*of))
    return {row.version: row.seal_problem is not None for row in rows}


def set_times(connection: Connection, given: Incoming) -> None:
    """Give a model and its versions the times that they had elsewhere."""
    times = {"updated_at": given.model.last_updated_timestamp or 0}
    of = registered_model.c.name == given.model.name
    connection.execute(update(registered_model).where(of).values(times))
    for version in given.versions:
        key = (
            model_version.c.model == version.name,
            model_version.c.version == int(version.version),
        )
        values = {"updated_at": version.last_updated_timestamp or 0}
        connection.execute(update(model_version).where(*key).values(values))


def _add_model(connection: Connection, given: Incoming, now_ms: int) -> None:
    model = given.model
    connection.execute(
        insert(registered_model).values(
            name=model.name,
            description=model.description or None,
            user_id=model.user_id,
            created_at=model.creation_timestamp or 0,
            updated_at=model.last_updated_timestamp or 0,
            last_version=given.last_version,
        )
    )
    create_route(connection, model.name, now_ms=now_ms)
    _put_tags(connection, model)


def _change_model(connection: Connection, given: Incoming) -> None:
    of = registered_model.c.name == given.model.name
    connection.execute(
        update(registered_model).where(of).values(description=given.model.description or None)
    )
    _put_tags(connection, given.model)


def _put_tags(connection: Connection, model: RegisteredModel) -> None:
    rows = [(model.name, tag.key, tag.value) for tag in model.tags]
    put_text_rows(connection, registered_model_tag, rows)


def _put_version(
    connection: Connection,
    version: ModelVersion,
    storage: str | None,
    effects: Mapping[str, Effect],
) -> None:
    key = (version.name, int(version.version))
    values = {"description": version.description or None, "storage": storage}
    if effects[version.version] is Effect.ADDED:
        connection.execute(
            insert(model_version).values(
                model=key[0],
                version=key[1],
                stage=Stage.NONE,
                user_id=version.user_id,
                source=version.source,
                run_id=version.run_id or None,
                run_link=version.run_link or None,
                model_id=version.model_id,
                created_at=version.creation_timestamp or 0,
                updated_at=version.last_updated_timestamp or 0,
                **values,
            )
        )
    else:
        if read_storage(connection, key) is not None:
            del values["storage"]
        of = (model_version.c.model == key[0], model_version.c.version == key[1])
        connection.execute(update(model_version).where(*of).values(values))
    put_tags(connection, key, version.tags)


def _versions_here(connection: Connection, name: str) -> list[ModelVersion]:
    table = model_version.c
    numbers = connection.execute(select(table.version).where(table.model == name)).scalars()
    return read_versions(connection, [(name, number) for number in numbers])


def _gains_files(
    connection: Connection, version: ModelVersion, storages: Mapping[str, str | None]
) -> bool:
    """Return whether a version that had no folder here has one now."""
    is_here = read_storage(connection, (version.name, int(version.version))) is not None
    return not is_here and storages[version.version] is not None


def _last_version(connection: Connection, name: str) -> int:
    """Return the highest number that is used here; a missing one beneath it was deleted here."""
    of = select(registered_model.c.last_version).where(registered_model.c.name == name)
    return int(connection.execute(of).scalar() or 0)


def _effect(given: Described, here: Described | None) -> Effect:
    if here is None:
        return Effect.ADDED
    is_same = (given.description or None) == (here.description or None) and set(given.tags) <= set(
        here.tags
    )
    return Effect.UNCHANGED if is_same else Effect.UPDATED
