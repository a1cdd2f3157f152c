"""Where an import or export goes, and how much of it. Immutable."""

from collections.abc import Callable

from msgspec import Struct

from tracking.artifacts import ArtifactStore
from tracking.database import Database


class FileTarget(Struct, frozen=True):
    """Where files go.

    Args:
        artifacts: The store.
        are_wanted: Whether files are copied at all.
        is_dry: Whether they are only counted.
        is_sealed: Tells of a path whether a version that is sealed has its files there.
    """

    artifacts: ArtifactStore
    are_wanted: bool = True
    is_dry: bool = False
    is_sealed: Callable[[str], bool] = lambda _path: False


class Target(Struct, frozen=True):
    """A database of ours with its artifacts.

    Args:
        database: Where runs and versions go.
        files: Where their files go.
    """

    database: Database
    files: FileTarget

    @property
    def is_dry(self) -> bool:
        """Whether nothing is written, and only counted what would be."""
        return self.files.is_dry
