"""Params that a call may give a model besides rows: which there are, and what they are. Pure.

As MLflow has them: a param that the signature does not know is left out, one that is not given
takes its default, and one of another type is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tracking.errors import InvalidRequest

_WHOLE = ("integer", "long")
_BROKEN = ("float", "double")


class ParamSpec(Struct, frozen=True):
    """One param of a signature.

    Args:
        name: Its name.
        type: As of a column, or ``object``.
        default: What it is when a call does not give it.
        shape: None for a single value, ``(-1,)`` for a list.
    """

    name: str
    type: str
    default: Any = None
    shape: tuple[int, ...] | None = None


class _MLmodelParam(Struct):
    name: str
    type: str = "object"
    default: Any = None
    shape: tuple[int, ...] | None = None


def parse_params(text: str | None) -> tuple[ParamSpec, ...]:
    """Read the ``params`` of an MLmodel file's signature.

    Raises:
        InvalidRequest: They have another shape.
    """
    if not text:
        return ()
    try:
        found = msgspec.json.decode(text, type=list[_MLmodelParam])
    except (msgspec.DecodeError, TypeError) as error:
        raise InvalidRequest(f"The params in the MLmodel file cannot be read: {error}") from error
    return tuple(ParamSpec(one.name, one.type, one.default, one.shape) for one in found)


def format_params(specs: Sequence[ParamSpec]) -> str | None:
    """Write the ``params`` of an MLmodel file's signature."""
    found = [_MLmodelParam(one.name, one.type, one.default, one.shape) for one in specs]
    return msgspec.json.encode(found).decode() if found else None


def conform_params(specs: Sequence[ParamSpec], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params that a model gets: those given, in their types, and defaults.

    Raises:
        InvalidRequest: One has another type.
    """
    return {
        spec.name: _conform(spec, given[spec.name]) if spec.name in given else spec.default
        for spec in specs
    }


def _conform(spec: ParamSpec, value: Any) -> Any:
    if value is None or spec.type == "object":
        return value
    if spec.shape is None:
        return _conform_one(spec, value)
    if not isinstance(value, list | tuple):
        raise _mismatch(spec, f"a list of {spec.type}", value)
    return [_conform_one(spec, one) for one in value]


def _conform_one(spec: ParamSpec, value: Any) -> Any:
    is_bool, is_whole = isinstance(value, bool), isinstance(value, int)
    if spec.type in _BROKEN and (is_whole or isinstance(value, float)) and not is_bool:
        return float(value)
    if spec.type in _WHOLE and is_whole and not is_bool:
        return value
    if spec.type == "boolean" and is_bool:
        return value
    if spec.type in {"string", "datetime", "binary"} and isinstance(value, str):
        return value
    raise _mismatch(spec, spec.type, value)


def _mismatch(spec: ParamSpec, expected: str, value: Any) -> InvalidRequest:
    found = type(value).__name__
    return InvalidRequest(f"The param {spec.name!r} must be {expected}; a {found!r} was given.")
