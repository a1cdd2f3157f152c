"""Columns of Arrow whose values hold others, as the lists and dicts that JSON has for them. Pure.

Called by ``columnar.py``. Within lists and objects moments become ISO 8601 in UTC and bytes
base64: a model gets the same from every format.
"""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.caps import MAX_DEPTH
from gateway.protocols.moments import MOMENTS
from gateway.protocols.refusals import shown
from tracking.errors import InvalidRequest

_NUMPY_NAMES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def holds_others(arrow: Any, kind: Any) -> bool:
    """Say whether values of an Arrow type hold others."""
    types = arrow.types
    return _is_list(types, kind) or types.is_map(kind) or types.is_struct(kind)


def is_bytes(types: Any, kind: Any) -> bool:
    """Say whether values of an Arrow type are bytes; ``types`` is ``pyarrow.types``."""
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def unviewed(arrow: Any, kind: Any) -> Any:
    """Return the type of text or bytes for that of views of them, and any other as it is."""
    if arrow.types.is_string_view(kind):
        return arrow.large_string()
    return arrow.large_binary() if arrow.types.is_binary_view(kind) else kind


def numbers_of(column: Any) -> NDArray[Any]:
    """Return numbers as the bytes that Arrow has, copied; what is missing is any number.

    Arrow's own ``to_numpy`` would import pandas, which takes a worker longer than many requests.
    """
    dtype = np.dtype(_NUMPY_NAMES.get(str(column.type), str(column.type)))
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype, len(chunk), chunk.offset * dtype.itemsize)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts)


def gaps_of(arrow: Any, column: Any) -> NDArray[np.bool_]:
    """Say of each value whether it is missing."""
    return numbers_of(column.is_null().cast(arrow.uint8())).view(np.bool_)


def plain_values(arrow: Any, column: Any, name: str) -> list[Any]:
    """Return the values of a column as a JSON parser would have given them.

    Args:
        arrow: The module ``pyarrow``.
        column: A chunked array of any type, that ``check_unpacked`` has counted.
        name: The column's name, for refusals.

    Raises:
        InvalidRequest: It nests too deep, holds a type that JSON has nothing for, or a map has a
            key twice.
    """
    naive = _mapped(arrow, column.type, _without_zone, name)
    told = _mapped(arrow, naive, _as_told, name)
    try:
        column = column.cast(naive)
        if told != naive:
            column.cast(_mapped(arrow, naive, _as_moments, name))  # refuses what is out of range
            column = column.cast(told)
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except KeyError as error:
        raise InvalidRequest(f"Column {shown(name)}: a map has a key twice.") from error
    except arrow.ArrowInvalid as error:
        raise InvalidRequest(f"Column {shown(name)}: expected {MOMENTS}, got another.") from error
    return [_without_bytes(value) for value in values]


def _is_list(types: Any, kind: Any) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _mapped(arrow: Any, kind: Any, single: Any, name: str, depth: int = 0) -> Any:
    """Return a type with ``single`` called for each type in it that holds no others."""
    types = arrow.types
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"Column {shown(name)} nests deeper than {MAX_DEPTH} levels.")
    if types.is_map(kind):
        key = single(arrow, kind.key_type, name)
        if not (types.is_string(key) or types.is_large_string(key)):
            raise InvalidRequest(f"Column {shown(name)} holds a map whose keys are no text.")
        return arrow.map_(key, _mapped(arrow, kind.item_type, single, name, depth + 1))
    if types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        if len({field.name for field in fields}) < len(fields):
            raise InvalidRequest(f"Column {shown(name)} has objects with one name twice.")
        return arrow.struct(
            [(f.name, _mapped(arrow, f.type, single, name, depth + 1)) for f in fields]
        )
    if _is_list(types, kind):
        held = _mapped(arrow, kind.value_type, single, name, depth + 1)
        return arrow.large_list(held) if types.is_large_list(kind) else arrow.list_(held)
    return single(arrow, kind, name)


def _without_zone(arrow: Any, kind: Any, name: str) -> Any:
    types = arrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    kind = unviewed(arrow, kind)
    if types.is_timestamp(kind):
        return arrow.timestamp(kind.unit)  # what it holds is in UTC, whatever its zone
    is_known = (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
        or types.is_date(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or is_bytes(types, kind)
    )
    if not is_known:
        message = f"Column {shown(name)} holds values of Arrow's type {str(kind)[:64]!r}"
        raise InvalidRequest(f"{message}, which no request can carry: send numbers or text.")
    return kind


def _as_moments(arrow: Any, kind: Any, name: str) -> Any:
    del name
    types = arrow.types
    return arrow.timestamp("ns") if types.is_timestamp(kind) or types.is_date(kind) else kind


def _as_told(arrow: Any, kind: Any, name: str) -> Any:
    del name
    types = arrow.types
    if types.is_timestamp(kind) or types.is_date(kind):
        return arrow.string()
    return arrow.binary() if is_bytes(types, kind) else kind


def _without_bytes(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            return [_without_bytes(item) for item in value]
        case dict():
            return {name: _without_bytes(item) for name, item in value.items()}
        case _:
            return value
