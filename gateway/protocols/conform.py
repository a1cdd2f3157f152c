"""JSON rows, records and columns to a ``Batch`` that fits the signature. Pure.

Called by ``mlflow_scoring.py`` for whatever its typed decoder does not take as it is: tables of
several types, optional columns, models without a signature, and every request that will be
refused. A refusal names column, row, what was expected and what kind came; never a value.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.elements import Element, convert, infer_element
from gateway.protocols.plan import Column, Plan, Tensor, common_number
from gateway.protocols.refusals import in_column, json_name, listed, mismatch, no_rows, shown
from gateway.protocols.tensors import conform_named_tensors, conform_tensor
from registry.tensors import Batch
from tracking.errors import InputMismatch


def conform_rows(rows: list[Any], names: Sequence[str] | None, plan: Plan) -> Batch:
    """Turn rows of values into a batch.

    Args:
        rows: What stood in the body; lists of the same length, if all is well.
        names: What the caller calls the columns; ``None`` if they go by position.
        plan: What the model takes.

    Raises:
        InputMismatch: They do not fit.
    """
    checked = _checked_rows(rows, _width(names, plan))
    if plan.tensors:
        return conform_tensor(checked, plan)
    columns = list(zip(*checked, strict=True))
    if not plan.columns:
        return _free_columns(columns, names)
    if plan.names and names is not None:
        return conform_columns(_by_name(names, columns), plan)
    return _positional(columns, plan)


def conform_records(records: Sequence[Mapping[str, Any]], plan: Plan) -> Batch:
    """Turn one object per row into a batch.

    Raises:
        InputMismatch: They do not fit.
    """
    if not records:
        raise no_rows()
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise mismatch(f"Row {row}", "an object", json_name(type(record)))
    names = taken_names(list(dict.fromkeys(chain.from_iterable(records))), plan)
    optional = {column.name for column in plan.columns if not column.is_required}
    required = [name for name in names if name not in optional]
    for row, record in enumerate(records):
        _check_gaps(record, row, required)
    return conform_columns({name: [row.get(name) for row in records] for name in names}, plan)


def conform_columns(columns: Mapping[str, Any], plan: Plan) -> Batch:
    """Turn one list per column, or per tensor, into a batch.

    Raises:
        InputMismatch: They do not fit.
    """
    if plan.tensors:
        return _columns_to_tensors(columns, plan)
    if not plan.columns:
        _check_lengths(columns)
        return _free_columns(list(columns.values()), list(columns))
    columns = {name: columns[name] for name in taken_names(list(columns), plan)}
    check_names(list(columns), plan)
    _check_lengths(columns)
    given = [column for column in plan.columns if column.name in columns]
    arrays = [_converted(columns[column.name], column) for column in given]
    return stack(given, arrays, is_named=bool(plan.names))


def as_columns(data: Mapping[str, Any], plan: Plan) -> Mapping[str, Any]:
    """Return columns as they are, and one row by name as columns of one value each.

    It is a row where no value can be a column of the type that the model takes there.
    """
    kinds = {column.name: column.element for column in plan.columns}
    if not kinds or any(_is_column(value, kinds.get(name)) for name, value in data.items()):
        return data
    return {name: [value] for name, value in data.items()}


def taken_names(names: Sequence[str], plan: Plan) -> Sequence[str]:
    """Return the columns of a table that the model takes: what it does not know is left out.

    Only if it has all that it knows. Otherwise the strange one may be a misspelt optional one,
    which would be lost: then all of them stay, and ``check_names`` refuses them by name.
    """
    if not plan.names or not set(plan.names) <= set(names):
        return names
    known = set(plan.names)
    return [name for name in names if name in known]


def check_names(names: Sequence[str], plan: Plan) -> None:
    """Refuse names that are not those of the model's columns or tensors.

    Raises:
        InputMismatch: A required one is missing, or there is one that the model does not take.
    """
    wanted: Sequence[Column | Tensor] = plan.columns or plan.tensors
    known = [item.name for item in wanted]
    given = set(names)
    missing = [item.name for item in wanted if item.name not in given and _is_required(item)]
    extra = sorted(given.difference(known))
    problems = []
    if missing:
        problems.append(f"missing {listed(missing)}")
    if extra:
        problems.append(f"not expected {listed(extra)}")
    if problems:
        what = "columns" if plan.columns else "tensors"
        detail = "; ".join(problems)
        raise InputMismatch(f"The {what} do not fit: {detail}. Expected {listed(known)}.")


def stack(columns: Sequence[Column], arrays: Sequence[NDArray[Any]], *, is_named: bool) -> Batch:
    """Put converted columns together: as a matrix where they share one numeric dtype.

    Args:
        columns: What each array is, in order.
        arrays: Shape (rows,) each.
        is_named: Whether the model knows columns by name.
    """
    names = tuple(column.name for column in columns)
    if common_number([column.element for column in columns]) is not None:
        return Batch(names if is_named else (), (np.stack(arrays, axis=1),), is_matrix=True)
    return Batch(names, tuple(arrays), is_matrix=False)


def _width(names: Sequence[str] | None, plan: Plan) -> int:
    """Return how many values a row must have; 0 where the first row decides."""
    if names is not None and (plan.names or not plan.columns):
        return len(names)
    return plan.width


def _checked_rows(rows: list[Any], width: int) -> list[list[Any]]:
    if not rows:
        raise no_rows()
    if set(map(type, rows)) != {list}:
        index = next(i for i, row in enumerate(rows) if type(row) is not list)
        raise mismatch(f"Row {index}", "an array of values", json_name(type(rows[index])))
    width = width or len(rows[0])
    if set(map(len, rows)) != {width} or not width:
        index = next((i for i, row in enumerate(rows) if len(row) != width), 0)
        raise mismatch(f"Row {index}", f"{width or 'some'} values", str(len(rows[index])))
    return rows


def _check_gaps(record: Mapping[str, Any], row: int, required: Sequence[str]) -> None:
    for name in required:
        if name not in record:
            raise InputMismatch(f"Column {shown(name)}, row {row}: the value is missing.")


def _by_name(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> dict[str, Sequence[Any]]:
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise InputMismatch(f"Column {shown(twice)} is named twice: name each column once.")
    return dict(zip(names, columns, strict=True))


def _is_column(value: Any, element: Element | None) -> bool:
    if not isinstance(value, list):
        return False
    if element is None or element.label != "array":
        return True
    return all(isinstance(item, list | NoneType) for item in value)


def _columns_to_tensors(columns: Mapping[str, Any], plan: Plan) -> Batch:
    """Take columns by name, or a whole table, or one column of lists, for a single tensor."""
    _check_lengths(columns)
    first = next(iter(columns.values()))
    if len(columns) == len(plan.tensors) == 1 and isinstance(first[0], list):
        return conform_tensor(list(first), plan)
    if plan.matrix is not None and plan.tensors[0].name not in columns:
        return conform_tensor([list(row) for row in zip(*columns.values(), strict=True)], plan)
    check_names(list(columns), plan)
    return conform_named_tensors(columns, plan)


def _positional(columns: Sequence[Sequence[Any]], plan: Plan) -> Batch:
    pairs = zip(plan.columns, columns, strict=True)
    arrays = [_converted(values, column) for column, values in pairs]
    return stack(plan.columns, arrays, is_named=bool(plan.names))


def _free_columns(columns: Sequence[Sequence[Any]], names: Sequence[str] | None) -> Batch:
    """Take columns as they come: no signature says what they should be."""
    labels = [str(index) for index in range(len(columns))] if names is None else names
    by_name = _by_name(labels, columns)
    made = [
        Column(name, infer_element(values, in_column(name)), is_required=True)
        for name, values in by_name.items()
    ]
    arrays = [_converted(by_name[column.name], column) for column in made]
    if all(array.dtype.kind in "if" for array in arrays):
        matrix = np.stack(arrays, axis=1)
        return Batch(() if names is None else tuple(names), (matrix,), is_matrix=True)
    return stack(made, arrays, is_named=True)


def _converted(values: Sequence[Any], column: Column) -> NDArray[Any]:
    return convert(values, column.element, in_column(column.name))


def _is_required(item: Column | Tensor) -> bool:
    return isinstance(item, Tensor) or item.is_required


def _check_lengths(columns: Mapping[str, Any]) -> None:
    if not columns:
        raise no_rows()
    first = next(iter(columns))
    for name, values in columns.items():
        if not isinstance(values, list | tuple):
            raise mismatch(f"Column {shown(name)}", "an array", json_name(type(values)))
        if len(values) != len(columns[first]):
            want = f"{len(columns[first])} rows as in {shown(first)}"
            raise mismatch(f"Column {shown(name)}", want, str(len(values)))
    if not columns[first]:
        raise no_rows()
