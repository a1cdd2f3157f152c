"""The fastest way in for many numbers: from the bytes of a JSON body into one array, by simdjson.

Called by ``mlflow_scoring.py`` for bodies from ``LEAST_BYTES`` on; ``matrix.py`` makes Python
numbers first, which takes two to six times as long. Pure. It gives the batch only where nothing is
to be doubted, and otherwise says ``None``: then others look again.
"""

from typing import Any

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


def large_matrix(body: bytes, plan: Plan) -> Batch | None:
    """Return the rows of a body that holds nothing else, under one of MLflow's names for them.

    Args:
        body: UTF-8, within the caps.
        plan: One whose model takes a matrix of doubles.
    """
    if plan.matrix != _FLOAT64:
        return None
    try:
        document = simdjson.Parser().parse(body)
        array = _read(document, body, plan)
    except (ValueError, TypeError, RuntimeError, UnicodeDecodeError, MemoryError):
        return None  # no JSON, or no numbers, or too large ones
    if array is None:
        return None
    return Batch(plan.names, (array,), is_matrix=True)


def _read(document: Any, body: bytes, plan: Plan) -> NDArray[Any] | None:
    keys = list(document.keys()) if isinstance(document, simdjson.Object) else []
    if len(keys) != 1:
        return None
    (name,) = keys
    value = document[name]
    if name in _BY_POSITION:
        return _rows(value, body, plan.width, others=0)
    if name != _SPLIT or not isinstance(value, simdjson.Object):
        return None
    if sorted(value.keys()) != _SPLIT_KEYS or value["columns"].as_list() != list(plan.names):
        return None
    return _rows(value["data"], body, plan.width, others=1)


def _rows(rows: Any, body: bytes, width: int, *, others: int) -> NDArray[Any] | None:
    """Return an array of rows of numbers.

    A flattened array does not tell how it was nested. So each row must be as long as the model is
    wide, and the body must have no bracket that is not a row's: a bracket in a text only sends the
    body the other way.

    Args:
        rows: simdjson's array.
        body: What it was read from.
        width: Of a row.
        others: Arrays of the body beside the rows and what holds them.
    """
    count = len(rows)
    if not count or body.count(b"[") != count + 1 + others:
        return None
    if any(len(row) != width for row in rows):
        return None
    flat = np.frombuffer(rows.as_buffer(of_type="d"), _FLOAT64)
    return flat.reshape(count, width) if len(flat) == count * width else None
