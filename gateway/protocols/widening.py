"""Arrays to another type, where no value changes by it. Pure.

Called by ``arrays.py`` and ``columnar.py``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.elements import Element, Kind


def widened(array: NDArray[Any], element: Element) -> NDArray[Any] | None:
    """Return numbers as those of an element; ``None`` if one of them would change.

    Types decide where they can. Integers are looked at one by one where a float may hold them.
    """
    source, target = array.dtype, element.dtype
    if source.kind not in "iuf" or element.kind not in (Kind.FLOATING, Kind.INTEGER):
        return None
    if source.kind in "iu" and target.kind == "f":
        return _as_floats(array, target)
    return array.astype(target) if np.can_cast(source, target, "safe") else None


def objects(values: Sequence[Any]) -> NDArray[Any]:
    """Return values as an array of as many objects, whatever they hold."""
    return np.fromiter(values, dtype=object, count=len(values))


def _as_floats(array: NDArray[Any], target: np.dtype[Any]) -> NDArray[Any] | None:
    """Return integers as floats, if all are below the first that a float of this type rounds."""
    limit = 1 << (np.finfo(target).nmant + 1)
    if np.iinfo(array.dtype).max > limit:
        smallest, largest = int(array.min()), int(array.max())
        if smallest < -limit or largest > limit:
            return None
    return array.astype(target)
