"""What a model gives piece by piece, turned into what JSON has. Pure; runs where the model runs."""

import math
from collections.abc import Mapping
from decimal import Decimal
from types import NoneType
from typing import Any

from tracking.errors import ModelFailed

_DEEPEST = 32
_PLAIN = frozenset({str, bool, int, bytes, NoneType})
_MISSING = frozenset({"NAType", "NaTType"})
"""How pandas calls what is missing."""


def plain_piece(value: Any, depth: int = 0) -> Any:
    """Return a piece as text, numbers, lists and objects; numbers that are not finite are none.

    Args:
        value: Text, numbers, arrays, tables, mappings, or objects that can write themselves as one.
        depth: How deep it stands in another.

    Raises:
        ModelFailed: It is something else, or nests too deep.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    if depth >= _DEEPEST:
        raise ModelFailed(f"The model gave a value that nests deeper than {_DEEPEST}.")
    if isinstance(value, Mapping):
        return {str(name): plain_piece(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_piece(item, depth + 1) for item in value]
    return plain_piece(_written(value), depth + 1)


def _written(value: Any) -> Any:
    """Return a library's object in Python's own types."""
    if type(value).__name__ in _MISSING:
        return None
    match value:  # of classes derived from these, members of enumerations among them
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value)
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return value.to_dict(orient="records")
    for name in ("model_dump", "to_dict", "tolist", "isoformat"):
        write = getattr(value, name, None)
        if callable(write):
            return write()
    name = type(value).__name__
    raise ModelFailed(f"The model gave a value of type {name!r}, which JSON cannot hold.")
