"""Single values: which JSON values a column or tensor takes, and their conversion to numpy. Pure.

Called by ``conform.py`` and ``arrays.py``. A refusal says where, what was expected and what kind of
value came; never the value itself.
"""

import base64
import binascii
import math
from collections.abc import Callable, Sequence
from enum import Enum
from types import NoneType
from typing import Any, assert_never

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.protocols.moments import FIRST_YEAR, LAST_YEAR, read_moment
from gateway.protocols.nested import check_size, fitted, held_types
from gateway.protocols.refusals import Where, json_name, mismatch
from registry.signature import NESTED_TYPES, ColumnSpec, Nested
from tracking.errors import InputMismatch

EXACT_LIMIT = 2**53
"""Up to here every integer survives a trip through a JSON number of any client."""


class Kind(Enum):
    """What sort of value it is."""

    FLOATING = "a number"
    """A number; an integer widens."""
    INTEGER = "an integer"
    """An integer, or a number without a fraction."""
    BOOLEAN = "a boolean"
    """``true`` or ``false``; never 0 or 1."""
    TEXT = "a string"
    """A string."""
    BINARY = "a base64 string"
    """Bytes, in JSON as base64."""
    DATETIME = "an ISO 8601 string"
    """A moment, in JSON as ISO 8601; without an offset it is UTC."""
    NESTED = "a list, an object, or what the signature says"
    """A value that holds others; elsewhere than in JSON it is its JSON as text."""


class Element(Struct, frozen=True):
    """The type of a column or tensor. Immutable.

    Args:
        label: Its name as the signature writes it.
        kind: What sort of value it takes.
        dtype: What numpy holds it as.
        allows_null: Whether ``null`` stands for a missing value.
        nested: What a value holds, where it holds others.
    """

    label: str
    kind: Kind
    dtype: np.dtype[Any]
    allows_null: bool = False
    nested: Nested | None = None


_OBJECT = np.dtype(object)
_MOMENT = np.dtype("datetime64[ns]")

COLUMN_ELEMENTS = {
    "boolean": Element("boolean", Kind.BOOLEAN, np.dtype(np.bool_)),
    "integer": Element("integer", Kind.INTEGER, np.dtype(np.int32)),
    "long": Element("long", Kind.INTEGER, np.dtype(np.int64)),
    "float": Element("float", Kind.FLOATING, np.dtype(np.float32), allows_null=True),
    "double": Element("double", Kind.FLOATING, np.dtype(np.float64), allows_null=True),
    "string": Element("string", Kind.TEXT, _OBJECT, allows_null=True),
    "binary": Element("binary", Kind.BINARY, _OBJECT, allows_null=True),
    "datetime": Element("datetime", Kind.DATETIME, _MOMENT, allows_null=True),
}
"""By the type of a column with one value a row, as a signature names it."""

ANYTHING = Element("any", Kind.NESTED, _OBJECT, allows_null=True, nested=Nested("any"))
"""Takes whatever JSON can hold."""

_KIND_OF_DTYPE = {
    "f": Kind.FLOATING,
    "i": Kind.INTEGER,
    "u": Kind.INTEGER,
    "b": Kind.BOOLEAN,
    "U": Kind.TEXT,
    "O": Kind.TEXT,
    "S": Kind.BINARY,
    "M": Kind.DATETIME,
}


def column_element(spec: ColumnSpec) -> Element:
    """Return the element of a column.

    Raises:
        InputMismatch: No request can carry its type.
    """
    if spec.type not in NESTED_TYPES:
        return COLUMN_ELEMENTS.get(spec.type) or tensor_element(spec.type)
    nested = spec.nested or Nested(spec.type)
    is_optional = not spec.required or "any" in held_types(nested)
    return Element(spec.type, Kind.NESTED, _OBJECT, allows_null=is_optional, nested=nested)


def tensor_element(name: str) -> Element:
    """Return the element of a tensor whose type numpy calls ``name``.

    Raises:
        InputMismatch: No request can carry this type.
    """
    try:
        dtype = np.dtype(name)
        kind = _KIND_OF_DTYPE[dtype.kind]
    except (TypeError, KeyError) as error:
        message = f"The signature has the type {name!r}, which no request can carry."
        raise InputMismatch(message) from error
    if kind in (Kind.TEXT, Kind.BINARY):
        dtype = _OBJECT
    return Element(name, kind, _MOMENT if kind is Kind.DATETIME else dtype)


