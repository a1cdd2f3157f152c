"""The seam to the files that runs and versions leave behind, and the way to an implementation.

Called by the SDK, the handlers of the artifact proxy, sealing and loading, from any thread. Next
hops: ``tracking.folder_artifacts``, ``tracking.object_artifacts``, ``tracking.http_artifacts``.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from tracking.connect import connect_api, is_http, require_sql
from tracking.settings import client_settings
from tracking.wire import FileInfo

Content = bytes | Path | Iterable[bytes]


class ArtifactStore(Protocol):
    """Files beneath one root, named by relative paths with ``/``. Safe from any thread.

    Raises:
        InvalidRequest: A path that may not name an artifact; the message begins ``Invalid path``.
        Unavailable: The store does not answer.
    """

    def put(self, path: str, data: Content) -> str:
        """Write a file, whole or not at all, over one that is there.

        Args:
            path: Its folders are made as needed.
            data: Bytes, a local file to read, or pieces of bytes as they come.

        Returns:
            The SHA-256 of the bytes, in hex.

        Raises:
            ResourceConflict: A folder has that name, or a file the name of one of its folders.
            StorageFull: No space left; nothing was kept.
        """

    def get(self, path: str) -> Iterator[bytes]:
        """Return the bytes of a file in pieces.

        Raises:
            ResourceMissing: There is no such file.
        """

    def get_bytes(self, path: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            ResourceMissing: There is no such file.
        """

    def size(self, path: str) -> int:
        """Return how many bytes a file has.

        Raises:
            ResourceMissing: There is no such file.
        """

    def list(self, path: str = "") -> "list[FileInfo]":
        """Return what is directly in a folder, by base name; nothing for a file or no folder."""

    def walk(self, path: str = "") -> Iterator[FileInfo]:
        """Yield all files beneath a folder, with paths relative to it, sorted within a folder."""

    def delete(self, path: str) -> None:
        """Remove a file or a folder with all that is in it.

        Raises:
            ResourceMissing: There is neither.
        """

    def download(self, path: str, into: Path) -> Path:
        """Copy a file or a folder from here to a local folder, made as needed.

        Returns:
            ``into`` for a folder, whose content is now in it; for a file, the file in it.

        Raises:
            ResourceMissing: There is neither.
        """


class ServedArtifacts(ArtifactStore, Protocol):
    """Artifacts that this process reaches without a server, and can serve parts of."""

    def get_part(self, path: str, *, offset: int, length: int) -> Iterator[bytes]:
        """Return some bytes of a file in pieces.

        Args:
            path: As for ``get``.
            offset: Of the first byte, less than the file's size.
            length: How many bytes, at least 1; less come if the file ends before.

        Raises:
            ResourceMissing: There is no such file.
        """


def connect_artifacts(tracking_uri: str, destination: str | None = None) -> ArtifactStore:
    """Return the artifacts that belong to a tracking URI.

    Args:
        tracking_uri: As for ``tracking.connect.connect``.
        destination: Folder or bucket for a local tracking URI; without one, what the environment
            says, then the folder ``artifacts`` beside the database's file.

    Raises:
        InvalidRequest: Nothing has such a URI.
    """
    if is_http(tracking_uri):
        from tracking.http_artifacts import HttpArtifacts  # noqa: PLC0415 - pay for one kind only

        return HttpArtifacts(connect_api(tracking_uri))
    require_sql(tracking_uri)
    chosen = destination or client_settings().artifacts_destination
    return open_artifacts(chosen or str(_beside(tracking_uri)))


def open_artifacts(destination: str) -> ServedArtifacts:
    """Return the artifacts kept in a folder (a path or ``file://``), or in a bucket by its URL.

    Raises:
        InvalidRequest: No store of ours has such a URL.
    """
    if "://" in destination and not destination.startswith("file://"):
        from tracking.object_artifacts import ObjectArtifacts  # noqa: PLC0415

        return ObjectArtifacts(destination)
    from tracking.folder_artifacts import FolderArtifacts  # noqa: PLC0415

    return FolderArtifacts(Path(destination.removeprefix("file://")))


def _beside(tracking_uri: str) -> Path:
    from sqlalchemy import make_url  # noqa: PLC0415 - clients of a server need none

    url = make_url(tracking_uri)
    is_file = url.get_backend_name() == "sqlite" and url.database
    folder = Path(url.database).absolute().parent if is_file and url.database else Path.cwd()
    return folder / "artifacts"
