"""What a folder of files is the folder of, and how long ago is long enough. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from tracking.errors import InvalidRequest, NotImplementedHere
from tracking.paths import proxied_path
from tracking.wire import FileInfo

_RUN = re.compile(r"[0-9a-f]{32}")
_MODEL = re.compile(r"m-[0-9a-f]{32}")
_AGE = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_UNITS_MS = (86_400_000, 3_600_000, 60_000, 1_000)
_FILES = "artifacts"


class Stray(Struct, frozen=True):
    """A folder that looks like that of a run or logged model, and whose it would be."""

    id: str
    folder: str


def parse_age(text: str) -> int:
    """Return the milliseconds of an age such as ``30d`` or ``1d12h``.

    Raises:
        InvalidRequest: It is none.
    """
    found = _AGE.fullmatch(text)
    if found is None or not text:
        raise InvalidRequest(f"{text!r} is no age: write it like 30d, 12h, 90m or 1d12h30m.")
    return sum(int(n or 0) * unit for n, unit in zip(found.groups(), _UNITS_MS, strict=True))


def proxied_folder(location: str) -> str | None:
    """Return the folder in our artifact store that a location stands for, if it is there."""
    try:
        return proxied_path(location)
    except (InvalidRequest, NotImplementedHere):
        return None


def folder_of(location: str, identity: str) -> str | None:
    """Return the folder that holds the files of a run or logged model and nothing else, if any.

    Args:
        location: Where its artifacts are, ``mlflow-artifacts:/1/<id>/artifacts``.
        identity: Its id; a folder that does not name it might be somebody else's as well.
    """
    path = proxied_folder(location)
    folder, _, last = (path or "").rpartition("/")
    return folder if last == _FILES and folder.rpartition("/")[2] == identity else None


def find_strays(
    listing: Callable[[str], Sequence[FileInfo]], roots: Iterable[str | None]
) -> Iterator[Stray]:
    """Yield every folder beneath the roots that looks like that of a run or logged model.

    Args:
        listing: What is directly in a folder.
        roots: The folders of experiments; those of former ones are found by their number.
    """
    former = {name for name in _folders(listing, "") if name.isascii() and name.isdecimal()}
    for root in sorted(former | {root for root in roots if root}):
        for parent, pattern in ((root, _RUN), (f"{root}/models", _MODEL)):
            for name in _folders(listing, parent):
                folder = f"{parent}/{name}"
                if pattern.fullmatch(name) and _holds_artifacts_only(listing(folder)):
                    yield Stray(name, folder)


def _folders(listing: Callable[[str], Sequence[FileInfo]], folder: str) -> list[str]:
    return [entry.path for entry in listing(folder) if entry.is_dir]


def _holds_artifacts_only(entries: Sequence[FileInfo]) -> bool:
    return all(entry.is_dir and entry.path == _FILES for entry in entries)
