"""Values that hold others: whether lists and objects fit what a signature says of them. Pure.

Called by ``elements.py``. A value reaches the model as it came: as lists, dicts, numbers and text,
with NaN for a number that is missing in a list or map.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.protocols.caps import check_body, check_depth
from gateway.protocols.refusals import json_name, mismatch, shown
from registry.signature import Nested
from tracking.errors import InputMismatch, MalformedBody

_SINGLE: Mapping[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "string": (str,),
    "binary": (str,),
    "datetime": (str,),
}
_FLOATS = ("float", "double")
_ANY = Nested("any")


def fitted(value: Any, nested: Nested, where: str) -> Any:
    """Return a value of a type: as it came, but for NaN where a number in a list is missing.

    Args:
        value: As the JSON parser gave it.
        nested: The type.
        where: Where it stands, for a refusal.

    Raises:
        InputMismatch: It, or one in it, is of another type, or missing.
    """
    match nested.type:
        case "any":
            return value
        case "array":
            _check_type(value, (list,), nested, where)
            held = nested.items or _ANY
            return [_held(item, held, f"{where}, item {index}") for index, item in enumerate(value)]
        case "map":
            _check_type(value, (dict,), nested, where)
            held = nested.values or _ANY
            return {
                name: _held(item, held, f"{where}, key {shown(name)}")
                for name, item in value.items()
            }
        case "object":
            _check_type(value, (dict,), nested, where)
            return value | _properties(value, nested, where)
        case single:
            _check_type(value, _SINGLE.get(single, ()), nested, where)
            return value


def held_types(nested: Nested) -> set[str]:
    """Return its type, and those of what a list or a map of it holds."""
    return {nested.type} | {held.type for held in (nested.items, nested.values) if held is not None}


def check_size(value: Any, where: str) -> None:
    """Refuse a value that cannot travel to a model.

    Raises:
        InputMismatch: It holds an integer of more than 64 bits.
    """
    try:
        msgspec.msgpack.encode(value)
    except OverflowError as error:
        raise mismatch(where, "integers of at most 64 bits", "a larger one") from error


def read_nested(text: str | bytes, where: str) -> Any:
    """Return the value that a text says in JSON, for formats that have nothing but text.

    Raises:
        InputMismatch: It is no JSON.
    """
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        check_body(body)
        check_depth(body)
        return msgspec.json.decode(body)
    except (MalformedBody, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise mismatch(where, "JSON of a list or an object", "another text") from error


def _held(value: Any, nested: Nested, where: str) -> Any:
    return math.nan if value is None and nested.type in _FLOATS else fitted(value, nested, where)


def _properties(value: Mapping[str, Any], nested: Nested, where: str) -> dict[str, Any]:
    found = {}
    for name, held in nested.properties.items():
        if value.get(name) is not None:
            found[name] = fitted(value[name], held, f"{where}, key {shown(name)}")
        elif held.required:
            raise InputMismatch(f"{where}, key {shown(name)}: the value is missing.")
    return found


def _check_type(value: Any, allowed: tuple[type, ...], nested: Nested, where: str) -> None:
    if type(value) not in allowed:
        raise mismatch(where, f"a value of type {nested.type}", json_name(type(value)))
