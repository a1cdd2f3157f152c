"""Names, types and shapes of a model's inputs and outputs, as the MLmodel file writes them. Pure.

``registry.observed`` works a signature out from data.
"""

from typing import Any

import msgspec
from msgspec import Struct

from registry.param_specs import ParamSpec, format_params, parse_params
from tracking.errors import InvalidRequest, NotImplementedHere

SINGLE_TYPES = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
"""Types of columns with one value a row."""
NESTED_TYPES = ("array", "object", "map", "any")
"""Types of columns whose values hold others: lists, objects, objects of any names, whatever."""
COLUMN_TYPES = (*SINGLE_TYPES, *NESTED_TYPES)


class Nested(Struct, frozen=True, omit_defaults=True):
    """A type within another, as MLflow has them.

    Args:
        type: One of ``COLUMN_TYPES``.
        items: Of an array's values.
        values: Of a map's values.
        properties: Of an object's values, by name.
        required: Whether an object must have it.
    """

    type: str
    items: "Nested | None" = None
    values: "Nested | None" = None
    properties: "dict[str, Nested]" = {}
    required: bool = True


class ColumnSpec(Struct, frozen=True, tag_field="kind", tag="column"):
    """One column of a table.

    Args:
        type: One of ``COLUMN_TYPES``: integer is int32, long int64, float float32, double float64.
        name: The column's name, or none for a table without names.
        required: Whether a request must have it.
        nested: What its values hold, where they hold others.
    """

    type: str
    name: str | None = None
    required: bool = True
    nested: Nested | None = None


class TensorSpec(Struct, frozen=True, tag_field="kind", tag="tensor"):
    """One tensor.

    Args:
        dtype: The numpy name of its type, ``float64``.
        shape: Its shape; -1 is the batch axis.
        name: Its name when a model takes several.
    """

    dtype: str
    shape: tuple[int, ...]
    name: str | None = None


class Signature(Struct, frozen=True):
    """What a model takes and gives. Columns, or tensors, never both on one side."""

    inputs: tuple[ColumnSpec | TensorSpec, ...] = ()
    outputs: tuple[ColumnSpec | TensorSpec, ...] = ()
    params: tuple[ParamSpec, ...] = ()


class _MLmodelTensor(Struct):
    dtype: str
    shape: tuple[int, ...]


class _MLmodelSpec(Struct, rename={"tensor_spec": "tensor-spec"}, omit_defaults=True):
    type: str
    name: str | None = None
    tensor_spec: _MLmodelTensor | None = None
    required: bool | None = None
    optional: bool | None = None
    items: Nested | None = None
    values: Nested | None = None
    properties: dict[str, Nested] = {}


def parse_signature(entry: dict[str, Any]) -> Signature:
    """Read the ``signature`` entry of an MLmodel file: a mapping whose values are JSON texts.

    Raises:
        InvalidRequest: It has another shape.
        NotImplementedHere: A column has a type that we do not know.
    """
    inputs, outputs = _parse_side(entry.get("inputs")), _parse_side(entry.get("outputs"))
    return Signature(inputs=inputs, outputs=outputs, params=parse_params(entry.get("params")))


def format_signature(signature: Signature) -> dict[str, str | None]:
    """Write the ``signature`` entry of an MLmodel file."""
    return {
        "inputs": _format_side(signature.inputs),
        "outputs": _format_side(signature.outputs),
        "params": format_params(signature.params),
    }


def _parse_side(text: str | None) -> tuple[ColumnSpec | TensorSpec, ...]:
    if not text:
        return ()
    try:
        specs = msgspec.json.decode(text, type=list[_MLmodelSpec])
    except (msgspec.DecodeError, TypeError, RecursionError) as error:
        raise InvalidRequest(
            f"The signature in the MLmodel file cannot be read: {error}"
        ) from error
    parsed = tuple(_parse_spec(spec) for spec in specs)
    if len({type(spec) for spec in parsed}) > 1:
        raise InvalidRequest("The signature mixes columns and tensors: it must hold one kind.")
    return parsed


def _parse_spec(spec: _MLmodelSpec) -> ColumnSpec | TensorSpec:
    if spec.type == "tensor" and spec.tensor_spec is not None:
        tensor = spec.tensor_spec
        return TensorSpec(dtype=tensor.dtype, shape=tensor.shape, name=spec.name)
    if spec.type not in COLUMN_TYPES:
        raise NotImplementedHere(
            f"The signature has a column of type {spec.type!r}: "
            f"the types understood here are {', '.join(COLUMN_TYPES)}, and tensors."
        )
    # MLflow before 2.6 wrote `optional` instead of `required`.
    required = spec.required if spec.required is not None else not spec.optional
    nested = None
    if spec.type in NESTED_TYPES:
        nested = Nested(spec.type, spec.items, spec.values, spec.properties)
    return ColumnSpec(type=spec.type, name=spec.name, required=required, nested=nested)


def _format_side(specs: tuple[ColumnSpec | TensorSpec, ...]) -> str | None:
    return msgspec.json.encode([_format_spec(spec) for spec in specs]).decode() if specs else None


def _format_spec(spec: ColumnSpec | TensorSpec) -> _MLmodelSpec:
    match spec:
        case ColumnSpec():
            held = spec.nested or Nested(spec.type)
            return _MLmodelSpec(
                *(spec.type, spec.name, None, spec.required, None),
                *(held.items, held.values, held.properties),
            )
        case TensorSpec():
            tensor = _MLmodelTensor(dtype=spec.dtype, shape=spec.shape)
            return _MLmodelSpec(type="tensor", name=spec.name, tensor_spec=tensor)
