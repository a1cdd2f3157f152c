"""Params that a call may give a model besides rows: which there are, and what they are. Pure.

As MLflow has them: a param that the signature does not know is left out, one that is not given
takes its default, and one of another type is refused.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tracking.errors import InvalidRequest

_WHOLE = {"integer": 2**31, "long": 2**63}
"""Each reaches from minus this to just below it."""
_BROKEN = ("float", "double")
_LARGEST_FLOAT = 3.4028234663852886e38  # of 32 bits


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

    A ``null`` is for params whose default is none, and for those of type ``object``.

    Raises:
        InvalidRequest: One has another type, or is out of its range.
    """
    return {
        spec.name: _conform(spec, given[spec.name]) if spec.name in given else spec.default
        for spec in specs
    }


def _conform(spec: ParamSpec, value: Any) -> Any:
    if spec.type == "object" or (value is None and spec.default is None):
        return value
    if spec.shape is None:
        return _conform_one(spec, value)
    if not isinstance(value, list | tuple):
        raise _mismatch(spec, f"a list of {spec.type}", value)
    return [_conform_one(spec, one) for one in value]


def _conform_one(spec: ParamSpec, value: Any) -> Any:
    is_bool, is_whole = isinstance(value, bool), isinstance(value, int)
    if spec.type in _BROKEN and (is_whole or isinstance(value, float)) and not is_bool:
        return _checked_float(spec, value)
    if spec.type in _WHOLE and is_whole and not is_bool:
        return _checked_range(spec, value)
    if spec.type == "boolean" and is_bool:
        return value
    if spec.type in {"string", "datetime", "binary"} and isinstance(value, str):
        return value
    raise _mismatch(spec, spec.type, value)


def _checked_range(spec: ParamSpec, value: int) -> int:
    limit = _WHOLE[spec.type]
    if -limit <= value < limit:
        return value
    raise InvalidRequest(
        f"The param {spec.name!r} is out of the range of {spec.type}: {-limit} to {limit - 1}."
    )


def _checked_float(spec: ParamSpec, value: float) -> float:
    limit = _LARGEST_FLOAT if spec.type == "float" else sys.float_info.max
    if abs(value) <= limit or not math.isfinite(value):
        return float(value)
    message = f"The param {spec.name!r} is out of the range of {spec.type}: at most {limit:.4g}."
    raise InvalidRequest(message)


def _mismatch(spec: ParamSpec, expected: str, value: Any) -> InvalidRequest:
    found = "null" if value is None else f"a {type(value).__name__!r}"
    return InvalidRequest(f"The param {spec.name!r} must be {expected}; {found} was given.")
