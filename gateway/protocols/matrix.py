"""The fast way in: rows of one numeric type, parsed straight into numbers and then one array.

Called by ``mlflow_scoring.py``. Pure. It either gives the batch or says ``None``, and then
``conform.py`` looks again, slowly, to convert what can be or to say what is wrong.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.protocols.plan import Plan
from registry.tensors import Batch

Number = float | int

_FLOAT64 = np.dtype(np.float64)
_AXES = 2


def matrix_of_rows(rows: Sequence[Sequence[Number]], plan: Plan) -> Batch | None:
    """Return the batch of rows that go by position.

    Args:
        rows: Numbers of the JSON type of the plan.
        plan: One that has a matrix.
    """
    array = _array(rows, plan)
    if array is None:
        return None
    return Batch(plan.names, (array,), is_matrix=True)


def matrix_of_table(
    names: Sequence[str], rows: Sequence[Sequence[Number]], plan: Plan
) -> Batch | None:
    """Return the batch of rows that go by name, if the names are just the model's columns."""
    if tuple(names) == plan.names:
        return matrix_of_rows(rows, plan)
    if len(names) != plan.width or set(names) != set(plan.names):
        return None
    array = _array(rows, plan)
    if array is None:
        return None
    order = [names.index(name) for name in plan.names]
    return Batch(plan.names, (array[:, order],), is_matrix=True)


def matrix_of_records(records: Sequence[dict[str, Number]], plan: Plan) -> Batch | None:
    """Return the batch of one object per row, if each has just the model's columns."""
    if plan.width < _AXES or not plan.names or set(map(len, records)) != {plan.width}:
        return None
    try:
        rows = list(map(itemgetter(*plan.names), records))
    except KeyError:
        return None
    return matrix_of_rows(rows, plan)


def _array(rows: Sequence[Sequence[Number]], plan: Plan) -> NDArray[Any] | None:
    try:
        array = np.array(rows, plan.matrix if plan.json_type is int else _FLOAT64)
    except (ValueError, OverflowError):
        return None
    if array.ndim != _AXES or array.shape[1] != plan.width:
        return None
    if array.dtype != plan.matrix:
        return _narrowed(array, plan)
    return array


def _narrowed(array: NDArray[Any], plan: Plan) -> NDArray[Any] | None:
    """Return it in fewer bits, or ``None`` if a number does not fit: JSON holds no infinity."""
    with np.errstate(over="ignore"):
        narrow = array.astype(plan.matrix)
    return narrow if np.isfinite(narrow).all() else None
