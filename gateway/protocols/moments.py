"""Moments: from text, and from arrays of any unit, to nanoseconds in UTC. Pure.

Called by ``elements.py``, ``columnar.py`` and ``npy.py``.
"""

import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_YEAR, LAST_YEAR = 1678, 2261
"""What nanoseconds in 64 bits reach in full."""
MOMENTS = f"moments of the years {FIRST_YEAR} to {LAST_YEAR}"
"""What a refusal says of a column that goes beyond."""

_MOMENT = np.dtype("datetime64[ns]")
_MISSING = "NaT"
_NANOSECONDS = re.compile(r"[.,][0-9]{6}([0-9]{1,3})")
_YEAR_FIRST = re.compile(
    r"(?P<year>[0-9]{4})(?:(?P<sign>[-/.])(?P<month>[0-9]{1,2})(?:(?P=sign)(?P<day>[0-9]{1,2})"
    r"(?:[T ](?P<hour>[0-9]{1,2})(?P<rest>(?::[0-9]{2}){1,2}(?:[.,][0-9]+)?)"
    r"(?: ?(?P<zone>Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?)?)?)?"
)


def read_moment(text: str) -> np.datetime64:
    """Return the moment that a text says; without an offset it is in UTC.

    ISO 8601, and what else begins with the year, of which there is one reading: ``2024/5/1 9:05``,
    ``2024-05``, ``2024-05-01 12:00:00 UTC``. ``NaT`` is a missing one, as numpy writes it.

    Raises:
        OverflowError: It is out of the years that nanoseconds reach.
        ValueError: It is another text.
    """
    if text == _MISSING:
        return np.datetime64("NaT", "ns")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(_as_iso(text))
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise OverflowError(moment.year)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    beyond = _NANOSECONDS.search(text)  # Python's own moments end at microseconds
    nanoseconds = 0 if beyond is None else int(beyond[1].ljust(3, "0"))
    return np.datetime64(moment, "ns") + np.timedelta64(nanoseconds, "ns")


def moments_of(array: NDArray[Any]) -> NDArray[Any] | None:
    """Return moments of any unit in nanoseconds; ``None`` if one is out of their reach."""
    years = array.astype("datetime64[Y]")
    first, last = np.datetime64(str(FIRST_YEAR), "Y"), np.datetime64(str(LAST_YEAR), "Y")
    if not bool((np.isnat(array) | ((years >= first) & (years <= last))).all()):
        return None
    return array.astype(_MOMENT)


def _as_iso(text: str) -> str:
    found = _YEAR_FIRST.fullmatch(text)
    if found is None:
        raise ValueError("another text")
    date = f"{found['year']}-{found['month'] or '01':0>2}-{found['day'] or '01':0>2}"
    if found["hour"] is None:
        return date
    zone = found["zone"] or ""
    return f"{date}T{found['hour']:0>2}{found['rest']}{zone if zone[:1] in '+-' else '+00:00'}"
