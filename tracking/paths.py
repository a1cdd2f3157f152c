"""The one function that decides whether a path may name an artifact. Pure.

Every path of a client passes here before it meets a folder, a bucket or a database; handlers and
stores call it again, because checking twice is cheap and a gap is not.
"""

import re
import unicodedata
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from tracking.errors import InvalidRequest, NotImplementedHere

PROXY_SCHEME = "mlflow-artifacts"

_LONGEST_SEGMENT_BYTES = 255
_LONGEST_PATH_BYTES = 1024
# Escapes of dots, slashes, backslashes and controls, also in bytes that no UTF-8 has.
_HIDING = re.compile(r"%(?:[01][0-9a-f]|2[ef]|5c|7f|c[01]|c2%[89][0-9a-f])", re.IGNORECASE)
_DRIVE = re.compile(r"[a-zA-Z]:")
# Controls, surrogates, line and paragraph separators, and what is not assigned to anybody.
_REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp", "Cn"}


def parse_path(raw: str) -> str:
    """Return the relative path that a percent-encoded text names, decoded once.

    Raises:
        InvalidRequest: It is empty, absolute, leaves its root, hides how it does so by encoding it
            twice, or holds a character that no artifact's name may hold.
    """
    try:
        path = unquote_to_bytes(raw).decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise _refusal(raw, "it is not UTF-8") from None
    if _DRIVE.match(path):
        raise _refusal(path, "it begins with a drive letter")
    return check_path(path)


def check_path(path: str) -> str:
    """Return a path that was decoded already, if it may name an artifact.

    Raises:
        InvalidRequest: As for ``parse_path``.
    """
    for segment in path.split("/"):
        _check_segment(segment, path)
    if len(path.encode()) > _LONGEST_PATH_BYTES:
        raise _refusal(path, f"it is longer than {_LONGEST_PATH_BYTES} bytes")
    _check_escapes(path)
    return path


def check_folder(path: str) -> str:
    """Return the folder that may be listed by a decoded path, which may say ``./a``, ``a//b/``.

    Returns:
        Its plain path; an empty one for the root.

    Raises:
        InvalidRequest: As for ``parse_path``.
    """
    if path.startswith("/"):
        raise _refusal(path, "it must be relative")
    plain = "/".join(segment for segment in path.split("/") if segment not in {"", "."})
    return check_path(plain) if plain else ""


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
    if _DRIVE.fullmatch(segment):
        raise _refusal(path, "it holds a drive letter")
    if "\\" in segment:
        raise _refusal(path, "it holds a backslash")
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in segment):
        raise _refusal(path, "it holds a control character")
    if len(segment.encode()) > _LONGEST_SEGMENT_BYTES:
        raise _refusal(path, f"a segment is longer than {_LONGEST_SEGMENT_BYTES} bytes")


def _check_escapes(path: str) -> None:
    """Check that nobody who decodes a path once more, however often, gets another kind of path."""
    told, decoded = "", path
    while decoded != told:
        if _HIDING.search(decoded):
            raise _refusal(path, "a percent escape is left that hides a part of it")
        told, decoded = decoded, unquote(decoded)


def _refusal(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid path {path[:200]!r}: {reason}.")
