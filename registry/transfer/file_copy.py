"""Copying the files of runs and versions from another store: streamed, hashed, compared.

A file that is here with the same bytes is passed over, so a copy that was killed goes on where it
ended. Several files at a time; what fails is told, and the others go on.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from msgspec import Struct
from obstore.exceptions import BaseError

from registry.transfer.places import Place, Places
from registry.transfer.source import Broken
from registry.transfer.tally import Tally
from registry.transfer.target import FileTarget
from registry.transfer.version_sources import is_bucket
from tracking.errors import InvalidRequest, ResourceConflict, ResourceMissing, StagedoorError
from tracking.paths import check_path
from tracking.sql_past import Effect
from tracking.wire import FileInfo

_FILES_AT_ONCE = 8
_NO_LINKS = "links are not followed; put the file itself there"


class Copied(Struct, frozen=True):
    """One file that is here now, or would be; ``is_new`` if it was not before, in these bytes."""

    size_bytes: int
    is_new: bool


class FileCopier:
    """Copies folders of files, and knows which goes where. For one thread; ends with ``close``.

    Args:
        places: What may be read.
        target: Where files go.
        tally: Told what became of each.

    Attributes:
        folders: Locations elsewhere, normalized, and the folder here that has their files.
        failed: The folders here that lack files because some could not be copied.
    """

    def __init__(self, places: Places, target: FileTarget, tally: Tally) -> None:
        self.folders: dict[str, str] = {}
        self.failed: set[str] = set()
        self._places = places
        self._target = target
        self._tally = tally
        self._pool = ThreadPoolExecutor(_FILES_AT_ONCE, thread_name_prefix="copy")
        self._from: dict[str, str] = {}

    @property
    def has_copied(self) -> bool:
        """Whether any file is here that was not before."""
        return self._tally.counts["file", Effect.ADDED] > 0

    def expect(self, location: str, folder: str) -> None:
        """Note that the files of a location elsewhere go to a folder here."""
        if location:
            self.folders[self._places.normalize(location)] = folder
            self._from[folder] = location

    def leaves(self, location: str) -> bool:
        """Return whether files stay where they are: in a bucket, and nobody wants a copy."""
        return not self._target.are_wanted and is_bucket(location)

    def normalize(self, location: str | None) -> str | None:
        """Return a location in the form that ``folders`` has."""
        return location and self._places.normalize(location)

    def copy(self, what: str, folder: str) -> None:
        """Copy the files of a folder here from where ``expect`` was told that they are."""
        location = self._from.pop(folder, None)
        if location is not None:
            self.copy_folder(what, location, folder)

    def copy_folder(self, what: str, location: str, folder: str) -> None:
        """Copy all files of a location elsewhere into a folder of ours."""
        if not self._target.are_wanted:
            return
        try:
            place = self._places.find(location)
            found = list(place.store.walk(place.folder))
        except (StagedoorError, OSError, BaseError) as error:
            self._fail(what, folder, Broken("", _reason(error)))
            return
        for link in place.links():
            self._fail(f"{what}, link {link[:300]!r}", folder, Broken("", _NO_LINKS))
        for outcome in self._pool.map(partial(self._copy_one, place, folder), found):
            if isinstance(outcome, Broken):
                self._fail(f"{what}, {outcome.what}", folder, outcome)
                continue
            self._tally.count("file", Effect.ADDED if outcome.is_new else Effect.UNCHANGED)
            if outcome.is_new and not self._target.is_dry:
                self._tally.copied_bytes += outcome.size_bytes

    def has_failed(self, folder: str) -> bool:
        """Return whether a folder here, or one that holds it or that it holds, lacks files."""
        return any(
            f"{folder}/".startswith(f"{lacking}/") or f"{lacking}/".startswith(f"{folder}/")
            for lacking in self.failed
        )

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _fail(self, what: str, folder: str, broken: Broken) -> None:
        self.failed.add(folder)
        self._tally.fail(what, broken.why)

    def _copy_one(self, place: Place, folder: str, file: FileInfo) -> Copied | Broken:
        source, target = f"{place.folder}/{file.path}", f"{folder}/{file.path}"
        artifacts = self._target.artifacts
        try:
            check_path(target)
            if self._is_here(place, source, target, file.file_size):
                return Copied(file.file_size or 0, is_new=False)
            if self._target.is_sealed(target):
                raise ResourceConflict("a version here is sealed with other files than these")
            if self._target.is_dry:
                return Copied(file.file_size or 0, is_new=True)
            digest = artifacts.put(target, place.store.get(source))
            if sha256(artifacts.get(target)) != digest:
                raise InvalidRequest("its bytes differ after copying")
            return Copied(artifacts.size(target), is_new=True)
        except (StagedoorError, OSError, BaseError) as error:
            return Broken(f"file {file.path[:300]!r}", _reason(error))

    def _is_here(self, place: Place, source: str, target: str, size: int | None) -> bool:
        artifacts = self._target.artifacts
        try:
            if artifacts.size(target) != size:
                return False
        except ResourceMissing:
            return False
        return sha256(artifacts.get(target)) == sha256(place.store.get(source))


def sha256(content: Iterable[bytes]) -> str:
    """Return the digest, in hex, of bytes that come in pieces."""
    seen = hashlib.sha256()
    for piece in content:
        seen.update(piece)
    return seen.hexdigest()


def _reason(error: Exception) -> str:
    """Say in one line why a file could not be copied."""
    told = error.strerror if isinstance(error, OSError) else str(error)
    return (told or type(error).__name__).partition("\n")[0][:500]
