"""Which bytes of a file a request asks for, by its Range header. Pure. Source: RFC 9110, 14.

Called by ``artifact_answers``. One range is answered; several, units that nobody knows and texts
that are no range count as none, as the standard allows.
"""

import re

from msgspec import Struct

_RANGE = re.compile(r"bytes=[ \t]*(\d*)-(\d*)[ \t]*", re.IGNORECASE | re.ASCII)
_MOST_DIGITS = 18


class Part(Struct, frozen=True):
    """Some bytes of a file. Immutable.

    Args:
        offset: Of the first byte.
        length: How many; 0 when the file has none of those that were asked for.
    """

    offset: int
    length: int


def find_part(header: str | None, size: int) -> Part | None:
    """Return the part that a Range header asks for, or ``None`` for the whole file.

    Args:
        header: The header's value, or ``None`` without one.
        size: Of the file, in bytes.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last = (_number(digits) if digits else None for digits in match.groups())
    if first is None:
        return None if last is None else _ending(last, size)
    if last is not None and last < first:
        return None
    end = size if last is None else min(last + 1, size)
    return Part(first, max(0, end - first))


def _number(digits: str) -> int:
    """Return a number, or one beyond all files in place of what nobody wants to read."""
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _ending(length: int, size: int) -> Part:
    """Return the last bytes of a file."""
    length = min(length, size)
    return Part(size - length, length)
