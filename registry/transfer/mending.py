"""What becomes of the parts of a run or model that have no place here: left out or made to fit.

Pure. Other stores take what this one refuses, and nobody can mend it there; so a part is lost or
changed, and never all that it belongs to. Each function tells in sentences what it did, the same
ones each time. Used by ``run_mending`` and ``model_mending``.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import Struct

from tracking.errors import InvalidRequest
from tracking.past import check_types
from tracking.wire import Tag

E = TypeVar("E", bound=Struct)

_REFUSED = re.compile("[\0\ud800-\udfff]")
_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def fitting(
    entries: Iterable[E], what: Callable[[E], str], check: Callable[[E], object], told: list[str]
) -> list[E]:
    """Return the entries that may be kept.

    Args:
        entries: Tags, datasets or the like.
        what: Says which one it is.
        check: Refuses what may not be kept.
        told: Gets a sentence for each that is left out.
    """
    kept = []
    for entry in entries:
        try:
            check_types(entry)
            check(entry)
        except InvalidRequest as error:
            told.append(f"{what(entry)} is left out: {error.message}")
        else:
            kept.append(entry)
    return kept


def clean_text(value: str, what: str, told: list[str]) -> str:
    """Return a text with a mark in place of each character that no database keeps."""
    if not isinstance(value, str) or not _REFUSED.search(value):
        return value
    told.append(f"{what} held NUL characters or lone surrogates, and has {_INSTEAD!r} for each")
    return _REFUSED.sub(_INSTEAD, value)


def clean_tag(tag: Tag, told: list[str]) -> Tag:
    """Return a tag with a text that may be kept."""
    return Tag(key=tag.key, value=clean_text(tag.value, f"the value of {name_of(tag)}", told))


def since_epoch(value: int, what: str, told: list[str]) -> int:
    """Return a time in milliseconds that is not before 1970."""
    if not isinstance(value, int) or value >= 0:
        return value
    told.append(f"{what} was before 1970, and is 0")
    return 0


def name_of(tag: Tag) -> str:
    """Say which tag."""
    return f"tag {tag.key!r:.200}"
