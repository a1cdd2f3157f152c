"""A signature made ready for decoding: worked out once, used for every request. Pure.

Called by each protocol's ``decode`` through ``plan_for``. Safe from any thread.
"""

from typing import Any

import numpy as np
from msgspec import Struct

from gateway.protocols.elements import Element, Kind, column_element, tensor_element
from registry.signature import ColumnSpec, Signature, TensorSpec


class Column(Struct, frozen=True):
    """One column that the model takes. Immutable."""

    name: str
    element: Element
    is_required: bool


class Tensor(Struct, frozen=True):
    """One tensor that the model takes; -1 in its shape is any length. Immutable."""

    name: str
    element: Element
    shape: tuple[int, ...]


class Plan(Struct, frozen=True):
    """What a request must hold. Immutable. Columns, or tensors, or neither without a signature.

    Args:
        columns: The columns, in order.
        tensors: The tensors, in order.
        names: The names of the columns; empty if they go by position.
        matrix: The one numeric dtype of all columns, or of a single two-dimensional tensor: such
            rows become one matrix; ``None`` if they cannot.
        width: How many values a row of that matrix has.
        json_type: The JSON type of that matrix's values, ``float`` or ``int``.
    """

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    names: tuple[str, ...] = ()
    matrix: np.dtype[Any] | None = None
    width: int = 0
    json_type: type | None = None


FREE = Plan()
"""What goes without a signature: rows are taken as they come."""

_CACHED_PLANS = 1024
_plans: dict[int, tuple[Signature, Plan]] = {}


def plan_for(signature: Signature | None) -> Plan:
    """Return the plan of a signature; the same object is worked out only once.

    Raises:
        InputMismatch: The signature has a type that no request can carry.
    """
    if signature is None:
        return FREE
    # By identity, as hashing a signature takes longer than decoding a row. The entry keeps the
    # signature alive, so that its id stays its own.
    entry = _plans.get(id(signature))
    if entry is not None:
        return entry[1]
    if len(_plans) >= _CACHED_PLANS:
        _plans.clear()
    plan = _make_plan(signature)
    _plans[id(signature)] = (signature, plan)
    return plan


def _make_plan(signature: Signature) -> Plan:
    columns = [spec for spec in signature.inputs if isinstance(spec, ColumnSpec)]
    tensors = [spec for spec in signature.inputs if isinstance(spec, TensorSpec)]
    if columns:
        return _column_plan(columns)
    if tensors:
        return _tensor_plan(tensors)
    return FREE


def _column_plan(specs: list[ColumnSpec]) -> Plan:
    columns = tuple(
        Column(
            name=str(index) if spec.name is None else spec.name,
            element=column_element(spec),
            is_required=spec.required,
        )
        for index, spec in enumerate(specs)
    )
    is_named = all(spec.name is not None for spec in specs)
    matrix = common_number([column.element for column in columns])
    return Plan(
        columns=columns,
        names=tuple(column.name for column in columns) if is_named else (),
        matrix=matrix,
        width=len(columns),
        json_type=_json_type(columns[0].element) if matrix is not None else None,
    )


def _tensor_plan(specs: list[TensorSpec]) -> Plan:
    tensors = tuple(
        Tensor(
            name=spec.name or (f"input-{index}" if len(specs) > 1 else "input"),
            element=tensor_element(spec.dtype),
            shape=spec.shape,
        )
        for index, spec in enumerate(specs)
    )
    if len(tensors) > 1 or not _is_table(tensors[0]):
        return Plan(tensors=tensors)
    only = tensors[0]
    matrix = common_number([only.element])
    json_type = _json_type(only.element) if matrix is not None else None
    return Plan(tensors=tensors, matrix=matrix, width=only.shape[1], json_type=json_type)


def _is_table(tensor: Tensor) -> bool:
    """Say whether it is any number of rows of one known width."""
    match tensor.shape:
        case (-1, width):
            return width > 0
        case _:
            return False


def common_number(elements: list[Element]) -> np.dtype[Any] | None:
    """Return the one numeric dtype of all elements, or ``None``."""
    dtypes = {element.dtype for element in elements}
    is_number = all(element.kind in (Kind.FLOATING, Kind.INTEGER) for element in elements)
    return dtypes.pop() if is_number and len(dtypes) == 1 else None


def _json_type(element: Element) -> type:
    return float if element.kind is Kind.FLOATING else int
