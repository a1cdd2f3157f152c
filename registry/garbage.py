"""Removing for good what was deleted, and files that belong to nothing, beside a running server.

Rows go first, with a note of the folder that is garbage from then on, in one transaction that looks
again at what it removes: a run that was restored meanwhile is not touched. Files follow, then the
note; killed anywhere, the next call goes on from the notes. What a version refers to is kept.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select

from registry.garbage_rules import find_strays, folder_of, proxied_folder
from registry.schema import garbage
from registry.sealing import users_of
from tracking import sql_purging
from tracking.artifacts import ArtifactStore
from tracking.chunks import chunks
from tracking.database import Database
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.sql_purging import Deleted

_IN_ONE_TRANSACTION = 50

Kind = Literal["logged model", "run", "experiment", "folder"]


class Scope(Struct, frozen=True):
    """What to look at. Without any ids everything, and files that belong to nothing as well.

    Args:
        until_ms: Only what was deleted by then; milliseconds since the epoch.
        run_ids: These runs.
        experiment_ids: These experiments, with all that is in them.
        model_ids: These logged models.
    """

    until_ms: int
    run_ids: tuple[str, ...] = ()
    experiment_ids: tuple[str, ...] = ()
    model_ids: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether no ids were named."""
        return not (self.run_ids or self.experiment_ids or self.model_ids)


class Item(Struct, frozen=True):
    """One thing that may go; ``folder`` is that of its files, where it is ours to remove."""

    kind: Kind
    id: str
    folder: str | None = None


class Kept(Struct, frozen=True):
    """One thing that stays although it was deleted, and why."""

    kind: Kind
    id: str
    why: str


class Found(Struct, frozen=True):
    """What would be removed, in order, and what would not."""

    items: list[Item]
    kept: list[Kept]


class GarbageCollector:
    """Finds and removes garbage. Safe beside servers, clients and another one of itself.

    Args:
        database: Where runs and versions are.
        artifacts: Where their files are.
    """

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def find(self, scope: Scope) -> Found:
        """Look for what may go; nothing is changed.

        Raises:
            InvalidRequest: Something that was named is not deleted, or not for long enough.
        """
        with self._database.read() as connection:
            deleted = _read_deleted(connection, scope)
            _check_named(scope, deleted)
            found = _sort_out(connection, scope.until_ms, deleted)
        if not scope.is_everything:
            return found
        return Found(items=[*found.items, *self._find_strays()], kept=found.kept)

    def purge(self, found: Found, until_ms: int, on_step: Callable[[Item], None]) -> list[Item]:
        """Remove what was found, where it still may go, and return what was.

        Args:
            found: What ``find`` returned.
            until_ms: As for ``Scope``.
            on_step: Called after each item, for a bar of progress.
        """
        removed: list[Item] = []
        self._purge_folders()  # what a call that was killed has left
        for part in chunks(found.items, _IN_ONE_TRANSACTION):
            removed += self._database.write(partial(_purge_rows, items=part, until_ms=until_ms))
            self._purge_folders()
            for item in part:
                on_step(item)
        return removed

    def _purge_folders(self) -> None:
        """Remove the files of every note, and then the note."""
        with self._database.read() as connection:
            folders = list(connection.execute(select(garbage.c.folder)).scalars())
            used = users_of(connection, {folder: folder for folder in folders})
        for folder in folders:
            if folder not in used:
                with suppress(ResourceMissing):
                    self._artifacts.delete(folder)
            self._database.write(partial(_forget, folder=folder))

    def _find_strays(self) -> list[Item]:
        """Return the folders of runs and logged models that there are none of.

        Files are listed before rows are read: a run has its row before its first file.
        """
        with self._database.read() as connection:
            roots = sql_purging.artifact_roots(connection)
        seen = list(find_strays(self._artifacts.list, map(proxied_folder, roots)))
        items = [Item("folder", stray.id, stray.folder) for stray in seen]
        with self._database.read() as connection:
            return _ownerless(connection, items)


def _read_deleted(connection: Connection, scope: Scope) -> dict[Kind, list[Deleted]]:
    """Return what is marked deleted within a scope, by kind, in the order in which it goes."""
    if scope.is_everything:
        return {
            "logged model": sql_purging.deleted_models(connection),
            "run": sql_purging.deleted_runs(connection),
            "experiment": sql_purging.deleted_experiments(connection),
        }
    experiments = sql_purging.deleted_experiments(connection, scope.experiment_ids)
    within = [experiment.id for experiment in experiments]
    models = sql_purging.deleted_models(connection, scope.model_ids)
    models += sql_purging.deleted_models(connection, experiment_ids=within)
    runs = sql_purging.deleted_runs(connection, scope.run_ids)
    runs += sql_purging.deleted_runs(connection, experiment_ids=within)
    return {
        "logged model": list(dict.fromkeys(models)),
        "run": list(dict.fromkeys(runs)),
        "experiment": experiments,
    }


