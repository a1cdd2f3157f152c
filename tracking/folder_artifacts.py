"""Artifacts in a local folder: opened beneath its root without following links, written whole.

A file being written has a name that no artifact may have, and is renamed when it is on the disk.
"""

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from tracking.artifact_bytes import HashedBytes, download
from tracking.artifacts import Content
from tracking.errors import ResourceConflict, ResourceMissing, StorageFull
from tracking.paths import check_path
from tracking.wire import FileInfo

_CHUNK_BYTES = 1 << 20
_UNFINISHED = "\\"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the last: no file may be that large here
_IN_THE_WAY = {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY, errno.EEXIST}
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class FolderArtifacts:
    """Artifacts beneath one folder. Safe from any thread and process.

    Args:
        root: Made with the first file.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def put(self, path: str, data: Content) -> str:
        """Write a file, whole or not at all, and return its SHA-256 in hex."""
        folders, _, name = check_path(path).rpartition("/")
        hashed = HashedBytes(data)
        try:
            with self._folder(folders, create=True) as folder:
                _write_whole(hashed, folder, name)
        except OSError as error:
            raise _refusal(error, path) from error
        return hashed.sha256()

    def get(self, path: str) -> Iterator[bytes]:
        """Return the bytes of a file in pieces."""
        return _read(FileIO(self._open(path)))

    def get_part(self, path: str, *, offset: int, length: int) -> Iterator[bytes]:
        """Return some bytes of a file in pieces."""
        file = FileIO(self._open(path))
        file.seek(offset)
        return _read_part(file, length)

    def get_bytes(self, path: str) -> bytes:
        """Return the bytes of a file."""
        return b"".join(self.get(path))

    def size(self, path: str) -> int:
        """Return how many bytes a file has."""
        descriptor = self._open(path)
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def list(self, path: str = "") -> list[FileInfo]:
        """Return what is directly in a folder, by base name."""
        try:
            with self._folder(check_path(path) if path else "") as folder:
                return sorted(_entries(folder), key=lambda entry: entry.path)
        except OSError as error:
            if error.errno in _NOT_THERE:
                return []
            raise

    def walk(self, path: str = "") -> Iterator[FileInfo]:
        """Yield all files beneath a folder, with paths relative to it."""
        waiting = [""]
        while waiting:
            beneath = waiting.pop()
            for entry in self.list("/".join(part for part in (path, beneath) if part)):
                inner = f"{beneath}/{entry.path}" if beneath else entry.path
                if entry.is_dir:
                    waiting.append(inner)
                else:
                    yield FileInfo(path=inner, is_dir=False, file_size=entry.file_size)

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all that is in it; never the root."""
        folders, _, name = check_path(path).rpartition("/")
        try:
            with self._folder(folders) as folder:
                _remove(folder, name)
        except OSError as error:
            raise _absence(error, path) from error

    def download(self, path: str, into: Path) -> Path:
        """Copy a file or a folder to a local folder."""
        return download(path, into, walk=self.walk, get=self.get)

    def _open(self, path: str) -> int:
        """Open a regular file for reading."""
        folders, _, name = check_path(path).rpartition("/")
        try:
            with self._folder(folders) as folder:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
                descriptor = os.open(name, flags, dir_fd=folder)
        except OSError as error:
            raise _absence(error, path) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise _missing(path)
        return descriptor

    @contextmanager
    def _folder(self, path: str, *, create: bool = False) -> Iterator[int]:
        """Open a folder beneath the root for the block, one segment after the other."""
        if create:
            self._root.mkdir(parents=True, exist_ok=True)
        # The root itself may be a link: whoever runs the server chose it.
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for segment in path.split("/") if path else ():
                inner = _enter(descriptor, segment, create=create)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _enter(folder: int, segment: str, *, create: bool) -> int:
    try:
        return os.open(segment, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    try:
        os.mkdir(segment, dir_fd=folder)
        os.fsync(folder)
    except FileExistsError:
        pass  # another upload was faster, or it is a file: opening it tells
    return os.open(segment, _FOLDER, dir_fd=folder)


def _write_whole(content: HashedBytes, folder: int, name: str) -> None:
    unfinished = _UNFINISHED + uuid.uuid4().hex
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o644, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.writelines(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(unfinished, dir_fd=folder)
        raise
    os.fsync(folder)


def _read(file: FileIO) -> Iterator[bytes]:
    with file:
        yield from iter(lambda: file.read(_CHUNK_BYTES), b"")


def _read_part(file: FileIO, length: int) -> Iterator[bytes]:
    with file:
        while length > 0 and (piece := file.read(min(_CHUNK_BYTES, length))):
            length -= len(piece)
            yield piece


def _entries(folder: int) -> Iterator[FileInfo]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith(_UNFINISHED) or not _is_text(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield FileInfo(path=entry.name, is_dir=True)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # deleted since
                    size = entry.stat(follow_symlinks=False).st_size
                    yield FileInfo(path=entry.name, is_dir=False, file_size=size)


def _is_text(name: str) -> bool:
    """Tell whether a name can be told: the bytes of those that others left may be no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _remove(folder: int, name: str) -> None:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)
    os.fsync(folder)


def _missing(path: str) -> ResourceMissing:
    return ResourceMissing(f"There is no artifact at {path!r}. List its folder to see what is.")


def _absence(error: OSError, path: str) -> Exception:
    """Return our error if the disk says that nothing is there, else the error itself."""
    return _missing(path) if error.errno in _NOT_THERE else error


def _refusal(error: OSError, path: str) -> Exception:
    """Return our error for why a file cannot be written, and the error itself if it is another."""
    if error.errno in _NO_SPACE:
        return StorageFull("The disk of the artifacts is full; nothing was kept. Free some space.")
    if error.errno in _IN_THE_WAY:
        return ResourceConflict(
            f"The path {path!r} meets a file where it needs a folder, or a folder where it needs a"
            " file. Choose another path."
        )
    return error
