"""How large a body of Parquet or Arrow is once it is unpacked, asked before it is. Pure.

Called by ``columnar.py``. Both formats compress, and say a text that is there often once: a few
kilobytes may hold many gigabytes.
"""

import importlib
from typing import Any

import numpy as np

from gateway.protocols.caps import MAX_ELEMENTS
from tracking.errors import TooLarge

MAX_DECODED_BYTES = 1 << 28
"""How large a table may be once it is unpacked."""
_TEXT = "BYTE_ARRAY"
_MANY_ROWS, _FEW_ROWS = 1 << 16, 1 << 7


def check_size(values: int, size_bytes: int) -> None:
    """Refuse a table of more than is taken.

    Raises:
        TooLarge: It is one.
    """
    if values > MAX_ELEMENTS or size_bytes > MAX_DECODED_BYTES:
        message = f"The table holds more than {MAX_ELEMENTS} cells or {MAX_DECODED_BYTES} bytes"
        raise TooLarge(f"{message}: send fewer rows per request.")


def check_promised(file: Any) -> None:
    """Refuse a Parquet file that says itself that it holds too much.

    What it says of single pieces of columns is not asked: pyarrow ends the process over some that
    are broken, instead of raising.

    Raises:
        TooLarge: It does.
    """
    rows, schema = file.metadata.num_rows, file.schema
    widths = (max(0, schema.column(index).length) for index in range(len(schema)))
    check_size(rows * len(schema), rows * sum(widths))


def rows_at_once(file: Any) -> int:
    """Return how many rows of a Parquet file to read before asking for the size again."""
    columns = map(file.schema.column, range(len(file.schema)))
    return _FEW_ROWS if any(c.max_repetition_level for c in columns) else _MANY_ROWS


def paths_of_text(file: Any) -> list[str]:
    """Return the columns of a Parquet file that may say a long text once and mean it often."""
    columns = map(file.schema.column, range(len(file.schema)))
    return [column.path for column in columns if column.physical_type == _TEXT]


def check_unpacked(arrow: Any, table: Any) -> None:
    """Refuse a table that holds too much, lists and categories counted as what they stand for.

    Raises:
        TooLarge: It does.
    """
    types = arrow.types
    values, size_bytes = 0, 0
    waiting = [chunk for column in table.columns for chunk in column.chunks]
    while waiting:
        array = waiting.pop()
        kind = array.type
        values += len(array)
        if types.is_map(kind):
            waiting += [array.keys, array.items]
        elif types.is_struct(kind):
            waiting += array.flatten()
        elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            waiting.append(array.flatten())
        elif types.is_dictionary(kind):
            size_bytes += _meant(types, array)
        elif types.is_string_view(kind) or types.is_binary_view(kind):
            size_bytes += _viewed(array)
    check_size(values, size_bytes)


def _meant(types: Any, array: Any) -> int:
    """Return how many bytes categories stand for."""
    kind = array.type.value_type
    if types.is_fixed_size_binary(kind):
        return int(len(array) * kind.byte_width)
    is_text = types.is_string(kind) or types.is_large_string(kind)
    if not (is_text or types.is_binary(kind) or types.is_large_binary(kind)):
        return 0
    compute = importlib.import_module("pyarrow.compute")
    lengths = compute.take(compute.binary_length(array.dictionary), array.indices)
    return int(compute.sum(lengths).as_py() or 0)


def _viewed(array: Any) -> int:
    """Return how many bytes views stand for: each of 16 bytes begins with its length."""
    lengths = np.frombuffer(array.buffers()[1], "<i4")[::4]
    return int(lengths[array.offset : array.offset + len(array)].sum(dtype=np.int64))
