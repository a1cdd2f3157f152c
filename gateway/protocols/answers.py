"""Arrays of an answer to what JSON can hold. Pure; called by each protocol's ``encode``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.refusals import shown
from tracking.errors import InvalidRequest


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


def no_tensor(name: str) -> InvalidRequest:
    """Return the refusal of an output that JSON can hold and a tensor cannot."""
    return InvalidRequest(
        f"Output {shown(name)} holds lists, objects or values of several kinds, which no tensor "
        "can: ask for it over MLflow scoring, at /invocations."
    )
