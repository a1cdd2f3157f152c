"""Parquet and Arrow bodies to arrays, one per column. Pure, but for an import on the first of them.

Called by ``mlflow_scoring.py``; ``pyarrow`` is there if ``stagedoor[arrow]`` was installed.
"""

import importlib
import io
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.protocols.arrow_values import (
    gaps_of,
    holds_others,
    is_bytes,
    numbers_of,
    plain_values,
    unviewed,
)
from gateway.protocols.conform import taken_names
from gateway.protocols.elements import Element, Kind
from gateway.protocols.media import ARROW_FILE, ARROW_STREAM
from gateway.protocols.moments import MOMENTS
from gateway.protocols.plan import Column, Plan, Tensor
from gateway.protocols.refusals import no_rows, shown
from gateway.protocols.unpacking import (
    check_promised,
    check_size,
    check_unpacked,
    paths_of_text,
    rows_at_once,
)
from gateway.protocols.widening import objects, widened
from tracking.errors import (
    InputMismatch,
    InvalidRequest,
    MalformedBody,
    UnsupportedMedia,
)

_INDEX_PREFIX = "__index_level_"
_NAT = -(1 << 63)  # numpy's moment that is missing


def read_columns(body: bytes, media_type: str, plan: Plan) -> dict[str, NDArray[Any]]:
    """Return the columns of a body by name; the index that pandas wrote is left out.

    Args:
        body: The bytes, within the size limit.
        media_type: Which format it is.
        plan: What the model takes: what stands for a missing value, and which columns hold others.

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
        check_unpacked(arrow, table)
        columns = _by_name(table)
        taken = taken_names(list(columns), plan)
        elements = _elements(taken, plan)
        optional = {column.name for column in plan.columns if not column.is_required}
        return {
            name: _array(arrow, columns[name], name, elements.get(name))
            for name in taken
            # What is missing in every row is as one that was not sent.
            if not (name in optional and arrow.types.is_null(columns[name].type))
        }
    # Its errors for bytes that are broken derive from these; it has one for each way.
    except (arrow.ArrowException, OSError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise MalformedBody(f"The body cannot be read as {media_type}.") from error


def _by_name(table: Any) -> dict[str, Any]:
    names = [str(name) for name in table.column_names]
    if len(set(names)) < len(names):
        raise InputMismatch("A column is named twice: name each column once.")
    columns = zip(names, table.columns, strict=True)
    return {name: column for name, column in columns if not name.startswith(_INDEX_PREFIX)}


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
    check_promised(file)
    text = paths_of_text(file)
    file = parquet.ParquetFile(io.BytesIO(body), memory_map=False, read_dictionary=text)
    batches = []
    for batch in file.iter_batches(rows_at_once(file), use_threads=False):
        batches.append(batch)
        check_size(0, sum(one.nbytes for one in batches))
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
        check_size(cells, size_bytes)
        batch.validate(full=True)  # before anything follows its offsets: they may lead anywhere
        size_bytes += batch.nbytes
        check_size(cells, size_bytes)
        kept.append(batch)
    return arrow.Table.from_batches(kept, schema=schema)


def _elements(names: Sequence[str], plan: Plan) -> dict[str, Element]:
    """Return what the model takes of a table, by the table's names."""
    if len(plan.tensors) == 1:
        return dict.fromkeys(names, plan.tensors[0].element)
    if plan.columns and not plan.names and len(plan.columns) == len(names):
        return {name: column.element for name, column in zip(names, plan.columns, strict=True)}
    items: tuple[Column | Tensor, ...] = (*plan.columns, *plan.tensors)
    return {item.name: item.element for item in items}


def _array(arrow: Any, column: Any, name: str, element: Element | None) -> NDArray[Any]:
    types = arrow.types
    is_nested = element is not None and element.kind is Kind.NESTED
    if is_nested or holds_others(arrow, column.type):
        return _nested(plain_values(arrow, column, name), element)
    column = _of_own_type(arrow, column, element)
    kind = column.type
    if types.is_string(kind) or types.is_large_string(kind) or is_bytes(types, kind):
        return objects(column.to_pylist())
    if types.is_timestamp(kind) or types.is_date(kind):
        return _moments(arrow, column, name)
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind):
        return _numbers(arrow, column, name, element)
    raise InvalidRequest(f"Column {shown(name)} has a type that no request can carry.")


def _numbers(arrow: Any, column: Any, name: str, element: Element | None) -> NDArray[Any]:
    types, kind = arrow.types, column.type
    if types.is_floating(kind):
        return _filled(arrow, column, numbers_of(column), np.nan)
    if types.is_integer(kind) and element is not None and element.kind is Kind.FLOATING:
        return _floats(arrow, column, element, name)
    if column.null_count:
        message = f"Column {shown(name)} has a missing value, which its type does not take."
        raise InputMismatch(message)
    if types.is_boolean(kind):
        return numbers_of(column.cast(arrow.uint8())).view(np.bool_)
    return numbers_of(column)


def _filled(arrow: Any, column: Any, values: NDArray[Any], missing: Any) -> NDArray[Any]:
    if column.null_count:
        values[gaps_of(arrow, column)] = missing
    return values


def _nested(values: list[Any], element: Element | None) -> NDArray[Any]:
    """Return values that hold others; text for ``any`` as JSON, which is read as such later."""
    if element is not None and element.label == "any":
        values = [msgspec.json.encode(value) if type(value) is str else value for value in values]
    return objects(values)


def _moments(arrow: Any, column: Any, name: str) -> NDArray[Any]:
    try:
        column = column.cast(arrow.timestamp("ns")).cast(arrow.int64())
    except arrow.ArrowInvalid as error:
        raise InputMismatch(f"Column {shown(name)}: expected {MOMENTS}, got another.") from error
    values = _filled(arrow, column, numbers_of(column), _NAT)
    return values.view("datetime64[ns]")


def _floats(arrow: Any, column: Any, element: Element, name: str) -> NDArray[Any]:
    """Return integers for a column of floats: as they are, or with NaN where one is missing."""
    values = numbers_of(column)
    if not column.null_count:
        return values
    held = widened(_filled(arrow, column, values, 0), element)
    if held is None:
        message = f"Column {shown(name)} holds integers that {element.label} does not hold exactly"
        raise InputMismatch(f"{message}: send floats.")
    return _filled(arrow, column, held, np.nan)


def _of_own_type(arrow: Any, column: Any, element: Element | None) -> Any:
    """Return categories, views and decimals as what they are, and nothing as missing values."""
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind) and not holds_others(arrow, kind.value_type):
        return column.cast(kind.value_type)
    if types.is_string_view(kind) or types.is_binary_view(kind):
        return column.cast(unviewed(arrow, kind))
    if types.is_decimal(kind) and element is not None and element.kind is Kind.FLOATING:
        return column.cast(arrow.float64()).cast(arrow.from_numpy_dtype(element.dtype), safe=False)
    if not types.is_null(kind):
        return column
    if element is None or element.kind in (Kind.TEXT, Kind.BINARY):
        return column.cast(arrow.string())
    is_moment = element.kind is Kind.DATETIME
    return column.cast(
        arrow.timestamp("ns") if is_moment else arrow.from_numpy_dtype(element.dtype)
    )
