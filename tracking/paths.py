"""The one function that decides whether a path may name an artifact. Pure.

Every path of a client passes here before it meets a folder, a bucket or a database; handlers and
stores call it again, because checking twice is cheap and a gap is not.
"""

import re
import unicodedata
from urllib.parse import unquote_to_bytes, urlsplit

from tracking.errors import InvalidRequest, NotImplementedHere

PROXY_SCHEME = "mlflow-artifacts"

_LONGEST_SEGMENT_BYTES = 255
_LONGEST_PATH_BYTES = 1024
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_DRIVE = re.compile(r"[a-zA-Z]:")
# Controls, surrogates, line and paragraph separators, and what is not assigned to anybody.
_REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp", "Cn"}


def parse_path(raw: str) -> str:
    """Return the relative path that a percent-encoded text names, decoded once.

    Raises:
        InvalidRequest: It is empty, absolute, leaves its root, is encoded twice, or holds a
            character that no artifact's name may hold.
    """
    try:
        return check_path(unquote_to_bytes(raw).decode())
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise _refusal(raw, "it is not UTF-8") from None


def check_path(path: str) -> str:
    """Return a path that was decoded already, if it may name an artifact.

    Raises:
        InvalidRequest: As for ``parse_path``.
    """
    if _ESCAPE.search(path):
        raise _refusal(path, "a percent escape is left after decoding once")
    if _DRIVE.match(path):
        raise _refusal(path, "it begins with a drive letter")
    for segment in path.split("/"):
        _check_segment(segment, path)
    if len(path.encode()) > _LONGEST_PATH_BYTES:
        raise _refusal(path, f"it is longer than {_LONGEST_PATH_BYTES} bytes")
    return path


def join_path(folder: str, path: str | None) -> str:
    """Return a checked path beneath a checked folder; the folder itself without one."""
    if not path:
        return folder
    return check_path(f"{folder}/{path}") if folder else check_path(path)


def proxied_path(uri: str) -> str:
    """Return the path beneath the artifact root that an ``mlflow-artifacts:/`` URI names.

    Raises:
        InvalidRequest: Its path may not name an artifact.
        NotImplementedHere: The URI leads to another store.
    """
    parts = urlsplit(uri)
    if parts.scheme != PROXY_SCHEME or parts.netloc:
        raise NotImplementedHere(
            f"The artifacts are at {uri!r}; only {PROXY_SCHEME}:/ can be read and written here."
        )
    return parse_path(parts.path.strip("/"))


def _check_segment(segment: str, path: str) -> None:
    if segment in {"", ".", ".."}:
        raise _refusal(path, "it must be relative, without empty, '.' or '..' segments")
    if "\\" in segment:
        raise _refusal(path, "it holds a backslash")
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in segment):
        raise _refusal(path, "it holds a control character")
    if len(segment.encode()) > _LONGEST_SEGMENT_BYTES:
        raise _refusal(path, f"a segment is longer than {_LONGEST_SEGMENT_BYTES} bytes")


def _refusal(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid path {path[:200]!r}: {reason}.")
