"""A model's example input: written when it is saved, read to warm it up. No pandas needed to read.

Files, as MLflow writes them: ``input_example.json``, and ``serving_input_example.json``, which is
the body of a scoring call.
"""

import base64
import datetime as dt
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from registry.model_folder import ModelConfig
from registry.signature import NESTED_TYPES, ColumnSpec, Signature, TensorSpec
from registry.tensors import Batch
from tracking.errors import InvalidRequest

_EXAMPLE = "input_example.json"
SERVING_EXAMPLE = "serving_input_example.json"
"""The example as the body of a scoring call."""
_MAX_BYTES = 16 << 20

_DTYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "datetime": "datetime64[ns]",
}


class UnreadableExample(UserWarning):
    """A model has an input example, and its file is broken or missing."""


def write_input_example(folder: Path, example: Any) -> dict[str, str]:
    """Write an example and return the ``saved_input_example_info`` entry of the MLmodel file.

    Args:
        folder: The model folder.
        example: A DataFrame, a list of dicts (rows), a mapping of name to array, or an array.

    Raises:
        InvalidRequest: The example holds something that has no JSON.
    """
    info = {"artifact_path": _EXAMPLE, "serving_input_path": SERVING_EXAMPLE}
    table = _as_table(example)
    if table is not None:
        body: Any = table
        serving = {"dataframe_split": table}
        info |= {"type": "dataframe", "pandas_orient": "split"}
    else:
        body = _plain(example)
        serving = {"inputs": body}
        info |= {"type": "ndarray"}
    (folder / _EXAMPLE).write_bytes(msgspec.json.encode(body))
    (folder / SERVING_EXAMPLE).write_bytes(msgspec.json.encode(serving))
    return info


def read_input_example(folder: Path, config: ModelConfig) -> Batch | None:
    """Read the example of a folder; ``None`` when there is none or it is of a kind not for warming.

    One that cannot be read is none, with a warning: the model can be used all the same.

    Raises:
        InvalidRequest: It does not fit the signature.
    """
    info = config.saved_input_example_info
    if not info or info.get("type") not in {"dataframe", "ndarray"}:
        return None
    path = folder / Path(str(info.get("artifact_path", _EXAMPLE))).name
    try:
        body = _read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error  # whose text has the path
        told = f"The input example {path.name!r} cannot be read ({why}): the model is not warmed."
        warnings.warn(told, UnreadableExample, stacklevel=2)
        return None
    try:
        if info["type"] == "dataframe":
            return _table_batch(body, config.signature)
        return _tensor_batch(body, config.signature)
    except (LookupError, TypeError, ValueError) as error:
        raise InvalidRequest(
            f"The input example does not fit the model's signature ({type(error).__name__}): "
            "save the model again with an example of the rows it takes."
        ) from error


def _as_table(example: Any) -> dict[str, Any] | None:
    if hasattr(example, "to_frame"):
        example = example.to_frame()
    if hasattr(example, "columns"):
        rows = zip(*(example[name] for name in example.columns), strict=True)
        return {"columns": [_plain(name) for name in example.columns], "data": _plain(list(rows))}
    if isinstance(example, list) and example and isinstance(example[0], Mapping):
        names = list(dict.fromkeys(name for row in example for name in row))
        return {
            "columns": names,
            "data": [[_plain(row.get(name)) for name in names] for row in example],
        }
    return None


def _plain(value: Any) -> Any:
    """Turn arrays, numpy scalars, times, bytes and missing values into what JSON has."""
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype.kind in "mM":
            array = np.datetime_as_string(array)
        return _plain(array.astype(object).tolist())
    if hasattr(value, "toarray"):
        return _plain(value.toarray())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    raise InvalidRequest(f"An input example cannot hold a {type(value).__name__!r}.")


def _read_json(path: Path) -> Any:
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError(f"it is over {_MAX_BYTES} bytes")
    # Python's own parser: MLflow writes a missing number as the bare word NaN.
    return json.loads(path.read_bytes())


def _table_batch(body: Mapping[str, Any], signature: Signature | None) -> Batch:
    data = body["data"]
    names = tuple(str(name) for name in body.get("columns", range(len(data[0]))))
    types = {
        spec.name: spec.type
        for spec in (signature.inputs if signature else ())
        if isinstance(spec, ColumnSpec)
    }
    columns = list(zip(*data, strict=True))
    arrays = tuple(column_array(columns[at], types.get(name)) for at, name in enumerate(names))
    if len({array.dtype for array in arrays}) == 1 and arrays[0].dtype.kind in "iuf":
        return Batch(names=names, arrays=(np.column_stack(arrays),), is_matrix=True)
    return Batch(names=names, arrays=arrays, is_matrix=False)


def column_array(values: Sequence[Any], type_name: str | None) -> NDArray[Any]:
    """Return one column as an array of shape (rows,).

    Args:
        values: JSON values; ``None`` is a missing one, and so is NaN, as pandas has them.
        type_name: One of ``COLUMN_TYPES``, or none to tell it from the values.

    Raises:
        ValueError: A value is not of that type.
    """
    if type_name not in {"float", "double"}:
        values = [None if value != value else value for value in values]  # noqa: PLR0124 - NaN
    if type_name == "binary":
        return _objects([value and base64.b64decode(value) for value in values])
    if type_name == "string" or type_name in NESTED_TYPES:
        return _objects(values)
    if type_name is None:
        return _told_by_values(values)
    has_missing = any(value is None for value in values)
    if has_missing and type_name in {"boolean", "integer", "long"}:
        return _objects(values)
    return np.asarray(values, dtype=_DTYPES[type_name])


def _told_by_values(values: Sequence[Any]) -> NDArray[Any]:
    kinds = set(map(type, values))
    if kinds & {list, dict}:
        return _objects(values)
    if kinds <= {int, float, NoneType} and kinds != {int}:
        return np.asarray(values, dtype=np.float64)
    found = np.asarray(values)
    return _objects(values) if found.dtype.kind in "UO" else found


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    return np.fromiter(values, dtype=object, count=len(values))


def _tensor_batch(body: Any, signature: Signature | None) -> Batch:
    if isinstance(body, Mapping) and set(body) == {"inputs"}:
        body = body["inputs"]
    specs = [
        spec for spec in (signature.inputs if signature else ()) if isinstance(spec, TensorSpec)
    ]
    if isinstance(body, Mapping):
        dtypes = {spec.name: spec.dtype for spec in specs}
        arrays = tuple(_tensor(value, dtypes.get(name)) for name, value in body.items())
        return Batch(names=tuple(body), arrays=arrays, is_matrix=False)
    array = _tensor(body, specs[0].dtype if len(specs) == 1 else None)
    if not array.ndim:
        raise ValueError(array.ndim)
    return Batch(names=(), arrays=(array,), is_matrix=True)


def _tensor(value: Any, dtype: str | None) -> NDArray[Any]:
    if dtype in {"str", "object"}:
        return np.asarray(value, dtype=object)
    return np.asarray(value, dtype=dtype)
