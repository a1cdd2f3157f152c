"""Bytes of an artifact on their way: in pieces, hashed as they pass, and down to a local folder."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tracking.wire import FileInfo

_CHUNK_BYTES = 1 << 20


class HashedBytes:
    """The pieces of some content, once; its SHA-256 afterwards. One per upload.

    Args:
        data: Bytes, a local file, or pieces as they come.
    """

    def __init__(self, data: bytes | Path | Iterable[bytes]) -> None:
        self._data = data
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for piece in pieces(self._data):
            self._digest.update(piece)
            yield piece

    def sha256(self) -> str:
        """Return the digest, in hex, of what has passed."""
        return self._digest.hexdigest()


def pieces(data: bytes | Path | Iterable[bytes]) -> Iterator[bytes]:
    """Yield content in pieces of a bounded size, if it is ours to cut."""
    if isinstance(data, bytes):
        yield data
    elif isinstance(data, Path):
        with data.open("rb") as file:
            yield from iter(lambda: file.read(_CHUNK_BYTES), b"")
    else:
        yield from data


def download(
    path: str,
    into: Path,
    *,
    walk: Callable[[str], Iterable[FileInfo]],
    get: Callable[[str], Iterable[bytes]],
) -> Path:
    """Copy the file or folder at ``path`` of some store into a local folder.

    Args:
        path: Relative to the store's root.
        into: Made as needed.
        walk: All files beneath a folder.
        get: The bytes of a file.

    Returns:
        ``into`` for a folder, the file in it for a file.
    """
    found = list(walk(path))
    for file in found:
        _write(into / file.path, get(f"{path}/{file.path}" if path else file.path))
    if found:
        return into
    target = into / path.rpartition("/")[2]
    _write(target, get(path))
    return target


def _write(target: Path, content: Iterable[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.writelines(content)
