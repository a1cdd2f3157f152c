"""JSON Schemas of what a model takes and gives, in each protocol's shape. Pure.

Called by ``model_openapi.py``. What decoders take beyond it (rows by position, types that widen) is
left out where it would hide what a caller should send.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gateway.protocols.elements import (
    COLUMN_ELEMENTS,
    EXACT_LIMIT,
    Element,
    Kind,
    column_element,
    tensor_element,
)
from gateway.protocols.plan import Plan, plan_for
from gateway.protocols.v2_metadata import TensorMetadata, model_metadata
from registry.param_specs import ParamSpec
from registry.signature import ColumnSpec, Nested, Signature, TensorSpec
from tracking.errors import InputMismatch

Schema = dict[str, Any]

_ANYTHING: Schema = {}
_TYPES = {
    Kind.FLOATING: "number",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN: "boolean",
    Kind.TEXT: "string",
    Kind.BINARY: "string",
    Kind.DATETIME: "string",
}
_PARAMS: Schema = {
    "type": "object",
    "description": "What is asked of the model besides rows: `predict_method` names a method, "
    "`routing_key` is a sticky key.",
}


def value_schema(element: Element) -> Schema:
    """Return the schema of one value."""
    if element.nested is not None:
        return _nested_schema(element.nested, allows_null=element.allows_null)
    kind: Any = _TYPES[element.kind]
    schema: Schema = {"type": [kind, "null"] if element.allows_null else kind}
    match element.kind:
        case Kind.INTEGER:
            limits = np.iinfo(element.dtype)
            schema |= {"minimum": int(limits.min), "maximum": int(limits.max)}
        case Kind.FLOATING:
            schema["format"] = element.dtype.name
        case Kind.BINARY:
            schema["contentEncoding"] = "base64"
        case Kind.DATETIME:
            schema["description"] = "A moment in ISO 8601; without an offset it is UTC."
        case _:
            pass
    return schema


def _nested_schema(nested: Nested, *, allows_null: bool = False) -> Schema:
    """Return the schema of a value that holds others."""
    if nested.type == "any":
        return _ANYTHING
    kind = {"array": "array", "object": "object", "map": "object"}.get(nested.type)
    if kind is None:
        return value_schema(COLUMN_ELEMENTS[nested.type])
    schema: Schema = {"type": [kind, "null"] if allows_null else kind}
    if nested.items is not None:
        schema["items"] = _nested_schema(nested.items)
    if nested.values is not None:
        schema["additionalProperties"] = _nested_schema(nested.values)
    if nested.properties:
        held = nested.properties.items()
        schema["properties"] = {name: _nested_schema(one) for name, one in held}
        schema["required"] = [name for name, one in held if one.required]
    return schema


def scoring_schema(signature: Signature | None) -> Schema:
    """Return the schema of a body of MLflow scoring: one of its four formats."""
    return _one_of(_formats(signature), {"params": params_schema(signature)})


def v1_schema(signature: Signature | None) -> Schema:
    """Return the schema of a body of TensorFlow Serving's REST."""
    formats = _formats(signature)
    taken = {name: formats[name] for name in ("instances", "inputs")}
    beside = {"signature_name": {"const": "serving_default"}, "params": params_schema(signature)}
    return _one_of(taken, beside)


def params_schema(signature: Signature | None) -> Schema:
    """Return the schema of what is asked besides rows: the signature's params, and others."""
    specs = () if signature is None else signature.params
    return _PARAMS | {"properties": {spec.name: _param_schema(spec) for spec in specs}}


def _param_schema(spec: ParamSpec) -> Schema:
    element = COLUMN_ELEMENTS.get(spec.type)
    value = _ANYTHING if element is None else {"type": _TYPES[element.kind]}
    schema = value if spec.shape is None else {"type": "array", "items": value}
    return schema | {"default": spec.default}


def infer_schema(signature: Signature | None) -> Schema:
    """Return the schema of a body of v2."""
    tensors = model_metadata("", (), signature).inputs
    items: Schema = {"oneOf": [_tensor_schema(tensor) for tensor in tensors]} if tensors else {}
    optional = {column.name for column in plan_for(signature).columns if not column.is_required}
    least = max(1, sum(tensor.name not in optional for tensor in tensors))
    inputs: Schema = {"type": "array", "items": items or _any_tensor(), "minItems": least}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "description": "Echoed in the answer."},
            "parameters": params_schema(signature),
            "inputs": inputs,
            "outputs": {"type": "array", "items": _WANTED},
        },
    }


def generate_schema(signature: Signature | None) -> Schema:
    """Return the schema of a body of the generate extension: one row, and parameters."""
    plan = plan_for(signature)
    values = {column.name: value_schema(column.element) for column in plan.columns}
    for tensor in plan.tensors:
        values[tensor.name] = _nested(value_schema(tensor.element), tensor.shape[1:])
    optional = {column.name for column in plan.columns if not column.is_required}
    return {
        "type": "object",
        "properties": {**values, "id": {"type": "string"}, "parameters": params_schema(signature)},
        "required": [name for name in values if name not in optional],
    }


def predictions_schema(signature: Signature | None) -> Schema:
    """Return the schema of an answer's predictions: one for each row, or by output's name."""
    outputs = () if signature is None else signature.outputs
    if len(outputs) != 1:
        return {"type": ["array", "object"], "description": _described(outputs)}
    rows = _output_schema(outputs[0])
    return {"type": "array", "items": rows, "description": "One for each row."}


def infer_answer_schema(signature: Signature | None) -> Schema:
    """Return the schema of an answer of v2."""
    tensors = model_metadata("", (), signature).outputs
    items: Schema = {"oneOf": [_tensor_schema(t) for t in tensors]} if tensors else _any_tensor()
    return {
        "type": "object",
        "required": ["model_name", "model_version", "outputs"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": items},
        },
    }


