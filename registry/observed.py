"""A signature worked out from data: what went into a model and what came out of it. Pure.

Called by the SDK when a model is logged with an example and without a signature.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.signature import ColumnSpec, Signature, TensorSpec
from tracking.errors import InvalidRequest

_INT32_BYTES = 4
_INT64_BYTES = 8

Specs = tuple[ColumnSpec | TensorSpec, ...]


def infer_signature(inputs: Any = None, outputs: Any = None) -> Signature:
    """Work out a signature from a sample of inputs and of outputs.

    Args:
        inputs: An array with rows on its first axis, a DataFrame or Series, a list of dicts (rows),
            a mapping of name to array, a list of scalars, or none.
        outputs: The same.

    Raises:
        InvalidRequest: The data have another shape, or no rows, or values of no single type.
    """
    return Signature(
        inputs=() if inputs is None else _specs(inputs),
        outputs=() if outputs is None else _specs(outputs),
    )


def column_type(values: NDArray[Any]) -> str:
    """Return the column type (one of ``COLUMN_TYPES``) of an array of shape (rows,).

    Raises:
        InvalidRequest: No column type holds these values.
    """
    if values.dtype.kind == "O":
        return _object_type(values)
    return _plain_type(values.dtype)


def _specs(data: Any) -> Specs:
    if hasattr(data, "to_frame"):
        return (_column(np.asarray(data), None if data.name is None else str(data.name)),)
    if hasattr(data, "columns"):
        return _table({str(name): np.asarray(data[name]) for name in data.columns})
    if isinstance(data, np.ndarray):
        return (_tensor(data, None),)
    if hasattr(data, "toarray"):
        return (_tensor(data[:1].toarray(), None),)
    if isinstance(data, Mapping):
        return tuple(_tensor(np.asarray(array), str(name)) for name, array in data.items())
    if isinstance(data, Sequence) and not isinstance(data, str | bytes) and data:
        return _listed(data)
    raise InvalidRequest(
        f"No signature can be inferred from {type(data).__name__!r}: "
        "use an array, a DataFrame, a list of dicts, or a mapping of arrays."
    )


def _listed(data: Sequence[Any]) -> Specs:
    if isinstance(data[0], Mapping):
        names = list(dict.fromkeys(name for row in data for name in row))
        return _table({str(name): _gather([row.get(name) for row in data]) for name in names})
    if isinstance(data[0], Sequence) and not isinstance(data[0], str | bytes):
        return (_tensor(np.asarray(data), None),)
    return (_column(_gather(list(data)), None),)


def _gather(values: list[Any]) -> NDArray[Any]:
    gathered = np.empty(len(values), dtype=object)
    gathered[:] = values
    return gathered


def _table(columns: Mapping[str, NDArray[Any]]) -> Specs:
    return tuple(_column(values, name) for name, values in columns.items())


def _column(values: NDArray[Any], name: str | None) -> ColumnSpec:
    try:
        return ColumnSpec(column_type(values), name=name, required=not _has_missing(values))
    except InvalidRequest as error:
        raise InvalidRequest(f"Column {name!r}: {error.message}") from error


def _tensor(array: NDArray[Any], name: str | None) -> TensorSpec:
    if array.ndim == 0:
        raise InvalidRequest(f"Input {name or 'without a name'!r} has no rows: give an array.")
    kind = array.dtype.kind
    dtype = "str" if kind in {"U", "O"} else array.dtype.name
    return TensorSpec(dtype=dtype, shape=(-1, *array.shape[1:]), name=name)


def _has_missing(values: NDArray[Any]) -> bool:
    if values.dtype.kind in "fmM":
        return bool(np.isnan(values).any() if values.dtype.kind == "f" else np.isnat(values).any())
    return values.dtype.kind == "O" and any(_is_missing(value) for value in values.tolist())


def _is_missing(value: Any) -> bool:
    # NaN is the one value that differs from itself; pandas' NA answers with neither yes nor no.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)  # noqa: PLR0124


def _object_type(values: NDArray[Any]) -> str:
    present = [value for value in values.tolist() if not _is_missing(value)]
    if not present:
        raise InvalidRequest("it holds no value to tell a type from.")
    found = {_plain_type(np.asarray(value).dtype) for value in present}
    if len(found) == 1:
        return found.pop()
    if found <= {"integer", "long", "float", "double"}:
        return "double" if found & {"float", "double"} else "long"
    raise InvalidRequest(f"it holds values of several types: {', '.join(sorted(found))}.")


def _plain_type(dtype: np.dtype[Any]) -> str:
    kind, size_bytes = dtype.kind, dtype.itemsize
    is_signed = kind == "i"
    if kind in "iu" and size_bytes < _INT64_BYTES + is_signed:
        return "integer" if size_bytes < _INT32_BYTES + is_signed else "long"
    if kind == "f" and size_bytes <= _INT64_BYTES:
        return "float" if size_bytes <= _INT32_BYTES else "double"
    named = {"b": "boolean", "U": "string", "S": "binary", "M": "datetime"}.get(kind)
    if named is None:
        raise InvalidRequest(f"no column type holds values of dtype {dtype.name!r}.")
    return named