def infer_element(values: Sequence[Any], where: Where) -> Element:
    """Return the element that takes all these values, for a model without a signature.

    Raises:
        InputMismatch: They are of several kinds, and hold no lists or objects.
    """
    found = set(map(type, values)) - {NoneType}
    if found == {int} and None not in values:
        return COLUMN_ELEMENTS["long"]
    if found <= {int, float}:
        return COLUMN_ELEMENTS["double"]
    if found == {bool}:
        return COLUMN_ELEMENTS["boolean"]
    if found == {str}:
        return COLUMN_ELEMENTS["string"]
    if found & {list, dict}:
        return ANYTHING
    kinds = ", ".join(sorted(json_name(kind) for kind in found))
    raise InputMismatch(f"{where(0)} and on: expected values of one kind, got {kinds}.")


def convert(values: Sequence[Any], element: Element, where: Where) -> NDArray[Any]:
    """Convert JSON values to an array of shape (values,).

    Args:
        values: As the JSON parser gave them.
        element: What they must be.
        where: Says where a value stands.

    Raises:
        InputMismatch: One is of another kind, or out of range.
    """
    match element.kind:
        case Kind.FLOATING:
            return _floats(values, element, where)
        case Kind.INTEGER:
            return _integers(values, element, where)
        case Kind.BOOLEAN | Kind.TEXT:
            _check_types(values, {bool if element.kind is Kind.BOOLEAN else str}, element, where)
            return np.array(values, element.dtype)
        case Kind.BINARY:
            return _parsed(values, _decode_base64, element, where)
        case Kind.DATETIME:
            return _parsed(values, read_moment, element, where)
        case Kind.NESTED:
            return _nested(values, element, where)
        case _:
            assert_never(element.kind)


def expected(element: Element) -> str:
    """Return what a refusal says that it takes."""
    return f"{element.kind.value} ({element.label})"


def _floats(values: Sequence[Any], element: Element, where: Where) -> NDArray[Any]:
    found = _check_types(values, {float, int}, element, where)
    if NoneType in found:
        values = [math.nan if value is None else value for value in values]
    try:
        with np.errstate(over="raise"):
            return np.array(values, np.float64).astype(element.dtype, copy=False)
    except (OverflowError, FloatingPointError):
        largest = float(np.finfo(element.dtype).max)
        raise _out_of_range(values, -largest, largest, element, where) from None


def _integers(values: Sequence[Any], element: Element, where: Where) -> NDArray[Any]:
    found = _check_types(values, {int, float}, element, where)
    if float in found:
        values = [_whole(value, index, element, where) for index, value in enumerate(values)]
    limits = np.iinfo(element.dtype)
    if min(values) < limits.min or max(values) > limits.max:
        raise _out_of_range(values, int(limits.min), int(limits.max), element, where)
    return np.array(values, element.dtype)


def _whole(value: float, index: int, element: Element, where: Where) -> int:
    if type(value) is float and not (value.is_integer() and abs(value) <= EXACT_LIMIT):
        is_large = value.is_integer()
        got = "a float larger than 2^53" if is_large else "a number with a fraction"
        raise mismatch(where(index), expected(element), got)
    return int(value)


def _parsed(
    values: Sequence[Any], parse: Callable[[str], Any], element: Element, where: Where
) -> NDArray[Any]:
    _check_types(values, {str}, element, where)
    parsed = np.empty(len(values), element.dtype)
    for index, value in enumerate(values):
        try:
            parsed[index] = parse(value) if value is not None else _MISSING[element.kind]
        except OverflowError:
            got = f"one outside of the years {FIRST_YEAR} to {LAST_YEAR}"
            raise mismatch(where(index), expected(element), got) from None
        except (ValueError, binascii.Error):
            raise mismatch(where(index), expected(element), "another string") from None
    return parsed


def _nested(values: Sequence[Any], element: Element, where: Where) -> NDArray[Any]:
    made = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        if value is not None or not element.allows_null:
            made[index] = fitted(value, element.nested or Nested("any"), where(index))
            check_size(value, where(index))
    return made


_MISSING = {Kind.BINARY: None, Kind.DATETIME: np.datetime64("NaT")}


def _decode_base64(text: str) -> bytes:
    joined = text.replace("\r", "").replace("\n", "")  # MIME has it in lines
    return base64.b64decode(joined, validate=True)


def _check_types(
    values: Sequence[Any], allowed: set[type], element: Element, where: Where
) -> set[type]:
    """Return the types that occur; refuse the first value of another one."""
    if element.allows_null:
        allowed = allowed | {NoneType}
    found = set(map(type, values))
    if not found <= allowed:
        index = next(i for i, value in enumerate(values) if type(value) not in allowed)
        raise mismatch(where(index), expected(element), json_name(type(values[index])))
    return found


def _out_of_range(
    values: Sequence[Any], smallest: float, largest: float, element: Element, where: Where
) -> InputMismatch:
    index = next(i for i, value in enumerate(values) if not smallest <= value <= largest)
    return mismatch(where(index), expected(element), "one out of its range")
