"""One column of values, as each format of ``docs/types.md`` says it: every body there is for it."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray

from gateway.protocols.call import ProtocolName
from gateway.protocols.datatypes import datatype_element
from gateway.protocols.media import ARROW_FILE, ARROW_STREAM, NPY, PARQUET
from gateway.protocols.raw_tensors import write_raw
from gateway.protocols.v2_grpc import CONTENTS
from gateway.protocols.v2_messages import message
from gateway.protocols.wires import BodyHead
from tests.gateway.protocols.arrow_bodies import arrow_body
from tests.gateway.protocols.type_rows import Row

JSON = BodyHead("application/json")


class Body(Struct, frozen=True):
    """A request.

    Args:
        name: Which way of its format it is.
        protocol: Who reads it.
        head: What its headers say.
        content: Its bytes.
        rows: Which rows it has.
    """

    name: str
    protocol: ProtocolName
    head: BodyHead
    content: bytes
    rows: slice = slice(None)


def json_bodies(row: Row, values: list[Any]) -> Iterator[Body]:
    told = [row.plain(value) for value in values]
    records = [{"c": value} for value in told]
    for name, document in {
        "records": {"dataframe_records": records},
        "split": {"dataframe_split": {"columns": ["c"], "data": [[value] for value in told]}},
        "instances": {"instances": records},
        "inputs": {"inputs": {"c": told}},
    }.items():
        yield Body(name, ProtocolName.MLFLOW, JSON, json.dumps(document).encode())
        if name in ("instances", "inputs"):
            yield Body(f"v1 {name}", ProtocolName.V1, JSON, json.dumps(document).encode())
    for index, record in enumerate(records):
        rows = slice(index, index + 1)
        yield Body("generate", ProtocolName.GENERATE, JSON, json.dumps(record).encode(), rows)


def csv_bodies(row: Row, values: list[Any]) -> Iterator[Body]:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(["c", "other"])  # a line with one empty cell would be an empty line
    writer.writerows([_cell(row, value), "1"] for value in values)
    body = stream.getvalue().encode()
    yield Body("CSV", ProtocolName.MLFLOW, BodyHead("text/csv"), body)


def arrow_bodies(row: Row, values: list[Any]) -> Iterator[Body]:
    is_zoned = pa.types.is_timestamp(row.arrow) if row.arrow else False
    made = pa.array(values, pa.timestamp("ns") if is_zoned else row.arrow)
    table = pa.table({"c": made.cast(row.arrow) if is_zoned else made})
    for media_type in (PARQUET, ARROW_STREAM, ARROW_FILE):
        body = arrow_body(table, media_type)
        yield Body(media_type, ProtocolName.MLFLOW, BodyHead(media_type), body)


def npy_bodies(row: Row, values: list[Any]) -> Iterator[Body]:
    stream = io.BytesIO()
    np.save(stream, _array(values, row.npy))
    yield Body("npy", ProtocolName.MLFLOW, BodyHead(NPY), stream.getvalue())


def v2_json_bodies(row: Row, values: list[Any]) -> Iterator[Body]:
    data = [_told(row, value) for value in values]
    for name, shape in {"flat": [len(data)], "one a row": [len(data), 1]}.items():
        tensor = {"name": "c", "shape": shape, "datatype": row.datatype, "data": data}
        yield Body(name, ProtocolName.V2, JSON, json.dumps({"inputs": [tensor]}).encode())


def v2_raw_bodies(row: Row, values: list[Any]) -> Iterator[Body]:
    raw = _raw(row, values)
    tensor = {
        "name": "c", "shape": [len(values)], "datatype": row.datatype,
        "parameters": {"binary_data_size": len(raw)},
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    length = BodyHead("application/octet-stream", str(len(head)))
    yield Body("raw", ProtocolName.V2, length, head + raw)


def grpc_bodies(row: Row, values: list[Any]) -> Iterator[Body]:
    tensor = {"name": "c", "shape": [len(values)], "datatype": row.datatype}
    typed = message("ModelInferRequest")(inputs=[tensor])
    if row.datatype in CONTENTS:
        field = getattr(typed.inputs[0].contents, CONTENTS[row.datatype])
        field.extend(_elements(row, values) if row.datatype == "BYTES" else _floated(values))
        yield Body("typed", ProtocolName.V2_GRPC, BodyHead(), typed.SerializeToString())
    raw = message("ModelInferRequest")(inputs=[tensor], raw_input_contents=[_raw(row, values)])
    yield Body("raw", ProtocolName.V2_GRPC, BodyHead(), raw.SerializeToString())


WRITERS: dict[str, Callable[[Row, list[Any]], Iterator[Body]]] = {
    "JSON": json_bodies,
    "CSV": csv_bodies,
    "Parquet, Arrow": arrow_bodies,
    "`.npy`": npy_bodies,
    "v2 JSON": v2_json_bodies,
    "v2 raw": v2_raw_bodies,
    "v2 gRPC": grpc_bodies,
}
"""By format, what writes a column in each of its ways."""


def _cell(row: Row, value: Any) -> Any:
    told = row.plain(value)
    if row.spec.nested is not None or row.spec.type == "any":
        return json.dumps(told)
    return "" if told is None else repr(told) if isinstance(told, float) else told


def _told(row: Row, value: Any) -> Any:
    """Return an element of v2's ``data``."""
    is_nested = row.spec.nested is not None or row.spec.type == "any"
    return json.dumps(row.plain(value)) if is_nested else row.plain(value)


def _elements(row: Row, values: list[Any]) -> list[bytes]:
    """Return the elements of BYTES."""
    if row.raw is None:
        return [json.dumps(row.plain(value)).encode() for value in values]
    return [row.raw(value) for value in values]


def _floated(values: list[Any]) -> list[Any]:
    return [np.nan if value is None else value for value in values]


def _raw(row: Row, values: list[Any]) -> bytes:
    if row.datatype == "BYTES":
        return write_raw(_array(_elements(row, values), "O"), name="c")
    return _array(values, datatype_element(row.datatype).dtype.str).tobytes()


def _array(values: list[Any], dtype: str) -> NDArray[Any]:
    if dtype == "O":
        return np.fromiter(values, dtype=object, count=len(values))
    return np.array(_floated(values) if dtype.startswith("<f") else values, dtype)
