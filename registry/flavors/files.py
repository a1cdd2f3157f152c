"""Files that an MLmodel file names: within the folder, and there."""

from pathlib import Path
from typing import Any

from tracking.errors import InvalidRequest, ResourceMissing


def named_file(folder: Path, name: Any) -> Path:
    """Return the path of a file or folder that an MLmodel file names.

    Raises:
        InvalidRequest: It lies outside the model's folder.
        ResourceMissing: It is not there.
    """
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InvalidRequest(f"MLmodel names the file {name!r}, which lies outside the folder.")
    if not path.exists():
        raise ResourceMissing(f"The file {path.name!r} that MLmodel names is missing.")
    return path
