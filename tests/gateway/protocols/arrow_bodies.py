"""Tables as the bodies of Parquet and Arrow."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.protocols.media import ARROW_STREAM, PARQUET


def arrow_body(table: pa.Table, media_type: str, **options: Any) -> bytes:
    """Write a table; in Arrow in batches of two rows."""
    stream = io.BytesIO()
    if media_type == PARQUET:
        pq.write_table(table, stream, **options)
        return stream.getvalue()
    make = pa.ipc.new_stream if media_type == ARROW_STREAM else pa.ipc.new_file
    with make(stream, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=2)
    return stream.getvalue()
