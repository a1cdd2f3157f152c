"""Arrays of an answer to what JSON can hold. Pure; called by each protocol's ``encode``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def plain_list(array: NDArray[Any]) -> list[Any]:
    """Return nested lists of plain values; moments become ISO 8601.

    Args:
        array: Any shape with at least one axis.
    """
    if array.dtype.kind == "M":
        text = np.datetime_as_string(array).astype(object)
        text[np.isnat(array)] = None
        array = text
    values: list[Any] = array.tolist()
    return values