_WANTED: Schema = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
}


def _one_of(formats: dict[str, Schema], beside: dict[str, Schema]) -> Schema:
    """Return the schema of a body with rows in exactly one of some formats."""
    choices = [
        {"type": "object", "title": name, "required": [name], "properties": {name: rows} | beside}
        for name, rows in formats.items()
    ]
    return {"oneOf": choices}


def _formats(signature: Signature | None) -> dict[str, Schema]:
    plan = plan_for(signature)
    return _table_formats(plan) if plan.columns else _tensor_formats(plan)


def _table_formats(plan: Plan) -> dict[str, Schema]:
    cells = [value_schema(column.element) for column in plan.columns]
    row: Schema = {"type": "array", "prefixItems": cells, "items": False, "minItems": len(cells)}
    if not plan.names:
        rows: Schema = {"type": "array", "items": row, "minItems": 1}
        split = {"type": "object", "required": ["data"], "properties": {"data": rows}}
        return {"dataframe_split": split, "instances": rows, "inputs": rows}
    required = [column.name for column in plan.columns if column.is_required]
    by_name = dict(zip(plan.names, cells, strict=True))
    record = _object(by_name, required)
    records: Schema = {"type": "array", "items": record, "minItems": 1}
    lists = {name: {"type": "array", "items": cell} for name, cell in by_name.items()}
    columns = _object(lists, required)
    return {
        "dataframe_split": _split_schema(plan, cells, required),
        "dataframe_records": records,
        "instances": {"type": "array", "items": {"anyOf": [record, row]}, "minItems": 1},
        "inputs": {"anyOf": [columns, {"type": "array", "items": row, "minItems": 1}]},
    }


def _split_schema(plan: Plan, cells: list[Schema], required: list[str]) -> Schema:
    """Columns may come in any order, so a cell is of any column's type."""
    cell = cells[0] if all(each == cells[0] for each in cells) else {"anyOf": _distinct(cells)}
    width: Schema = {"minItems": max(1, len(required)), "maxItems": len(cells)}
    names = {"type": "array", "items": {"enum": list(plan.names)}, "uniqueItems": True, **width}
    rows = {"type": "array", "items": {"type": "array", "items": cell, **width}, "minItems": 1}
    return {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {"columns": names, "data": rows, "index": {"type": "array"}},
    }


def _tensor_formats(plan: Plan) -> dict[str, Schema]:
    nested = {
        tensor.name: _nested(value_schema(tensor.element), tensor.shape) for tensor in plan.tensors
    }
    if not nested:
        rows: Schema = {"type": "array", "minItems": 1}
        split = {"type": "object", "required": ["data"], "properties": {"data": rows}}
        either: Schema = {"type": ["array", "object"]}
        return {
            "dataframe_split": split,
            "dataframe_records": rows,
            "instances": rows,
            "inputs": either,
        }
    if len(nested) == 1:
        (only,) = nested.values()
        return {"instances": only, "inputs": only}
    row = {name: schema.get("items", _ANYTHING) for name, schema in nested.items()}
    records = {"type": "array", "items": _object(row, list(row)), "minItems": 1}
    return {"instances": records, "inputs": _object(nested, list(nested))}


def _nested(value: Schema, shape: Sequence[int]) -> Schema:
    """Return arrays in arrays, as deep as a shape has axes; -1 is any length."""
    schema = value
    for length in reversed(shape):
        bounds = {"minItems": length, "maxItems": length} if length >= 0 else {}
        schema = {"type": "array", "items": schema, **bounds}
    return schema


def _tensor_schema(tensor: TensorMetadata) -> Schema:
    shape: Schema = {"type": "array", "items": {"type": "integer"}, "examples": [tensor.shape]}
    properties = _any_tensor()["properties"] | {
        "name": {"const": tensor.name},
        "shape": shape,
        "datatype": {"type": "string", "examples": [tensor.datatype]},
    }
    return _any_tensor() | {"title": tensor.name, "properties": properties}


def _any_tensor() -> Schema:
    limit = f"Row by row, flat or nested; integers up to {EXACT_LIMIT}, larger ones as raw bytes."
    return {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string"},
            "parameters": {"type": "object"},
            "data": {"type": "array", "description": limit},
        },
    }


def _output_schema(spec: ColumnSpec | TensorSpec) -> Schema:
    """Return the schema of one row of an output; a table of one column answers with objects."""
    try:
        if isinstance(spec, TensorSpec):
            return _nested(_answered(tensor_element(spec.dtype)), spec.shape[1:])
        element = column_element(spec)
        value = _ANYTHING if element.nested else _answered(element)
    except InputMismatch:
        return _ANYTHING
    return {"anyOf": [value, _object({spec.name: value}, [])]} if spec.name else value


def _answered(element: Element) -> Schema:
    """Return the schema of a value that comes out: signatures call some floats integers."""
    is_number = element.kind in (Kind.FLOATING, Kind.INTEGER)
    return {"type": ["number", "null"]} if is_number else {"type": [_TYPES[element.kind], "null"]}


def _described(outputs: Sequence[ColumnSpec | TensorSpec]) -> str:
    names = ", ".join(f"`{spec.name or at}`" for at, spec in enumerate(outputs))
    return f"A table as rows of objects, or an array for each of {names}." if names else ""


def _object(properties: dict[str, Schema], required: list[str]) -> Schema:
    """Return the schema of an object; what a model does not know is left out."""
    return {"type": "object", "properties": properties, "required": required}


def _distinct(schemas: list[Schema]) -> list[Schema]:
    return [schema for at, schema in enumerate(schemas) if schema not in schemas[:at]]
