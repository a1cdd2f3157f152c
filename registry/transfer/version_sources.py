"""Where a version that was registered elsewhere has its files here, and what its source becomes.

Pure. A source that still means the same here is kept as it was sent; a path of another server's
disk or artifact store is replaced by the folder into which its files are copied.
"""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from registry.sources import PROXY_SCHEME, REMOTE_SCHEMES, check_source
from registry.transfer.source import PastVersion

_PLACEHOLDER = "dummy-source"
_MODEL_ID = re.compile(r"models:/+(m-[0-9a-f]{32})(?:/.*)?")
_REFERENCES = {"runs", "models"}
_NAME_DIGITS = 32


class Settled(Struct, frozen=True):
    """What a version's source is here.

    Args:
        source: To be recorded.
        storage: The folder of its files beneath our artifact root, or none.
        files: What must be copied to there, at the other place; none when it comes with its run.
    """

    source: str
    storage: str | None
    files: str | None = None


def find_model_id(source: str) -> str | None:
    """Return the logged model that a source names, or ``None``."""
    found = _MODEL_ID.fullmatch(source)
    return found and found.group(1)


def is_bucket(location: str) -> bool:
    """Return whether a location is in a store that clients may reach from anywhere."""
    return urlsplit(location).scheme in REMOTE_SCHEMES - _REFERENCES - {PROXY_SCHEME}


def is_place(past: PastVersion) -> bool:
    """Return whether a version tells a place of files, and not just a run, a model or nothing."""
    return (
        bool(past.files)
        and past.version.source != _PLACEHOLDER
        and urlsplit(past.files or "").scheme not in _REFERENCES
    )


def settle_source(past: PastVersion, folders: Mapping[str, str]) -> Settled:
    """Return what a version's source is here.

    Args:
        past: The version; ``files`` is a location as ``folders`` has them.
        folders: Locations of runs and logged models elsewhere, and where their files are here.

    Raises:
        InvalidRequest: The source may not be recorded.
    """
    version = past.version
    source, files = version.source or "", past.files or ""
    if source == _PLACEHOLDER:
        return Settled(source, None)
    found = find_folder(files, folders)
    if found is None and not is_place(past):
        return Settled(check_source(source, version.run_id, version.model_id), None)
    storage = found or _own_folder(version.name, version.version)
    is_kept = urlsplit(source).scheme in _REFERENCES or is_bucket(source)
    recorded = source if is_kept else f"{PROXY_SCHEME}:/{storage}"
    checked = check_source(recorded, version.run_id, version.model_id)
    return Settled(checked, storage, None if found else files)


def find_folder(location: str, folders: Mapping[str, str]) -> str | None:
    """Return the folder here of a location that lies at, or beneath, one whose folder is known."""
    at, beneath = location, ""
    while at not in folders:
        at, slash, name = at.rpartition("/")
        if not slash or not at:
            return None
        beneath = f"/{name}{beneath}"
    return folders[at] + beneath


def _own_folder(model: str, version: str) -> str:
    """Return a folder for the files of a version that come from no run that is brought over."""
    named = hashlib.sha256(model.encode()).hexdigest()[:_NAME_DIGITS]
    return f"versions/{named}/{version}"
