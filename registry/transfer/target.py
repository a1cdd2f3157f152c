"""Where an import goes, and how much of it. Immutable."""

from msgspec import Struct

from tracking.artifacts import ArtifactStore
from tracking.database import Database


class Target(Struct, frozen=True):
    """A database of ours with its artifacts.

    Args:
        database: Where runs and versions go.
        artifacts: Where their files go.
        with_files: Whether files are copied.
        is_dry: Whether nothing is written, and only counted what would be.
    """

    database: Database
    artifacts: ArtifactStore
    with_files: bool = True
    is_dry: bool = False
