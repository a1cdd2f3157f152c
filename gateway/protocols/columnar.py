"""Parquet and Arrow bodies to arrays, one per column. Pure, but for an import on the first of them.

Called by ``mlflow_scoring.py``; ``pyarrow`` is there if ``stagedoor[arrow]`` was installed.
"""

import importlib
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.caps import MAX_ELEMENTS
from gateway.protocols.elements import Kind
from gateway.protocols.media import ARROW_FILE, ARROW_STREAM
from gateway.protocols.plan import Plan
from gateway.protocols.refusals import no_rows, shown
from tracking.errors import (
    InputMismatch,
    InvalidRequest,
    MalformedBody,
    TooLarge,
    UnsupportedMedia,
)

MAX_DECODED_BYTES = 1 << 28
"""How large a table may be once it is unpacked: both formats compress."""
_INDEX_PREFIX = "__index_level_"


def read_columns(body: bytes, media_type: str, plan: Plan) -> dict[str, NDArray[Any]]:
    """Return the columns of a body by name; the index that pandas wrote is left out.

    Args:
        body: The bytes, within the size limit.
        media_type: Which format it is.
        plan: What the model takes: where it knows a column as numbers, a missing value is NaN.

    Raises:
        UnsupportedMedia: ``pyarrow`` is not installed.
        MalformedBody: The body is not of that format.
        TooLarge: It holds too much once it is unpacked.
        InputMismatch: It has no rows, or a missing value where none can be.
        InvalidRequest: A column has a type that no request can carry.
    """
    arrow = _arrow(media_type)
    try:
        table = _read(arrow, body, media_type)
        if table.num_rows == 0 or table.num_columns == 0:
            raise no_rows()
        floats = {c.name for c in plan.columns if c.element.kind is Kind.FLOATING}
        names = [str(name) for name in table.column_names]
        if len(set(names)) < len(names):
            raise InputMismatch("A column is named twice: name each column once.")
        optional = {c.name for c in plan.columns if not c.is_required}
        return {
            name: _array(arrow, column, name, is_float=name in floats)
            for name, column in zip(names, table.columns, strict=True)
            if not name.startswith(_INDEX_PREFIX)
            # What is missing in every row is as one that was not sent.
            and not (name in optional and arrow.types.is_null(column.type))
        }
    # Its errors for bytes that are broken derive from these; it has one for each way.
    except (arrow.ArrowException, OSError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise MalformedBody(f"The body cannot be read as {media_type}.") from error


def _arrow(media_type: str) -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        message = f"{media_type} is read by pyarrow, which is not installed here"
        raise UnsupportedMedia(f"{message}: install stagedoor[arrow], or send JSON.") from error


def _read(arrow: Any, body: bytes, media_type: str) -> Any:
    if media_type in (ARROW_STREAM, ARROW_FILE):
        return _read_arrow(arrow, body, media_type)
    parquet = importlib.import_module("pyarrow.parquet")
    file = parquet.ParquetFile(io.BytesIO(body), memory_map=False)
    metadata = file.metadata
    _check_size(metadata.num_rows * metadata.num_columns, 0)
    batches = []
    for batch in file.iter_batches(use_threads=False):
        batches.append(batch)
        _check_size(0, sum(one.nbytes for one in batches))
    return arrow.Table.from_batches(batches, schema=file.schema_arrow)


def _read_arrow(arrow: Any, body: bytes, media_type: str) -> Any:
    ipc = importlib.import_module("pyarrow.ipc")
    if media_type == ARROW_FILE:
        file = ipc.open_file(arrow.BufferReader(body))
        schema, batches = file.schema, map(file.get_batch, range(file.num_record_batches))
    else:
        schema = batches = ipc.open_stream(arrow.BufferReader(body))
        schema = schema.schema
    kept, cells, size_bytes = [], 0, 0
    for batch in batches:
        cells += batch.num_rows * batch.num_columns
        size_bytes += batch.nbytes
        _check_size(cells, size_bytes)
        batch.validate(full=True)
        kept.append(batch)
    return arrow.Table.from_batches(kept, schema=schema)


def _check_size(cells: int, size_bytes: int) -> None:
    if cells > MAX_ELEMENTS or size_bytes > MAX_DECODED_BYTES:
        message = f"The table holds more than {MAX_ELEMENTS} cells or {MAX_DECODED_BYTES} bytes"
        raise TooLarge(f"{message}: send fewer rows per request.")


def _array(arrow: Any, column: Any, name: str, *, is_float: bool) -> NDArray[Any]:
    types = arrow.types
    column = _of_own_type(arrow, column, is_float=is_float)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind) or _is_bytes(types, kind):
        return _objects(column.to_pylist())
    if types.is_timestamp(kind) or types.is_date(kind):
        return np.asarray(column.cast(arrow.timestamp("ns")).to_numpy(), "datetime64[ns]")
    if types.is_floating(kind):
        return np.array(column.to_numpy())  # with NaN for what is missing
    if not (types.is_integer(kind) or types.is_boolean(kind)):
        raise InvalidRequest(f"Column {shown(name)} has a type that no request can carry.")
    if not column.null_count:
        return np.array(column.to_numpy())
    if is_float and types.is_integer(kind):
        return np.array(column.cast(arrow.float64()).to_numpy())
    raise InputMismatch(f"Column {shown(name)} has a missing value, which its type does not take.")


def _of_own_type(arrow: Any, column: Any, *, is_float: bool) -> Any:
    """Return a column of categories as what they are, and one of nothing as missing values."""
    if arrow.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if arrow.types.is_null(column.type):
        return column.cast(arrow.float64() if is_float else arrow.string())
    return column


def _is_bytes(types: Any, kind: Any) -> bool:
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _objects(values: list[Any]) -> NDArray[Any]:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made
