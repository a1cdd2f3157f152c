"""Registered models with their versions, from a source into our registry; stages and aliases last.

Numbers, times and words are written as they were; then each version is sealed, and only then do
stages and aliases move, through the store, so that routes follow as for any other change. Called by
``registry.transfer.importer``.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from msgspec.structs import replace
from sqlalchemy import Connection

from registry.routes import Facts, read_facts
from registry.sealing import seal_version
from registry.sources import find_storage
from registry.sql_past import (
    Incoming,
    check_incoming,
    effects_on_model,
    is_taken_over,
    put_model,
    read_storage,
    set_times,
)
from registry.sql_store import SqlRegistryStore
from registry.stages import Stage
from registry.transfer.file_copy import FileCopier
from registry.transfer.settling import order_moves, settle_stages
from registry.transfer.source import PastModel
from registry.transfer.tally import Tally
from registry.transfer.target import Target
from registry.transfer.version_sources import Settled, settle_source
from registry.transitions import is_single_production
from registry.wire import SetAlias, TransitionStage
from tracking.clock import now_ms
from tracking.errors import InvalidRequest, ResourceConflict, ResourceMissing
from tracking.sql_past import Effect

ACTOR = "stagedoor import"
"""Who moves stages, in the record of transitions."""


class ModelImport:
    """Brings over registered models. For one thread.

    Args:
        target: Where they go.
        copier: Copies their files, and knows where those of runs went.
        tally: Told what became of everything.
    """

    def __init__(self, target: Target, copier: FileCopier, tally: Tally) -> None:
        self._target = target
        self._copier = copier
        self._tally = tally
        self._store = SqlRegistryStore(target.database, seal=self._seal, actor=ACTOR)

    def bring(self, past: PastModel) -> None:
        """Bring over a model with all its versions."""
        what = f"model {past.model.name!r}"
        sources = dict(self._settle_sources(past))
        try:
            given, effects = self._put(past, sources)
        except (InvalidRequest, ResourceConflict) as error:
            self._tally.fail(what, error.message)
            return
        self._tally.count("model", effects[""])
        self._tally.count_all("version", [e for number, e in effects.items() if number])
        for version in given.versions:
            if version.version not in effects:
                self._tally.note(f"version {version.version} of {what} was deleted here")
        for number, settled in sources.items():
            if settled.files and settled.storage:
                self._copier.copy_folder(
                    f"{what}, version {number}", settled.files, settled.storage
                )
        if not self._target.is_dry:
            self._settle_rest(given, past, effects)

    def _settle_sources(self, past: PastModel) -> Iterator[tuple[str, Settled]]:
        for kept in past.versions:
            moved = replace(kept, files=self._copier.normalize(kept.files))
            try:
                yield kept.version.version, settle_source(moved, self._copier.folders)
            except InvalidRequest as error:
                what = f"model {past.model.name!r}, version {kept.version.version}"
                self._tally.fail(what, error.message)

    def _put(
        self, past: PastModel, sources: Mapping[str, Settled]
    ) -> tuple[Incoming, dict[str, Effect]]:
        def work(connection: Connection) -> tuple[Incoming, dict[str, Effect]]:
            given = check_incoming(_incoming(connection, past, sources))
            if self._target.is_dry:
                return given, effects_on_model(connection, given)
            return given, put_model(connection, given, now_ms=now)

        now = now_ms()
        if not self._target.is_dry:
            return self._target.database.write(work)
        with self._target.database.read() as connection:
            return work(connection)

    def _settle_rest(self, given: Incoming, past: PastModel, effects: Mapping[str, Effect]) -> None:
        """Seal the versions, then let stages and aliases follow, and set the times back."""
        name = given.model.name
        facts = self._facts(name)
        is_new = self._copier.has_copied or Effect.ADDED in effects.values()
        for number in facts.unsealed if is_new else ():
            self._seal(name, number)
        with self._target.database.read() as connection:
            is_taken = is_taken_over(connection, given, actor=ACTOR)
            is_single = is_single_production(connection)
        if is_taken:
            self._tally.note(
                f"stages and aliases of model {name!r} are left as they are: somebody changed them"
                " here"
            )
            return
        moved = self._move_stages(given, facts, is_single=is_single)
        moved += self._move_aliases(past, facts)
        if moved or set(effects.values()) != {Effect.UNCHANGED}:
            self._target.database.write(partial(set_times, given=given))

    def _move_stages(self, given: Incoming, facts: Facts, *, is_single: bool) -> int:
        """Move stages to where they are there, and return how many moved."""
        name = given.model.name
        there = {int(v.version): v.current_stage or Stage.NONE for v in given.versions}
        wanted = settle_stages(there, is_single=is_single)
        for number, stage in wanted.items():
            if stage is Stage.ARCHIVED and there[number] == Stage.PRODUCTION:
                self._tally.note(
                    f"version {number} of model {name!r} is archived here: a later one is in"
                    " Production as well, and only one can be"
                )
        moves = order_moves(facts.stages, wanted)
        for number, stage in moves:
            self._store.transition_stage(
                TransitionStage(name=name, version=str(number), stage=stage)
            )
        self._tally.count("stage", Effect.UPDATED, len(moves))
        return len(moves)

    def _move_aliases(self, past: PastModel, facts: Facts) -> int:
        """Point aliases to where they point there, and return how many moved."""
        moved = 0
        for entry in past.model.aliases:
            if str(facts.aliases.get(entry.alias)) == entry.version:
                continue
            name = past.model.name
            try:
                self._store.set_alias(SetAlias(name=name, alias=entry.alias, version=entry.version))
                moved += 1
            except (InvalidRequest, ResourceMissing) as error:
                self._tally.fail(f"model {name!r}, alias {entry.alias!r}", error.message)
        self._tally.count("alias", Effect.UPDATED, moved)
        return moved

    def _facts(self, name: str) -> Facts:
        with self._target.database.read() as connection:
            return read_facts(connection, name)

    def _seal(self, model: str, version: int) -> None:
        """Seal a version unless some of its files could not be copied."""
        with self._target.database.read() as connection:
            storage = read_storage(connection, (model, version))
        if storage is None or not self._copier.has_failed(storage):
            seal_version(self._target.database, self._target.files.artifacts, model, version)


def _incoming(connection: Connection, past: PastModel, sources: Mapping[str, Settled]) -> Incoming:
    return Incoming(
        model=past.model,
        versions=[
            replace(kept.version, source=sources[kept.version.version].source)
            for kept in past.versions
            if kept.version.version in sources
        ],
        storages={
            number: settled.storage or find_storage(connection, settled.source)
            for number, settled in sources.items()
        },
        last_version=past.last_version,
    )
