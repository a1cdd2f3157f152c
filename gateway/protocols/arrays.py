"""Named arrays of a declared type to a ``Batch`` that fits the signature. Pure.

Called by ``v2_rest.py``. Types widen where no value can change (FP32 to double, INT32 to long);
anything else is refused.
"""

from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.conform import check_names, conform_columns, stack, taken_names
from gateway.protocols.datatypes import datatype_of
from gateway.protocols.elements import Element, Kind, convert, expected
from gateway.protocols.nested import read_nested
from gateway.protocols.plan import Plan
from gateway.protocols.refusals import in_column, json_name, mismatch, shown
from gateway.protocols.tensors import check_shape, combined, single
from gateway.protocols.widening import widened
from registry.tensors import Batch
from tracking.errors import InputMismatch

_ROWS, _ROWS_OF_ONE = 1, 2


def conform_arrays(arrays: Mapping[str, NDArray[Any]], plan: Plan) -> Batch:
    """Turn named arrays into a batch.

    Args:
        arrays: Each with rows on its first axis; for a table one per column, of shape (rows,) or
            (rows, 1), or all of it as one array of shape (rows, columns).
        plan: What the model takes.

    Raises:
        InputMismatch: Names, shapes or types do not fit.
    """
    if plan.columns:
        return _table(arrays, plan)
    if plan.tensors:
        return _tensors(arrays, plan)
    return combined(list(arrays), list(arrays.values()))


def conform_inputs(arrays: Mapping[str, NDArray[Any]], plan: Plan) -> Batch:
    """Turn the inputs of a v2 request into a batch.

    A model with one input takes one by any name: some clients number what they send.

    Raises:
        InputMismatch: Names, shapes or types do not fit.
    """
    if len(arrays) == len(plan.columns) == 1:
        arrays = dict(zip([plan.columns[0].name], arrays.values(), strict=True))
    return conform_arrays(arrays, plan)


def conform_table(arrays: Mapping[str, NDArray[Any]], plan: Plan) -> Batch:
    """Turn the columns of a table into a batch, as the same rows in JSON become one.

    Args:
        arrays: One per column, of shape (rows,).
        plan: What the model takes.

    Raises:
        InputMismatch: Names or types do not fit.
    """
    if plan.names:
        return conform_arrays(
            {name: arrays[name] for name in taken_names(list(arrays), plan)}, plan
        )
    if plan.columns:
        return conform_arrays(_by_position(arrays, plan), plan)
    is_number = all(array.dtype.kind in "iuf" for array in arrays.values())
    if plan.tensors:
        return _table_to_tensors(arrays, plan, is_number=is_number)
    if not is_number:
        return Batch(tuple(arrays), tuple(arrays.values()), is_matrix=False)
    return Batch(tuple(arrays), (np.stack([*arrays.values()], axis=1),), is_matrix=True)


def _table_to_tensors(arrays: Mapping[str, NDArray[Any]], plan: Plan, *, is_number: bool) -> Batch:
    if any(_holds_lists(array) for array in arrays.values()):
        return conform_columns({name: array.tolist() for name, array in arrays.items()}, plan)
    if is_number and plan.matrix is not None and plan.tensors[0].name not in arrays:
        matrix = np.stack([*arrays.values()], axis=1)
        return conform_arrays({plan.tensors[0].name: matrix}, plan)
    return conform_arrays(arrays, plan)


def _holds_lists(array: NDArray[Any]) -> bool:
    return array.dtype.kind == "O" and isinstance(array[0], list)


def _by_position(arrays: Mapping[str, NDArray[Any]], plan: Plan) -> dict[str, NDArray[Any]]:
    if len(arrays) != len(plan.columns):
        raise mismatch("The table", f"{len(plan.columns)} columns", str(len(arrays)))
    pairs = zip(plan.columns, arrays.values(), strict=True)
    return {column.name: array for column, array in pairs}


def _table(arrays: Mapping[str, NDArray[Any]], plan: Plan) -> Batch:
    first_name, first = next(iter(arrays.items()))
    if len(arrays) == 1 and plan.matrix is not None and first.shape[1:] == (plan.width,):
        matrix = _cast(first, plan.columns[0].element, first_name)
        return Batch(plan.names, (matrix,), is_matrix=True)
    check_names(list(arrays), plan)
    given = [column for column in plan.columns if column.name in arrays]
    made = [_cast(_flat(arrays[c.name], c.name), c.element, c.name) for c in given]
    for column, array in zip(given, made, strict=True):
        if len(array) != len(made[0]):
            want = f"{len(made[0])} rows as in {shown(given[0].name)}"
            raise mismatch(f"Input {shown(column.name)}", want, str(len(array)))
    return stack(given, made, is_named=bool(plan.names))


def _tensors(arrays: Mapping[str, NDArray[Any]], plan: Plan) -> Batch:
    if len(plan.tensors) == len(arrays) == 1:
        arrays = {plan.tensors[0].name: next(iter(arrays.values()))}
    check_names(list(arrays), plan)
    made = []
    for tensor in plan.tensors:
        array = arrays[tensor.name]
        check_shape(array.shape, tensor)
        made.append(_cast(array, tensor.element, tensor.name))
    if len(made) == 1:
        return single(made[0])
    return combined([tensor.name for tensor in plan.tensors], made)


def _flat(array: NDArray[Any], name: str) -> NDArray[Any]:
    is_column = array.ndim == _ROWS or (array.ndim == _ROWS_OF_ONE and array.shape[1] == 1)
    if not is_column:
        got = f"shape {list(array.shape)}"
        raise mismatch(f"Input {shown(name)}", "shape [rows] or [rows, 1]", got)
    return array.reshape(-1)


def _cast(array: NDArray[Any], element: Element, name: str) -> NDArray[Any]:
    if element.kind is Kind.NESTED:
        return _nested(array, element, name)
    if element.kind is Kind.TEXT and array.dtype.kind == "O":
        return _texts(array, element, name)
    if array.dtype == element.dtype and element.kind is not Kind.BINARY:
        return array
    if element.kind is Kind.BINARY and set(map(type, array.flat)) <= {bytes, NoneType}:
        return array
    if element.kind in (Kind.BINARY, Kind.DATETIME) and array.dtype.kind == "O":
        return convert(array.ravel().tolist(), element, in_column(name)).reshape(array.shape)
    wider = widened(array, element)
    if wider is not None:
        return wider
    raise _wrong_type(array.dtype, element, name)


def _texts(array: NDArray[Any], element: Element, name: str) -> NDArray[Any]:
    allowed = {str, NoneType} if element.allows_null else {str}
    if not set(map(type, array.flat)) <= allowed:
        row, value = next((i, v) for i, v in enumerate(array.flat) if type(v) not in allowed)
        raise mismatch(in_column(name)(row), expected(element), json_name(type(value)))
    return array


def _nested(array: NDArray[Any], element: Element, name: str) -> NDArray[Any]:
    """Read lists and objects; in a tensor of text they stand as JSON."""
    if array.dtype.kind != "O":
        raise _wrong_type(array.dtype, element, name)
    where = in_column(name)
    values = [
        read_nested(value, where(row)) if value and isinstance(value, str | bytes) else value
        for row, value in enumerate(array.ravel().tolist())
    ]
    return convert(values, element, where).reshape(array.shape)


def _wrong_type(dtype: np.dtype[Any], element: Element, name: str) -> InputMismatch:
    want = f"{datatype_of(element.dtype)} ({element.label})"
    got = "moments" if dtype.kind == "M" else datatype_of(dtype)
    return mismatch(f"Input {shown(name)}", want, got)
