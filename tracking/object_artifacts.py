"""Artifacts in an object store: S3, GCS, Azure, or memory, by URL. Next hop: obstore."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tracking.artifact_bytes import HashedBytes, download
from tracking.artifacts import Content
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.paths import check_path
from tracking.wire import FileInfo

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ObjectStore


class ObjectArtifacts:
    """Artifacts beneath one prefix of a bucket. Safe from any thread and process.

    Args:
        url: ``s3://bucket/prefix`` and the like; credentials come from the provider's variables.

    Raises:
        InvalidRequest: There is no store for such a URL.
    """

    def __init__(self, url: str) -> None:
        self._store = _open(url)

    def put(self, path: str, data: Content) -> str:
        """Write an object, whole or not at all, and return its SHA-256 in hex."""
        import obstore  # noqa: PLC0415 - only who has a bucket pays for the import

        hashed = HashedBytes(data)
        obstore.put(self._store, check_path(path), iter(hashed))
        return hashed.sha256()

    def get(self, path: str) -> Iterator[bytes]:
        """Return the bytes of an object in pieces."""
        return self._get(path, {})

    def get_part(self, path: str, *, offset: int, length: int) -> Iterator[bytes]:
        """Return some bytes of an object in pieces."""
        return self._get(path, {"range": (offset, offset + length)})

    def get_bytes(self, path: str) -> bytes:
        """Return the bytes of an object."""
        return b"".join(self.get(path))

    def size(self, path: str) -> int:
        """Return how many bytes an object has."""
        import obstore  # noqa: PLC0415

        try:
            return obstore.head(self._store, check_path(path))["size"]
        except FileNotFoundError:
            raise _missing(path) from None

    def list(self, path: str = "") -> list[FileInfo]:
        """Return what is directly beneath a prefix, by base name."""
        import obstore  # noqa: PLC0415

        found = obstore.list_with_delimiter(self._store, check_path(path) if path else None)
        folders = [FileInfo(path=_base(prefix), is_dir=True) for prefix in found["common_prefixes"]]
        files = [
            FileInfo(path=_base(entry["path"]), is_dir=False, file_size=entry["size"])
            for entry in found["objects"]
        ]
        return sorted(folders + files, key=lambda entry: entry.path)

    def walk(self, path: str = "") -> Iterator[FileInfo]:
        """Yield all objects beneath a prefix, with paths relative to it."""
        import obstore  # noqa: PLC0415

        prefix = check_path(path) if path else None
        for page in obstore.list(self._store, prefix):
            for entry in page:
                inner = entry["path"].removeprefix(f"{path}/" if path else "")
                yield FileInfo(path=inner, is_dir=False, file_size=entry["size"])

    def delete(self, path: str) -> None:
        """Remove an object, or all beneath a prefix; never the root."""
        import obstore  # noqa: PLC0415

        check_path(path)
        objects = [f"{path}/{file.path}" for file in self.walk(path)]
        if not objects:
            self.size(path)
            objects = [path]
        obstore.delete(self._store, objects)

    def _get(self, path: str, options: "GetOptions") -> Iterator[bytes]:
        import obstore  # noqa: PLC0415

        try:
            found = obstore.get(self._store, check_path(path), options=options)
        except FileNotFoundError:
            raise _missing(path) from None
        return (bytes(piece) for piece in found.stream())

    def download(self, path: str, into: Path) -> Path:
        """Copy an object or all beneath a prefix to a local folder."""
        return download(path, into, walk=self.walk, get=self.get)


def _open(url: str) -> "ObjectStore":
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import from_url  # noqa: PLC0415

    try:
        return from_url(url)
    except (BaseError, ValueError) as error:
        scheme = url.partition("://")[0][:50]
        raise InvalidRequest(
            f"No artifact store can be opened by a URL of scheme {scheme!r}. Use a folder,"
            " s3://bucket/prefix, gs://bucket/prefix or az://container/prefix."
        ) from error


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _missing(path: str) -> ResourceMissing:
    return ResourceMissing(f"There is no artifact at {path!r}. List its folder to see what is.")
