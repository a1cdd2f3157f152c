"""The host's folder of model files: each version's once, proved to be the ones registered.

All workers of a host share it. Called in a load thread; next hop: ``runner``.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from gateway.serving.failure import LoadCancelled, LoadFailed
from gateway.serving.file_lock import hold_lock
from gateway.serving.progress import Progress
from gateway.serving.states import State
from registry.digest import Manifest, digest, find_difference, hash_folder
from registry.route import VersionKey, VersionRecord
from tracking.errors import InvalidRequest, ResourceMissing, StagedoorError
from tracking.wire import FileInfo

_READ_ONLY_FILE = 0o444
_READ_ONLY_FOLDER = 0o555


class ArtifactSource(Protocol):
    """What the cache needs of an artifact store."""

    def walk(self, path: str) -> Iterable[FileInfo]:
        """Return every file beneath a folder, with paths relative to it."""

    def get(self, path: str) -> Iterator[bytes]:
        """Return the bytes of a file, in pieces."""


class Cache:
    """Fetches and proves the files of versions. Safe from any thread and process.

    Args:
        root: The folder; made when it is missing.
        artifacts: Where the files come from.
        max_bytes: Cap on the files of one version.
        find_manifest: Returns what was registered, to name the file that is wrong; may know none.
    """

    def __init__(
        self,
        root: Path,
        artifacts: ArtifactSource,
        *,
        max_bytes: int = 16 << 30,
        find_manifest: Callable[[VersionKey], Manifest | None] = lambda _key: None,
    ) -> None:
        self._root = root
        self._artifacts = artifacts
        self._max_bytes = max_bytes
        self._find_manifest = find_manifest
        root.mkdir(parents=True, exist_ok=True)

    def fetch(self, record: VersionRecord, progress: Progress) -> Path:
        """Return a read-only folder with exactly the files that were registered.

        Raises:
            LoadFailed: They cannot be had, now or ever, or they are not the ones registered.
            LoadCancelled: The load was called off.
        """
        progress.enter(State.FETCHING)
        folder = self._root / _check_digest(record.key)
        try:
            with hold_lock(self._root / f"{folder.name}.lock", progress):
                if not self._is_intact(folder, record.key, progress):
                    self._refetch(folder, record, progress)
        except OSError as error:
            reason = f"The files could not be brought to this host: {error.strerror or error}."
            raise LoadFailed(reason, is_transient=True) from error
        return folder

    def read(self, digest: str, name: str, *, max_bytes: int) -> bytes | None:
        """Return a small file of a version that was fetched; ``None`` if there is no such file."""
        try:
            with (self._root / digest / name).open("rb") as file:
                content = file.read(max_bytes + 1)
        except OSError:
            return None
        return content if len(content) <= max_bytes else None

    def _is_intact(self, folder: Path, key: VersionKey, progress: Progress) -> bool:
        """Whether a copy from before is still what it was: every load looks again."""
        if not folder.is_dir():
            return False
        progress.enter(State.VERIFYING)
        try:
            if digest(hash_folder(folder)) == key.digest:
                return True
        except (InvalidRequest, ResourceMissing):
            pass
        progress.enter(State.FETCHING)
        return False

    def _refetch(self, folder: Path, record: VersionRecord, progress: Progress) -> None:
        _remove(folder)
        # One name for each version: what a killed worker left there is removed by the next.
        partial = self._root / f".{folder.name}.partial"
        _remove(partial)
        partial.mkdir()
        try:
            self._download(record.storage, partial, progress)
            _seal(partial)
            progress.enter(State.VERIFYING)
            self._verify(partial, record.key)
            partial.rename(folder)
            _sync(self._root)
        finally:
            _remove(partial)

    def _download(self, storage: str, into: Path, progress: Progress) -> None:
        left = self._max_bytes
        try:
            for file in self._artifacts.walk(storage):
                target = into / _check_inside(file.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                left -= self._copy(f"{storage}/{file.path}", target, left, progress)
        except (LoadFailed, LoadCancelled):
            raise
        except StagedoorError as error:
            is_transient = not isinstance(error, InvalidRequest | ResourceMissing)
            reason = f"Its files could not be fetched: {error.message}"
            raise LoadFailed(reason, is_transient=is_transient) from error

    def _copy(self, path: str, target: Path, limit: int, progress: Progress) -> int:
        written = 0
        with target.open("xb") as file:
            for piece in self._artifacts.get(path):
                progress.check()
                written += len(piece)
                if written > limit:
                    reason = f"Its files are larger than {self._max_bytes} bytes."
                    raise LoadFailed(reason, is_transient=False)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        return written

    def _verify(self, folder: Path, key: VersionKey) -> None:
        found = hash_folder(folder)
        if digest(found) == key.digest:
            return
        registered = self._find_manifest(key)
        difference = find_difference(registered, found) if registered else None
        reason = difference or "A file is missing, new, or has other bytes."
        message = f"Its files are not the ones that were registered: {reason}"
        raise LoadFailed(message, is_transient=False)


def _check_digest(key: VersionKey) -> str:
    if len(key.digest) == 64 and set(key.digest) <= set("0123456789abcdef"):  # noqa: PLR2004
        return key.digest
    reason = "Its files have no digest yet: they are sealed after registration."
    raise LoadFailed(reason, is_transient=True)


def _check_inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise LoadFailed(f"It names the file {path!r}, outside its folder.", is_transient=False)
    return path


def _seal(folder: Path) -> None:
    """Make everything durable and read-only, from the leaves up."""
    for current, _, names in os.walk(folder, topdown=False):
        for name in names:
            Path(current, name).chmod(_READ_ONLY_FILE)
        _sync(Path(current))
        Path(current).chmod(_READ_ONLY_FOLDER)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a folder, if it is there, although its insides are read-only."""
    if not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    for current, _, _ in os.walk(folder):
        Path(current).chmod(stat.S_IRWXU)
    shutil.rmtree(folder)
