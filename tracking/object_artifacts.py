"""Artifacts in an object store: S3, GCS, Azure, or memory, by URL. Next hop: obstore.

What the store answers is logged; who asked hears only whether it refuses us or does not answer.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tracking.artifact_bytes import HashedBytes, download
from tracking.artifacts import Content
from tracking.errors import InvalidRequest, ResourceMissing, Unavailable
from tracking.paths import check_path
from tracking.wire import FileInfo

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ObjectStore, RetryConfig

_LOG = logging.getLogger("stagedoor.artifacts")
_RETRY_FOR = timedelta(seconds=15)
_MOST_RETRIES = 5
# An upload in parts takes three requests at the least; S3 takes no part smaller than this.
_ONE_REQUEST_BYTES = 5 << 20
# Without credentials of its own obstore asks the host for some, and fails there.
_REFUSED = ("403 Forbidden", "401 Unauthorized", "/latest/", "token request")
_VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "s3a": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_SERVICE_ACCOUNT, with the path of a key file",
}
_AZURE_VARIABLES = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"


class ObjectArtifacts:
    """Artifacts beneath one prefix of a bucket. Safe from any thread and process.

    Args:
        url: ``s3://bucket/prefix`` and the like; credentials come from the provider's variables.

    Raises:
        InvalidRequest: There is no store for such a URL, or it says too little.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._store = _open(url)

    def put(self, path: str, data: Content) -> str:
        """Write an object, whole or not at all, and return its SHA-256 in hex."""
        import obstore  # noqa: PLC0415 - only who has a bucket pays for the import

        hashed = HashedBytes(data)
        passing = iter(hashed)
        first = _take(passing, _ONE_REQUEST_BYTES)
        content = chain([first], passing) if len(first) >= _ONE_REQUEST_BYTES else first
        with self._answering(path):
            obstore.put(self._store, check_path(path), content)
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

        with self._answering(path):
            return obstore.head(self._store, check_path(path))["size"]

    def list(self, path: str = "") -> list[FileInfo]:
        """Return what is directly beneath a prefix, by base name."""
        import obstore  # noqa: PLC0415

        prefix = check_path(path) if path else None
        with self._answering(path):
            found = obstore.list_with_delimiter(self._store, prefix)
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
        with self._answering(path):
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
        with self._answering(path):
            obstore.delete(self._store, objects)

    def _get(self, path: str, options: "GetOptions") -> Iterator[bytes]:
        import obstore  # noqa: PLC0415

        with self._answering(path):
            found = obstore.get(self._store, check_path(path), options=options)
        return self._pieces(path, found)

    def _pieces(self, path: str, found: "GetResult") -> Iterator[bytes]:
        with self._answering(path):
            for piece in found.stream():
                yield bytes(piece)

    @contextmanager
    def _answering(self, path: str) -> Iterator[None]:
        """Turn what the store refuses within the block into our errors."""
        from obstore.exceptions import (  # noqa: PLC0415
            BaseError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        try:
            yield
        except FileNotFoundError:
            raise _missing(path) from None
        except BaseError as error:
            told = str(error).partition("\n")[0]
            _LOG.warning("the store of artifacts at %s: %s", self._url, told)
            is_refused = isinstance(error, PermissionDeniedError | UnauthenticatedError)
            if is_refused or any(word in told for word in _REFUSED):
                raise Unavailable(
                    "The store of artifacts lets this program in with no credentials that it has."
                    f" Set {_variables(self._url)} for the program that opens it, and check what"
                    " they may do."
                ) from error
            raise Unavailable(
                "The store of artifacts does not answer now. Nothing was kept; try again."
            ) from error

    def download(self, path: str, into: Path) -> Path:
        """Copy an object or all beneath a prefix to a local folder."""
        return download(path, into, walk=self.walk, get=self.get)


def _open(url: str) -> "ObjectStore":
    from obstore.exceptions import BaseError  # noqa: PLC0415
    from obstore.store import HTTPStore, from_url  # noqa: PLC0415

    scheme = url.partition("://")[0][:50]
    retries: RetryConfig = {"max_retries": _MOST_RETRIES, "retry_timeout": _RETRY_FOR}
    try:
        store = from_url(url, retry_config=retries) if scheme != "memory" else from_url(url)
    except (BaseError, ValueError) as error:
        if "Account must be specified" in str(error):
            raise InvalidRequest(
                f"A store of artifacts in Azure needs the account. Set {_AZURE_VARIABLES}, or"
                " write abfss://container@account.dfs.core.windows.net/prefix."
            ) from error
        if scheme in _VARIABLES:
            raise InvalidRequest(
                "The store of artifacts cannot be opened by what the variables of its provider"
                f" say. Look at {_VARIABLES[scheme]}."
            ) from error
        raise _no_store(scheme) from error
    if isinstance(store, HTTPStore):
        raise _no_store(scheme)
    return store


def _no_store(scheme: str) -> InvalidRequest:
    return InvalidRequest(
        f"No artifact store can be opened by a URL of scheme {scheme!r}. Use a folder,"
        " s3://bucket/prefix, gs://bucket/prefix or az://container/prefix."
    )


def _variables(url: str) -> str:
    """Return the variables in which a store's credentials are looked for."""
    return _VARIABLES.get(url.partition("://")[0], _AZURE_VARIABLES)


def _take(pieces: Iterator[bytes], least_bytes: int) -> bytes:
    """Return pieces put together, until there are so many bytes or no more come."""
    taken = bytearray()
    while len(taken) < least_bytes and (piece := next(pieces, None)) is not None:
        taken += piece
    return bytes(taken)


def _base(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _missing(path: str) -> ResourceMissing:
    return ResourceMissing(f"There is no artifact at {path!r}. List its folder to see what is.")
