"""Bodies that a model takes, for its OpenAPI document: its own input example, in every shape. Pure.

A model that was saved without an example, or with one that does not fit, gets made-up values.
Called by ``model_openapi.py``.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.protocols import mlflow_scoring
from gateway.protocols.datatypes import datatype_of
from gateway.protocols.elements import COLUMN_ELEMENTS, Element, Kind
from gateway.protocols.plan import Plan, plan_for
from registry.signature import Nested, Signature
from registry.tensors import Batch
from tracking.errors import StagedoorError

_MOST_ROWS = 2
_MOST_VALUES = 2_000
"""An example with more is of no use to a reader."""

_MADE_UP: Mapping[Kind, Any] = {
    Kind.FLOATING: 0.5,
    Kind.INTEGER: 1,
    Kind.BOOLEAN: True,
    Kind.TEXT: "text",
    Kind.BINARY: b"bytes",
    Kind.DATETIME: np.datetime64("2026-01-31T12:00:00"),
}


class Sample(Struct, frozen=True):
    """A few rows that a model takes, by column or by tensor. Immutable.

    Args:
        names: Of columns or tensors; empty where rows go by position.
        arrays: One for each name; one of shape (rows, ...) where there is none.
    """

    names: tuple[str, ...]
    arrays: tuple[NDArray[Any], ...]


def sample_of(signature: Signature | None, serving_example: bytes | None) -> Sample | None:
    """Return rows that fit a model; ``None`` where nothing is known of what it takes.

    Args:
        signature: The model's, or none.
        serving_example: A scoring body that was saved with it, or none.
    """
    plan = plan_for(signature)
    batch = _from_example(serving_example, signature) or _made_up(plan)
    if batch is None:
        return None
    sample = _few(_named(batch, plan))
    return sample if sum(array.size for array in sample.arrays) <= _MOST_VALUES else None


def scoring_bodies(sample: Sample, *, is_table: bool) -> dict[str, Any]:
    """Return bodies of MLflow scoring, by the format they are in.

    Args:
        sample: The rows.
        is_table: Whether they are columns of one value a row, and not tensors.
    """
    columns = [_plain(array) for array in sample.arrays]
    if not sample.names:
        bodies = {"instances": columns[0], "inputs": columns[0]}
        return {"dataframe_split": {"data": columns[0]}, **bodies} if is_table else bodies
    rows = [list(row) for row in zip(*columns, strict=True)]
    records = [dict(zip(sample.names, row, strict=True)) for row in rows]
    bodies = {"instances": records, "inputs": dict(zip(sample.names, columns, strict=True))}
    if not is_table:
        return bodies
    split = {"columns": list(sample.names), "data": rows}
    return {"dataframe_split": split, "dataframe_records": records, **bodies}


def infer_body(sample: Sample) -> dict[str, Any] | None:
    """Return a body of v2; ``None`` where a value is missing, which v2 has no word for."""
    tensors = [_tensor(name, array) for name, array in _by_name(sample)]
    if any(value is None for tensor in tensors for value in tensor["data"]):
        return None
    return {"inputs": tensors}


def generate_body(sample: Sample, plan: Plan) -> dict[str, Any] | None:
    """Return a body of the generate extension: one row; ``None`` where inputs have no names."""
    names = sample.names or tuple(tensor.name for tensor in plan.tensors)
    if len(names) != len(sample.arrays):
        return None
    return {name: _plain(array)[0] for name, array in zip(names, sample.arrays, strict=True)}


def _from_example(serving_example: bytes | None, signature: Signature | None) -> Batch | None:
    if serving_example is None:
        return None
    try:
        request = mlflow_scoring.decode(serving_example, "application/json", signature)
    except StagedoorError:
        return None
    return request.batch if request.batch.rows else None


def _made_up(plan: Plan) -> Batch | None:
    if plan.columns:
        arrays = [_filled((1,), column.element) for column in plan.columns]
        return Batch(tuple(column.name for column in plan.columns), tuple(arrays), is_matrix=False)
    shapes = [tuple(1 if length < 0 else length for length in t.shape) for t in plan.tensors]
    if not shapes or sum(map(math.prod, shapes)) > _MOST_VALUES:
        return None
    arrays = [_filled(shape, t.element) for shape, t in zip(shapes, plan.tensors, strict=True)]
    return Batch(tuple(tensor.name for tensor in plan.tensors), tuple(arrays), is_matrix=False)


def _filled(shape: tuple[int, ...], element: Element) -> NDArray[Any]:
    array = np.empty(shape, element.dtype)
    if element.nested is not None:
        array.fill(_nested(element.nested))
    else:
        array[...] = _MADE_UP[element.kind]
    return array


def _nested(nested: Nested) -> Any:
    """Make up a value that holds others."""
    match nested.type:
        case "array":
            return [_nested(nested.items or Nested("any"))]
        case "map":
            return {"key": _nested(nested.values or Nested("any"))}
        case "object":
            return {name: _nested(held) for name, held in nested.properties.items()}
        case "binary" | "datetime":
            return ""
        case single:
            element = COLUMN_ELEMENTS.get(single)
            return _MADE_UP[element.kind] if element else {"key": "anything"}


def _named(batch: Batch, plan: Plan) -> Sample:
    """Take a batch apart by the names that the model has for its parts."""
    if plan.columns:
        columns = _columns_of(batch)
        if plan.names:
            return Sample(batch.names or plan.names, columns)
        return Sample((), (_stacked(columns),))
    if len(plan.tensors) == 1:
        return Sample((), batch.arrays[:1])
    return Sample(batch.names, batch.arrays) if not batch.is_matrix else Sample((), batch.arrays)


def _columns_of(batch: Batch) -> tuple[NDArray[Any], ...]:
    return tuple(batch.arrays[0].T) if batch.is_matrix else batch.arrays


def _stacked(columns: tuple[NDArray[Any], ...]) -> NDArray[Any]:
    if len({column.dtype for column in columns}) == 1:
        return np.stack(columns, axis=1)
    return np.stack([_texts(column).astype(object) for column in columns], axis=1)


def _few(sample: Sample) -> Sample:
    return Sample(sample.names, tuple(array[:_MOST_ROWS] for array in sample.arrays))


def _by_name(sample: Sample) -> list[tuple[str, NDArray[Any]]]:
    if sample.names:
        return list(zip(sample.names, sample.arrays, strict=True))
    only = sample.arrays[0]
    if only.dtype.kind != "O" or only.ndim == 1:
        return [("input", only)]
    return [(str(at), _narrowed(column)) for at, column in enumerate(only.T)]


def _narrowed(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column of mixed rows with the type of its own values, if they have one."""
    own = np.asarray(column.tolist())
    return column if own.dtype.kind in "US" else own


def _tensor(name: str, array: NDArray[Any]) -> dict[str, Any]:
    data = _plain(array.reshape(-1))
    if any(isinstance(value, list | dict) for value in data):
        data = [msgspec.json.encode(value).decode() for value in data]
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": datatype_of(array.dtype),
        "data": data,
    }


def _plain(array: NDArray[Any]) -> Any:
    """Return values as JSON has them; what is missing or not finite is ``null``."""
    return msgspec.json.decode(msgspec.json.encode(_texts(array).tolist()))


def _texts(array: NDArray[Any]) -> NDArray[Any]:
    """Return moments as ISO text, everything else as it is."""
    if array.dtype.kind != "M":
        return array
    texts: NDArray[Any] = np.datetime_as_string(array, unit="s").astype(object)
    texts[np.isnat(array)] = None
    return texts
