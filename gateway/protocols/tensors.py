"""Nested JSON lists to a ``Batch`` of tensors that fits the signature. Pure.

Called by ``conform.py`` and ``mlflow_scoring.py``.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from numpy.typing import NDArray

from gateway.protocols.elements import convert, infer_element
from gateway.protocols.plan import Plan, Tensor
from gateway.protocols.refusals import in_tensor, listed, mismatch, no_rows, shown
from registry.tensors import Batch
from tracking.errors import InputMismatch

MAX_AXES = 8
"""How many axes a tensor may have; no more travel to a runner."""


def conform_tensor(data: list[Any], plan: Plan) -> Batch:
    """Turn nested lists into a batch of one tensor, for a tensor signature or for none.

    Raises:
        InputMismatch: They are ragged, or do not fit.
    """
    if len(plan.tensors) > 1:
        names = listed([tensor.name for tensor in plan.tensors])
        raise InputMismatch(f"The model takes several tensors: send an object with {names}.")
    if plan.tensors:
        return single(_tensor(data, plan.tensors[0]))
    flat, shape = flattened(data, "input")
    where = in_tensor("input", shape)
    return single(convert(flat, infer_element(flat, where), where).reshape(shape))


def conform_named_tensors(tensors: Mapping[str, Any], plan: Plan) -> Batch:
    """Turn one nested list per name into a batch; the names are known to be those of the plan.

    Raises:
        InputMismatch: One is ragged or does not fit, or they differ in their number of rows.
    """
    arrays = [_tensor(tensors[tensor.name], tensor) for tensor in plan.tensors]
    return combined([tensor.name for tensor in plan.tensors], arrays)


def combined(names: list[str], arrays: list[NDArray[Any]]) -> Batch:
    """Put tensors together: one alone is a matrix, several are columns.

    Raises:
        InputMismatch: They differ in their number of rows.
    """
    if len(arrays) == 1:
        return single(arrays[0])
    for name, array in zip(names, arrays, strict=True):
        if array.shape[0] != arrays[0].shape[0]:
            want = f"{arrays[0].shape[0]} rows as in {shown(names[0])}"
            raise mismatch(f"Tensor {shown(name)}", want, str(array.shape[0]))
    return Batch(tuple(names), tuple(arrays), is_matrix=False)


def single(array: NDArray[Any]) -> Batch:
    """Make a batch of one tensor."""
    return Batch((), (array,), is_matrix=True)


def check_shape(shape: tuple[int, ...], tensor: Tensor) -> None:
    """Refuse a shape that the model does not take.

    Raises:
        InputMismatch: It has another number of axes, or another length along one.
    """
    fits = len(shape) == len(tensor.shape) and all(
        want in (-1, have) for want, have in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        want, got = f"shape {list(tensor.shape)}", f"shape {list(shape)}"
        raise mismatch(f"Tensor {shown(tensor.name)}", want, got)


def _tensor(data: list[Any], tensor: Tensor) -> NDArray[Any]:
    flat, shape = flattened(data, tensor.name)
    check_shape(shape, tensor)
    return convert(flat, tensor.element, in_tensor(tensor.name, shape)).reshape(shape)


def flattened(data: list[Any], name: str) -> tuple[list[Any], tuple[int, ...]]:
    """Return the values of nested lists in row-major order, and their shape.

    Raises:
        InputMismatch: They are ragged, or hold nothing.
    """
    if not data:
        raise no_rows()
    shape = [len(data)]
    flat = data
    while isinstance(flat[0], list):
        if set(map(type, flat)) != {list} or len(set(map(len, flat))) > 1:
            message = f"Tensor {shown(name)} is ragged: all arrays of one level need one length."
            raise InputMismatch(message)
        shape.append(len(flat[0]))
        if len(shape) > MAX_AXES:
            raise mismatch(f"Tensor {shown(name)}", f"at most {MAX_AXES} axes", "more")
        flat = list(chain.from_iterable(flat))
        if not flat:
            raise mismatch(f"Tensor {shown(name)}", "values", "an empty array")
    return flat, tuple(shape)