def _check_named(scope: Scope, deleted: dict[Kind, list[Deleted]]) -> None:
    named: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("run", scope.run_ids),
        ("logged model", scope.model_ids),
        ("experiment", scope.experiment_ids),
    )
    for kind, ids in named:
        at = {entry.id: entry.at for entry in deleted[kind]}
        for identity in ids:
            if identity not in at:
                raise InvalidRequest(
                    f"There is no deleted {kind} {identity[:100]!r}. Only what was deleted before "
                    "can be removed for good."
                )
            if at[identity] > scope.until_ms:
                raise InvalidRequest(
                    f"The {kind} {identity!r} was deleted more recently than --older-than says."
                )


def _sort_out(connection: Connection, until_ms: int, deleted: dict[Kind, list[Deleted]]) -> Found:
    """Tell what may go from what is kept."""
    items = [
        Item(kind, entry.id, folder_of(entry.location, entry.id))
        for kind, entries in deleted.items()
        for entry in entries
        if entry.at <= until_ms
    ]
    whys: dict[tuple[Kind, str], str] = {}
    for part in chunks(items, _IN_ONE_TRANSACTION):
        whys |= _whys(connection, part)
    going = {item.id for item in items if (item.kind, item.id) not in whys}
    for item in items:
        if item.kind == "experiment":
            staying = sql_purging.contents(connection, item.id) - going
            if staying:
                whys[item.kind, item.id] = f"{min(staying)} of it stays"
    return Found(
        items=[item for item in items if (item.kind, item.id) not in whys],
        kept=[Kept(kind, identity, why) for (kind, identity), why in whys.items()],
    )


def _whys(connection: Connection, items: Sequence[Item]) -> dict[tuple[Kind, str], str]:
    """Return why each of these is kept that is: something that lives is made of it."""
    mine = [item for item in items if item.kind in ("run", "logged model")]
    users = users_of(connection, {item.id: item.folder for item in mine})
    runs = [item.id for item in mine if item.kind == "run"]
    makers = sql_purging.makers_of_living(connection, runs) if runs else {}
    whys = {
        item.id: f"its logged model {makers[item.id]} is not deleted"
        for item in mine
        if item.kind == "run" and item.id in makers
    }
    whys |= {identity: f"{user} is made of it" for identity, user in users.items()}
    return {(item.kind, item.id): whys[item.id] for item in mine if item.id in whys}


def _purge_rows(connection: Connection, items: Sequence[Item], until_ms: int) -> list[Item]:
    """Remove the rows of what still may go, and note their folders."""
    strays = _ownerless(connection, [item for item in items if item.kind == "folder"])
    going = [*_look_again(connection, items, until_ms), *strays]
    sql_purging.purge_models(connection, _ids(going, "logged model"))
    sql_purging.purge_runs(connection, _ids(going, "run"))
    for item in going:
        _note(connection, item.folder, until_ms)
    old = sql_purging.deleted_experiments(connection, _ids(items, "experiment"))
    for experiment in old:
        if experiment.at <= until_ms and not sql_purging.contents(connection, experiment.id):
            sql_purging.purge_experiment(connection, experiment.id)
            going.append(Item("experiment", experiment.id))
    return going


def _look_again(connection: Connection, items: Sequence[Item], until_ms: int) -> list[Item]:
    """Return the runs and logged models among these that are still garbage."""
    models = sql_purging.deleted_models(connection, _ids(items, "logged model"))
    runs = sql_purging.deleted_runs(connection, _ids(items, "run"))
    old = {entry.id for entry in (*models, *runs) if entry.at <= until_ms}
    whys = _whys(connection, items)
    return [item for item in items if item.id in old and (item.kind, item.id) not in whys]


def _ownerless(connection: Connection, items: Sequence[Item]) -> list[Item]:
    """Return the folders among these that no run, logged model or version has."""
    known = sql_purging.known_ids(connection, [item.id for item in items])
    users: dict[str, str] = {}
    for part in chunks(items, _IN_ONE_TRANSACTION):
        users |= users_of(connection, {item.id: item.folder for item in part})
    return [item for item in items if item.id not in known and item.id not in users]


def _ids(items: Iterable[Item], kind: Kind) -> list[str]:
    return [item.id for item in items if item.kind == kind]


def _forget(connection: Connection, folder: str) -> None:
    connection.execute(delete(garbage).where(garbage.c.folder == folder))


def _note(connection: Connection, folder: str | None, at_ms: int) -> None:
    if folder is None:
        return
    _forget(connection, folder)
    connection.execute(insert(garbage).values(folder=folder, at=at_ms))
