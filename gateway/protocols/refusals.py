"""The sentences in which rows are refused: where, what was expected, what kind came. Pure.

Names are shown clipped, values never: a payload does not belong into logs or answers.
"""

from collections.abc import Callable, Sequence
from types import NoneType

import numpy as np

from tracking.errors import InputMismatch

Where = Callable[[int], str]
"""Says where the value with a given index stands, ``Column 'a', row 3``."""

_SHOWN_NAMES = 5
_SHOWN_CHARACTERS = 64
_JSON_NAMES = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
    NoneType: "null",
    bytes: "bytes",
}


def mismatch(where: str, expected: str, got: str) -> InputMismatch:
    """Return the refusal of one value."""
    return InputMismatch(f"{where}: expected {expected}, got {got}.")


def no_rows() -> InputMismatch:
    """Return the refusal of a request without rows."""
    return InputMismatch("The request holds no rows: send at least one.")


def json_name(kind: type) -> str:
    """Return what JSON calls a value of this type."""
    return _JSON_NAMES.get(kind, kind.__name__)


def shown(name: str) -> str:
    """Return a name as a sentence shows it."""
    return repr(name[:_SHOWN_CHARACTERS])


def listed(names: Sequence[str]) -> str:
    """Return the first few names as a sentence shows them."""
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(shown(name) for name in names[:_SHOWN_NAMES]) + more


def in_column(name: str) -> Where:
    """Return how to say where a value of this column stands."""
    return lambda row: f"Column {shown(name)}, row {row}"


def in_tensor(name: str, shape: tuple[int, ...]) -> Where:
    """Return how to say where a value of this tensor stands, counted in row-major order."""

    def where(index: int) -> str:
        position = ", ".join(str(axis) for axis in np.unravel_index(index, shape))
        return f"Tensor {shown(name)}, at [{position}]"

    return where
