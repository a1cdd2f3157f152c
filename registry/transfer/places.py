"""From a location that another store names to its files, if they may be read.

A location is somebody else's text: it is followed only beneath the source's own folder and the
places that whoever runs the command has named. One per import.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tracking.artifacts import ArtifactStore, open_artifacts
from tracking.errors import InvalidRequest
from tracking.paths import PROXY_SCHEME, check_path, parse_path

_LOCAL_SCHEMES = {"", "file"}
# As MLflow lays its folders out, in <root>/<experiment>.
_OF_RUN = re.compile(r"(.+)/\d+/(?:models/m-)?[0-9a-f]{32}/artifacts(?:/.*)?")


class Place(Struct, frozen=True):
    """Files of another store.

    Args:
        store: Where they are kept.
        folder: In which folder of it.
        path: The same on this machine's disk, if it is there.
    """

    store: ArtifactStore
    folder: str
    path: Path | None = None

    def links(self) -> Iterator[str]:
        """Yield the links among them; what they lead to is not read."""
        for at, folders, files in os.walk(self.path) if self.path else ():
            for name in (*folders, *files):
                if Path(at, name).is_symlink():
                    yield Path(at, name).relative_to(self.path or "").as_posix()


class Places:
    """What may be read of a source's files. For one thread.

    Args:
        roots: Folders and URLs of buckets beneath which locations are followed.
        served: What the source's server serves as ``mlflow-artifacts:/``, if that is known.
        beside: What relative paths are relative to.
    """

    def __init__(
        self, roots: Sequence[str], served: ArtifactStore | None, beside: Path | None = None
    ) -> None:
        self._beside = beside or Path.cwd()
        self._roots = {self.normalize(root): open_artifacts(root) for root in roots}
        self._served = served

    def normalize(self, location: str) -> str:
        """Return a location in the one form in which two of them can be compared."""
        parts = urlsplit(location)
        if parts.scheme == PROXY_SCHEME:
            return f"{PROXY_SCHEME}:/{parts.path.strip('/')}"
        if parts.scheme not in _LOCAL_SCHEMES:
            return location.rstrip("/")
        path = unquote(parts.path) if parts.scheme else location
        return os.path.normpath(self._beside / path)

    def find(self, location: str) -> Place:
        """Return where the files of a location are.

        Raises:
            InvalidRequest: It lies beneath no root, or its path may name no artifact.
        """
        normal = self.normalize(location)
        if normal.startswith(f"{PROXY_SCHEME}:"):
            return self._find_served(normal)
        for root, store in self._roots.items():
            if normal.startswith(f"{root}/"):
                beneath = check_path(normal.removeprefix(f"{root}/"))
                return Place(store, beneath, None if "://" in root else Path(normal))
        raise InvalidRequest(
            "its files are outside of what may be read; to read them too, add"
            f" --artifacts-root {_suggested(normal)[:300]!r}"
        )

    def _find_served(self, location: str) -> Place:
        if self._served is None:
            raise InvalidRequest(
                "its files are served as mlflow-artifacts:/; say with --served-artifacts where"
                " the server keeps them"
            )
        return Place(self._served, parse_path(location.partition(":/")[2]))


def _suggested(location: str) -> str:
    """Return the root that a person would most likely add."""
    parts = urlsplit(location)
    if parts.scheme:
        return f"{parts.scheme}://{parts.netloc}"
    found = _OF_RUN.fullmatch(location)
    return found.group(1) if found else location.rpartition("/")[0] or location
