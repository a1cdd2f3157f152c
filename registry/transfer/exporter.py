"""Writing everything out into a folder of MLflow's: whole, or not there at all.

It is written beside its final place, and renamed when all is done. What fails is told by name, and
the rest is written all the same. Next hops: ``passage``, ``folder_writer``, ``file_copy``.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from registry.transfer.file_copy import FileCopier
from registry.transfer.folder_writer import FolderWriter
from registry.transfer.mlflow_folder import MODELS
from registry.transfer.passage import Passage, Watcher
from registry.transfer.places import Places
from registry.transfer.selection import Selection
from registry.transfer.source import Broken, PastModel, PastVersion, Source
from registry.transfer.tally import Tally
from registry.transfer.target import FileTarget
from registry.transfer.version_sources import find_folder, is_place
from tracking.errors import InvalidRequest, ResourceExists
from tracking.folder_artifacts import FolderArtifacts
from tracking.past import PastLoggedModel, PastRun
from tracking.paths import PROXY_SCHEME
from tracking.sql_past import Effect
from tracking.wire import Experiment


def export_to(
    folder: Path, source: Source, places: Places, selection: Selection, watcher: Watcher
) -> Tally:
    """Write what a source has into a new folder, and return what that came to.

    Args:
        folder: Not there yet, or empty.
        source: Where everything is.
        places: What may be read of its files.
        selection: What is taken.
        watcher: Told of the progress.

    Raises:
        InvalidRequest: Something that was named is not there.
        ResourceExists: The folder holds something.
        Unavailable: The source does not answer; nothing is left behind.
    """
    final = folder.absolute()
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise ResourceExists(f"The folder {str(folder)!r} holds something: name a new one.")
    unfinished = final.with_name(f"{final.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # what a call that was killed has left
    tally = Tally()
    copier = FileCopier(places, FileTarget(FolderArtifacts(unfinished)), tally)
    writer = FolderWriter(unfinished, final)
    try:
        Passage(source, selection, tally, watcher).go(
            RunExport(source, writer, copier, tally), ModelExport(writer, copier, tally)
        )
        unfinished.rename(final)
    finally:
        copier.close()
        shutil.rmtree(unfinished, ignore_errors=True)
    return tally


class RunExport:
    """Writes experiments. For one thread.

    Attributes:
        run_ids: The runs that were written.
    """

    def __init__(
        self, source: Source, writer: FolderWriter, copier: FileCopier, tally: Tally
    ) -> None:
        self.run_ids: set[str] = set()
        self._source = source
        self._writer = writer
        self._copier = copier
        self._tally = tally

    def bring(self, given: Experiment) -> Iterator[int]:
        """Write an experiment with all that is in it; yield how many runs are done."""
        folder = self._writer.folder_of(given)
        try:
            self._writer.put_experiment(given)
        except InvalidRequest as error:
            self._tally.fail(f"experiment {given.name!r}", error.message)
            return
        self._tally.count("experiment", Effect.ADDED)
        for batch in self._source.runs(given.experiment_id):
            for past in batch:
                self._bring_run(folder, past)
            yield len(batch)
        for model in self._source.logged_models(given.experiment_id):
            self._bring_model(folder, model)

    def _bring_run(self, folder: str, past: PastRun | Broken) -> None:
        if isinstance(past, Broken):
            self._tally.fail(past.what, past.why)
            return
        what, path = f"run {past.id}", f"{folder}/{past.id}"
        try:
            self._writer.put_run(folder, past)
            for piece in self._source.points(past):
                self._writer.add_points(folder, past.id, piece)
                self._tally.count("point", Effect.ADDED, len(piece))
        except InvalidRequest as error:
            self._writer.drop(path)
            self._tally.fail(what, error.message)
            return
        self.run_ids.add(past.id)
        self._tally.count("run", Effect.ADDED)
        self._copier.expect(past.run.info.artifact_uri, f"{path}/artifacts")
        self._copier.copy(what, f"{path}/artifacts")

    def _bring_model(self, folder: str, past: PastLoggedModel | Broken) -> None:
        if isinstance(past, Broken):
            self._tally.fail(past.what, past.why)
            return
        what, path = f"logged model {past.id}", f"{folder}/{MODELS}/{past.id}"
        try:
            self._writer.put_logged_model(folder, past)
        except InvalidRequest as error:
            self._writer.drop(path)
            self._tally.fail(what, error.message)
            return
        self._tally.count("logged model", Effect.ADDED)
        self._copier.expect(past.model.info.artifact_uri, f"{path}/artifacts")
        self._copier.copy(what, f"{path}/artifacts")


class ModelExport:
    """Writes registered models. For one thread."""

    def __init__(self, writer: FolderWriter, copier: FileCopier, tally: Tally) -> None:
        self._writer = writer
        self._copier = copier
        self._tally = tally

    def bring(self, past: PastModel) -> None:
        """Write a model with all its versions."""
        name = past.model.name
        try:
            self._writer.put_model(past.model)
            for kept in past.versions:
                self._bring_version(kept)
        except InvalidRequest as error:
            self._tally.fail(f"model {name!r}", error.message)
            return
        self._tally.count("model", Effect.ADDED)
        numbers = {int(kept.version.version) for kept in past.versions}
        if past.last_version not in {0, *numbers}:
            self._writer.put_gap(name, past.last_version)

    def _bring_version(self, kept: PastVersion) -> None:
        version, files = kept.version, self._copier.normalize(kept.files)
        storage = None if files is None else find_folder(files, self._copier.folders)
        if storage is None and is_place(kept):
            storage = f"{self._writer.model_folder(version.name)}/version-{version.version}/files"
            self._copier.copy_folder(
                f"model {version.name!r}, version {version.version}", files or "", storage
            )
            storage = None if self._copier.has_failed(storage) else storage
        location = self._writer.uri(storage) if storage is not None else kept.files
        source = version.source or ""
        is_ours = source.startswith(f"{PROXY_SCHEME}:") and storage is not None
        self._writer.put_version(replace(version, source=location if is_ours else source), location)
        self._tally.count("version", Effect.ADDED)
