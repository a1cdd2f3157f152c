"""The small files in a folder ``mlruns``: listed, read and decoded, never through a link.

Called by ``registry.transfer.mlflow_folder`` and ``folder_registry``.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from registry.transfer.folder_metas import MOST_BYTES, Meta, read_meta
from tracking.errors import InvalidRequest
from tracking.folder_artifacts import FolderArtifacts
from tracking.wire import Param, Tag

T = TypeVar("T", Param, Tag)
M = TypeVar("M", bound=Meta)

ARTIFACTS = "artifacts"
TRASH = ".trash"
_META = "meta.yaml"
_OF_FOLDER = re.compile(r".+/(\d+/(?:models/)?(?:m-)?[0-9a-f]{32}/artifacts)((?:/.*)?)")


class FolderFiles:
    """Files beneath one folder. For one thread.

    Args:
        root: The folder, absolute.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = FolderArtifacts(root)

    def folders(self, path: str) -> list[str]:
        """Return the names of the folders in a folder."""
        return [entry.path for entry in self._files.list(path) if entry.is_dir]

    def names(self, path: str) -> list[str]:
        """Return the paths of all files beneath a folder, relative to it."""
        return sorted(entry.path for entry in self._files.walk(path))

    def text(self, path: str) -> str:
        """Return what a file holds.

        Raises:
            InvalidRequest: It is no UTF-8.
        """
        try:
            return self._files.get_bytes(path).decode()
        except UnicodeDecodeError:
            raise InvalidRequest(f"its file {path[-200:]!r} is no UTF-8") from None

    def texts(self, path: str, kind: type[T]) -> list[T]:
        """Return the params or tags in a folder, one for each file, sorted by key."""
        return [kind(key=key, value=self.text(f"{path}/{key}")) for key in self.names(path)]

    def meta(self, path: str, kind: type[M]) -> M:
        """Return what the ``meta.yaml`` of a folder holds.

        Raises:
            InvalidRequest: It is too large, no YAML, or holds something else.
            ResourceMissing: There is none, or it is a link.
        """
        if self._files.size(f"{path}/{_META}") > MOST_BYTES:
            raise InvalidRequest(f"its meta.yaml is larger than {MOST_BYTES:,} bytes")
        return read_meta(self._files.get_bytes(f"{path}/{_META}"), kind)

    def location(self, told: str, path: str) -> str:
        """Return where files are that should be at a path of this folder.

        A folder that was moved or copied still tells where it was before.

        Args:
            told: Where they were when that was written down.
            path: Beneath this folder.
        """
        was = f"/{path.removeprefix(f'{TRASH}/')}"
        is_local = urlsplit(told).scheme in {"", "file"}
        if not told or (is_local and unquote(told).endswith(was)) or self._files.list(path):
            return str(self._root / path)
        return told

    def relocated(self, told: str) -> str:
        """Return where files are that were in this folder once, wherever it was then."""
        found = _OF_FOLDER.fullmatch(unquote(told))
        if found is None or urlsplit(told).scheme not in {"", "file"}:
            return told
        is_here = (self._root / found.group(1)).is_dir()
        return f"{self._root}/{found.group(1)}{found.group(2)}" if is_here else told

    def links(self) -> Iterator[str]:
        """Yield the links among the files that are not artifacts; what they lead to is not read."""
        for folder, folders, files in os.walk(self._root):
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.is_symlink():
                    yield path.relative_to(self._root).as_posix()
            folders[:] = [name for name in folders if name != ARTIFACTS]
