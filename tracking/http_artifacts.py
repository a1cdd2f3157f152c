"""Artifacts of a tracking server, through its artifact proxy. Next hop: ``tracking.http``."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from tracking.artifact_bytes import HashedBytes, download
from tracking.artifacts import Content
from tracking.errors import EndpointMissing, ResourceMissing
from tracking.http import HttpApi
from tracking.paths import check_path
from tracking.wire import FileInfo, FolderListing

_PREFIX = "/api/2.0/mlflow-artifacts/artifacts"
_BYTES = "application/octet-stream"


class HttpArtifacts:
    """Artifacts that a server keeps. Safe from any thread.

    Args:
        api: The server.
    """

    def __init__(self, api: HttpApi) -> None:
        self._api = api

    def put(self, path: str, data: Content) -> str:
        """Upload a file and return its SHA-256 in hex. Pieces are sent once, all else again."""
        hashed = HashedBytes(data)
        content = data if isinstance(data, bytes | Path) else hashed
        self._api.request("PUT", _address(path), content=content, content_type=_BYTES)
        if content is not hashed:
            for _ in hashed:
                pass
        return hashed.sha256()

    def get(self, path: str) -> Iterator[bytes]:
        """Return the bytes of a file in pieces."""
        stream = self._stream(path)
        first = next(stream, b"")
        return _resumed(first, stream)

    def get_bytes(self, path: str) -> bytes:
        """Return the bytes of a file."""
        return b"".join(self.get(path))

    def size(self, path: str) -> int:
        """Return how many bytes a file has."""
        folder, _, name = check_path(path).rpartition("/")
        for entry in self.list(folder):
            if entry.path == name and not entry.is_dir:
                return entry.file_size or 0
        raise _missing(path)

    def list(self, path: str = "") -> list[FileInfo]:
        """Return what is directly in a folder, by base name."""
        query = {"path": check_path(path)} if path else None
        files = self._api.call("GET", _PREFIX, FolderListing, query=query).files
        return [_with_size(entry) for entry in files]

    def walk(self, path: str = "") -> Iterator[FileInfo]:
        """Yield all files beneath a folder, with paths relative to it; one call per folder."""
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
        """Remove a file or a folder with all that is in it."""
        self._api.request("DELETE", _address(path))

    def download(self, path: str, into: Path) -> Path:
        """Copy a file or a folder to a local folder."""
        return download(path, into, walk=self.walk, get=self.get)

    def _stream(self, path: str) -> Iterator[bytes]:
        try:
            with self._api.stream("GET", _address(path)) as content:
                yield from content
        except EndpointMissing:
            raise _missing(path) from None


def _address(path: str) -> str:
    return f"{_PREFIX}/{quote(check_path(path))}"


def _with_size(entry: FileInfo) -> FileInfo:
    """Return the entry with a size if it is a file: MLflow's server leaves out a zero."""
    if entry.is_dir or entry.file_size is not None:
        return entry
    return FileInfo(path=entry.path, is_dir=False, file_size=0)


def _resumed(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _missing(path: str) -> ResourceMissing:
    return ResourceMissing(f"There is no artifact at {path!r}. List its folder to see what is.")
