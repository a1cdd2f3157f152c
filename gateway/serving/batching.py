"""Which waiting requests go to the model together, and how rows are joined and parted. Pure.

Called by ``runner`` on the event loop.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from registry.tensors import Batch, Prediction
from tracking.errors import InvalidRequest


class Merged(StrEnum):
    """Which requests for a version may share a call of the model."""

    NEVER = "never"
    """None: its answer to a row may depend on the rows beside it."""
    PLAIN = "plain"
    """Those without params: for such calls it was proved that each row is answered for itself."""
    ALWAYS = "always"
    """All that ask for the same: each row is answered for itself, whatever is asked."""


class Merging(Struct, frozen=True):
    """What is known of the rows of a version.

    Args:
        which: Which requests may share a call.
        why: Why not all.
    """

    which: Merged = Merged.NEVER
    why: str = ""


class Layout(Struct, frozen=True):
    """What two requests must share to go in one call. Immutable, hashable.

    Args:
        is_matrix: Matrix or columns.
        names: Of the columns.
        columns: Of each array its type and the shape of one row.
        params: What is asked besides rows, as msgpack.
        alone: Other than 0 for one that goes in no call with another.
    """

    is_matrix: bool
    names: tuple[str, ...]
    columns: tuple[tuple[str, tuple[int, ...]], ...]
    params: bytes
    alone: int = 0


def describe(batch: Batch, params: Mapping[str, Any]) -> Layout:
    """Return the layout of a request.

    Raises:
        InvalidRequest: The params hold something that is no plain data.
    """
    columns = tuple((array.dtype.str, array.shape[1:]) for array in batch.arrays)
    return Layout(batch.is_matrix, batch.names, columns, _encode_params(params))


def choose(
    waiting: Iterable[tuple[Layout, int]], *, max_rows: int, max_requests: int = sys.maxsize
) -> list[int]:
    """Choose who goes now: the first, and whoever behind it fits it.

    Args:
        waiting: Layout and number of rows of each request, the longest waiting first.
        max_rows: Cap on the rows of one call; the first goes even when it is alone above it.
        max_requests: Cap on the requests.

    Returns:
        Positions in ``waiting``, ascending; empty only when nobody waits.
    """
    chosen: list[int] = []
    first: Layout | None = None
    total = 0
    for position, (layout, rows) in enumerate(waiting):
        if first is None:
            first = layout
        elif layout != first or total + rows > max_rows:
            continue
        chosen.append(position)
        total += rows
        if total >= max_rows or len(chosen) >= max_requests:
            break
    return chosen


def join(batches: Sequence[Batch]) -> Batch:
    """Put the rows of batches of one layout under each other, in order."""
    if len(batches) == 1:
        return batches[0]
    columns = zip(*(batch.arrays for batch in batches), strict=True)
    arrays = tuple(np.concatenate(column) for column in columns)
    return Batch(batches[0].names, arrays, batches[0].is_matrix)


def part(prediction: Prediction, rows: Sequence[int]) -> list[Prediction]:
    """Cut an answer into pieces of so many rows each, in order."""
    if len(rows) == 1:
        return [prediction]
    pieces, start = [], 0
    for count in rows:
        arrays = tuple(array[start : start + count] for array in prediction.arrays)
        pieces.append(replace(prediction, arrays=arrays))
        start += count
    return pieces


def _encode_params(params: Mapping[str, Any]) -> bytes:
    if not params:
        return b""
    try:
        return msgspec.msgpack.encode(dict(params))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        message = "The params hold a value that is no plain data: use text, numbers and lists."
        raise InvalidRequest(message) from error
