"""Values that hold others: whether lists and objects fit what a signature says of them. Pure.

Called by ``elements.py``. A value reaches the model as it came: as lists, dicts, numbers and text.
"""

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
_ANY = Nested("any")


def check_nested(value: Any, nested: Nested, where: str) -> None:
    """Refuse a value that is not of a type.

    Args:
        value: As the JSON parser gave it.
        nested: The type.
        where: Where it stands, for a refusal.

    Raises:
        InputMismatch: It, or one in it, is of another type, or missing.
    """
    match nested.type:
        case "any":
            return
        case "array":
            _check_type(value, (list,), nested, where)
            for index, item in enumerate(value):
                check_nested(item, nested.items or _ANY, f"{where}, item {index}")
        case "map":
            _check_type(value, (dict,), nested, where)
            for name, item in value.items():
                check_nested(item, nested.values or _ANY, f"{where}, key {shown(name)}")
        case "object":
            _check_type(value, (dict,), nested, where)
            _check_properties(value, nested, where)
        case single:
            _check_type(value, _SINGLE.get(single, ()), nested, where)


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


def _check_properties(value: Mapping[str, Any], nested: Nested, where: str) -> None:
    for name, held in nested.properties.items():
        if value.get(name) is not None:
            check_nested(value[name], held, f"{where}, key {shown(name)}")
        elif held.required:
            raise InputMismatch(f"{where}, key {shown(name)}: the value is missing.")


def _check_type(value: Any, allowed: tuple[type, ...], nested: Nested, where: str) -> None:
    if type(value) not in allowed:
        raise mismatch(where, f"a value of type {nested.type}", json_name(type(value)))
