"""Registered models with their versions, from a source into our registry; stages and aliases last.

Numbers, times and words are written as they were; then each version is sealed, and only then do
stages and aliases move, through the store, so that routes follow as for any other change. Called by
``registry.transfer.importer``.
"""

from collections.abc import Mapping

from msgspec.structs import replace
from sqlalchemy import Connection

from registry.limits import parse_version
from registry.sealing import seal_version
from registry.sources import find_storage
from registry.sql_past import (
    Incoming,
    check_incoming,
    effects_on_model,
    is_taken_over,
    put_model,
    read_storage,
    read_unsealed,
)
from registry.switches import Cause
from registry.transfer.file_copy import FileCopier
from registry.transfer.model_mending import mend_model
from registry.transfer.settlement import Settlement, settle
from registry.transfer.source import Broken, PastModel
from registry.transfer.tally import Tally
from registry.transfer.target import Target
from registry.transfer.version_sources import Settled, is_bucket, settle_source
from registry.wire import RegisteredModel
from tracking.clock import now_ms
from tracking.errors import InvalidRequest, ResourceConflict, ResourceMissing
from tracking.paths import check_path
from tracking.sql_past import Effect

ACTOR = "stagedoor import"
"""Who moves stages, in the record of transitions."""


class ModelImport:
    """Brings over registered models. For one thread.

    Args:
        target: Where they go.
        copier: Copies their files, and knows where those of runs went.
        tally: Told what became of everything.
        origin: Where from, for the record of transitions.
    """

    def __init__(self, target: Target, copier: FileCopier, tally: Tally, *, origin: str) -> None:
        self._target = target
        self._copier = copier
        self._tally = tally
        self._origin = origin

    def bring(self, past: PastModel) -> None:
        """Bring over a model with all its versions."""
        what = f"model {past.model.name!r}"
        past, changes, lost = mend_model(past)
        self._tally.change(changes)
        for broken in lost:
            self._tally.fail(broken.what, broken.why)
        try:
            sources = self._settle_sources(what, past)
            with self._target.database.read() as connection:
                effects_on_model(connection, _incoming(connection, past, sources))
            sources = {n: self._copy(what, n, settled) for n, settled in sources.items()}
            given, effects = self._put(past, sources)
        except (InvalidRequest, ResourceConflict) as error:
            self._tally.fail(what, error.message)
            return
        self._tally.count("model", effects[""])
        self._tally.count_all("version", [e for number, e in effects.items() if number])
        for version in given.versions:
            if version.version not in effects:
                self._tally.note(f"version {version.version} of {what} was deleted here")
        if self._target.is_dry:
            return
        try:
            self._settle_rest(given, past, effects)
        except (InvalidRequest, ResourceMissing) as error:
            self._tally.fail(f"stages and aliases of {what}", error.message)

    def _settle_sources(self, what: str, past: PastModel) -> dict[str, Settled]:
        """Return what the source of each version is here; of those that may be kept."""
        sources = {}
        for kept in past.versions:
            of = f"{what}, version {kept.version.version}"
            try:
                moved = replace(kept, files=self._copier.normalize(kept.files))
                settled = settle_source(moved, self._copier.folders)
            except InvalidRequest as error:
                self._tally.fail(of, error.message)
            except ValueError as error:  # of urlsplit, which knows hosts that are none
                self._tally.fail(of, f"its source is no URI: {error}")
            else:
                sources[kept.version.version] = self._with_folder(of, settled, kept.files or "")
        return sources

    def _with_folder(self, what: str, settled: Settled, location: str) -> Settled:
        """Return a version's source with the folder that it stands for, if it can have that here.

        One made of another version names that one, which may come later, and its location the run.
        """
        if settled.files is not None and self._copier.leaves(settled.files):
            return replace(settled, storage=None)
        try:
            with self._target.database.read() as connection:
                storage = settled.storage or find_storage(connection, settled.source)
                storage = storage or find_storage(connection, location)
            return replace(settled, storage=storage and check_path(storage))
        except InvalidRequest as error:
            self._tally.change([Broken(what, f"it comes without files: {error.message}")])
            return replace(settled, storage=None, files=None)

    def _copy(self, what: str, number: str, settled: Settled) -> Settled:
        """Copy the files of a version that come from no run; what cannot be copied stays there."""
        if settled.files is None or settled.storage is None:
            return settled
        self._copier.copy_folder(f"{what}, version {number}", settled.files, settled.storage)
        is_lost = self._copier.has_failed(settled.storage) and is_bucket(settled.files)
        return replace(settled, storage=None) if is_lost else settled

    def _put(
        self, past: PastModel, sources: Mapping[str, Settled]
    ) -> tuple[Incoming, dict[str, Effect]]:
        def work(connection: Connection) -> tuple[Incoming, dict[str, Effect]]:
            given = _incoming(connection, past, sources)
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
        is_new = self._copier.has_copied or Effect.ADDED in effects.values()
        with self._target.database.read() as connection:
            unsealed = read_unsealed(connection, name)
            is_taken = is_taken_over(connection, given, actor=ACTOR)
        for number, was_tried in unsealed.items():
            if is_new or not was_tried:
                self._seal(name, number)
        if is_taken:
            self._tally.note(
                f"stages and aliases of model {name!r} are left as they are: somebody changed them"
                " here"
            )
            return
        settlement = Settlement(
            given,
            aliases=self._kept_aliases(past.model, effects),
            is_changed=set(effects.values()) != {Effect.UNCHANGED},
        )
        cause = Cause(ACTOR, f"imported from {self._origin}", now_ms())
        settled = self._target.database.write(
            lambda connection: settle(connection, settlement, cause)
        )
        self._tally.count("stage", Effect.UPDATED, settled.stages)
        self._tally.count("alias", Effect.UPDATED, settled.aliases)
        for number in settled.archived:
            self._tally.note(
                f"version {number} of model {name!r} is archived here: a later one is in"
                " Production as well, and only one can be"
            )

    def _kept_aliases(
        self, model: RegisteredModel, effects: Mapping[str, Effect]
    ) -> dict[str, int]:
        """Return where aliases point, of those whose version is here."""
        gone = [
            Broken(f"model {model.name!r}", f"alias {a.alias!r} is left out with its version")
            for a in model.aliases
            if a.version not in effects
        ]
        self._tally.change(gone)
        return {a.alias: parse_version(a.version) for a in model.aliases if a.version in effects}

    def _seal(self, model: str, version: int) -> None:
        """Seal a version unless some of its files could not be copied."""
        with self._target.database.read() as connection:
            storage = read_storage(connection, (model, version))
        if storage is None or not self._copier.has_failed(storage):
            seal_version(self._target.database, self._target.files.artifacts, model, version)


def _find_storage(connection: Connection, source: str) -> str | None:
    """Return the folder that a source stands for; none if nothing here can have its name."""
    try:
        return find_storage(connection, source)
    except InvalidRequest:
        return None


def _incoming(connection: Connection, past: PastModel, sources: Mapping[str, Settled]) -> Incoming:
    incoming = Incoming(
        model=past.model,
        versions=[
            replace(kept.version, source=sources[kept.version.version].source)
            for kept in past.versions
            if kept.version.version in sources
        ],
        storages={
            number: settled.storage or _find_storage(connection, settled.source)
            for number, settled in sources.items()
        },
        last_version=past.last_version,
    )
    return check_incoming(incoming)
