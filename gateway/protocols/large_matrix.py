"""The fastest way in for many numbers: from the bytes of a JSON body into one array, by simdjson.

Called by ``mlflow_scoring.py`` for bodies from ``LEAST_BYTES`` on; ``matrix.py`` makes Python
numbers first, which takes two to six times as long. Pure. It gives the batch only where nothing is
to be doubted, and otherwise says ``None``: then others look again.
"""

import threading
from typing import Any, NamedTuple

import numpy as np
import simdjson
from numpy.typing import NDArray

from gateway.protocols.plan import Plan
from registry.tensors import Batch

LEAST_BYTES = 1_024
"""Below that there is nothing to win."""

_BY_POSITION = frozenset({"instances", "inputs"})
_SPLIT = "dataframe_split"
_SPLIT_KEYS = ["columns", "data"]
_FLOAT64 = np.dtype(np.float64)
_OPENING, _COMMA = b"[,"


class _Own(threading.local):
    """A parser for each thread: its memory is used again, which halves the time."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_own = _Own()


def large_matrix(body: bytes, plan: Plan) -> Batch | None:
    """Return the rows of a body that holds nothing else, under one of MLflow's names for them.

    Args:
        body: UTF-8, within the caps.
        plan: One whose model takes a matrix of doubles.
    """
    if plan.matrix != _FLOAT64:
        return None
    try:
        array = _read(_own.parser.parse(body), body, plan)
    except (ValueError, TypeError, RuntimeError, UnicodeDecodeError, MemoryError):
        return None  # no JSON, or no numbers, or too large ones
    if array is None:
        return None
    return Batch(plan.names, (array,), is_matrix=True)


def _read(document: object, body: bytes, plan: Plan) -> NDArray[Any] | None:
    if not isinstance(document, simdjson.Object) or len(document) != 1:
        return None
    (name,) = document.keys()
    value: Any = document[name]
    if name in _BY_POSITION:
        return _rows(value, _Brackets(body, before=1, after=0), plan.width)
    if name != _SPLIT or not isinstance(value, simdjson.Object):
        return None
    keys = list(value.keys())
    if sorted(keys) != _SPLIT_KEYS:
        return None
    columns: Any = value["columns"]
    data: Any = value["data"]
    if columns.as_list() != list(plan.names):
        return None
    is_last = keys[1] == "data"
    brackets = _Brackets(body, before=2, after=0) if is_last else _Brackets(body, before=1, after=1)
    return _rows(data, brackets, plan.width)


class _Brackets(NamedTuple):
    """The opening brackets that a body must have, beside one for each row."""

    body: bytes
    before: int
    after: int


def _rows(rows: Any, brackets: _Brackets, width: int) -> NDArray[Any] | None:
    """Return an array of rows of numbers.

    Args:
        rows: simdjson's array.
        brackets: What it was read from.
        width: Of a row.
    """
    count = len(rows)
    if not count or not _are_alike(count, brackets, width):
        return None
    flat = np.frombuffer(rows.as_buffer(of_type="d"), _FLOAT64)
    return flat.reshape(count, width) if len(flat) == count * width else None


def _are_alike(count: int, brackets: _Brackets, width: int) -> bool:
    """Say whether rows are as long as the model is wide; the last one, if its numbers fit in.

    A flattened array does not tell how it was nested. So the body must have no bracket that is not
    a row's, and from row to row as many commas as a row has numbers. A bracket in a text only sends
    the body the other way. (Asking simdjson for the length of each row takes five times as long.)
    """
    bytes_ = np.frombuffer(brackets.body, np.uint8)
    opening = np.flatnonzero(bytes_ == _OPENING)
    if len(opening) != brackets.before + count + brackets.after:
        return False
    starts = opening[brackets.before : brackets.before + count]
    commas = np.searchsorted(np.flatnonzero(bytes_ == _COMMA), starts)
    return bool((np.diff(commas) == width).all())
