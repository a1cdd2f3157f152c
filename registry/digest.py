"""What a version's files are, to the bit: a manifest of every file, and one digest over it.

Pure but for reading the files. Called where files are stored (sealing a version) and where they are
about to be loaded (the host's cache), on any thread.
"""

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from tracking.errors import InvalidRequest, ResourceMissing

_CHUNK_BYTES = 1 << 20


class FileDigest(Struct, frozen=True):
    """One file of a model folder. Immutable.

    Args:
        path: From the folder's root, segments joined by ``/``.
        size_bytes: Its length.
        sha256: Of its bytes, 64 lower-case hex digits.
    """

    path: str
    size_bytes: int
    sha256: str


class Manifest(Struct, frozen=True):
    """Every file of a folder, sorted by path. Make one with ``build_manifest``. Immutable."""

    files: tuple[FileDigest, ...]


def build_manifest(files: Iterable[FileDigest]) -> Manifest:
    """Sort the files by the bytes of their path.

    Raises:
        InvalidRequest: Two of them share a path.
    """
    ordered = tuple(sorted(files, key=lambda file: file.path.encode()))
    for before, after in pairwise(ordered):
        if before.path == after.path:
            raise InvalidRequest(f"The manifest lists {after.path!r} twice: list each file once.")
    return Manifest(files=ordered)


def digest(manifest: Manifest) -> str:
    """Return the SHA-256 of the manifest, 64 hex digits.

    What is hashed is the JSON ``[[path, size_bytes, sha256], ...]`` in the manifest's order, UTF-8,
    without spaces: the same in every language.
    """
    rows = [[file.path, file.size_bytes, file.sha256] for file in manifest.files]
    return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()


def hash_folder(folder: Path) -> Manifest:
    """Read every file beneath a folder and return its manifest.

    Raises:
        ResourceMissing: There is no such folder.
        InvalidRequest: It holds a link or another thing that is not a plain file or folder.
    """
    if not folder.is_dir():
        raise ResourceMissing(f"{folder.name!r} is no folder: give the folder of a model.")
    return build_manifest(
        hash_file(path, path.relative_to(folder).as_posix())
        for path in folder.rglob("*")
        if _is_plain_file(path)
    )


def hash_file(path: Path, named: str) -> FileDigest:
    """Read one file and return its entry under the given name."""
    seen = hashlib.sha256()
    size_bytes = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            seen.update(chunk)
            size_bytes += len(chunk)
    return FileDigest(path=named, size_bytes=size_bytes, sha256=seen.hexdigest())


def find_difference(expected: Manifest, found: Manifest) -> str | None:
    """Say in one sentence how a folder differs from its manifest; ``None`` when it does not."""
    wanted = {file.path: file for file in expected.files}
    present = {file.path: file for file in found.files}
    for path, file in wanted.items():
        if path not in present:
            return f"The file {path!r} is missing."
        other = present[path]
        if other.size_bytes != file.size_bytes:
            return f"The file {path!r} has {other.size_bytes} bytes, not {file.size_bytes}."
        if other.sha256 != file.sha256:
            return f"The file {path!r} has other bytes than the ones registered."
    extra = next((path for path in present if path not in wanted), None)
    return None if extra is None else f"The file {extra!r} was not there at registration."


def _is_plain_file(path: Path) -> bool:
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        raise InvalidRequest(f"{path.name!r} is not a plain file: a model folder holds only those.")
    return path.is_file()
