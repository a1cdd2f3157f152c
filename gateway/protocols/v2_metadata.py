"""Open Inference Protocol v2 over REST: what a server and a model say about themselves. Pure.

Called by ``gateway/predict.py`` for the GET calls under ``/v2``.
"""

from collections.abc import Sequence

from msgspec import Struct

from gateway.protocols.datatypes import BYTES, datatype_of
from gateway.protocols.elements import COLUMN_ELEMENTS, Kind, tensor_element
from gateway.protocols.plan import plan_for
from registry.signature import ColumnSpec, Signature, TensorSpec

PLATFORM = "stagedoor"
ANY_LENGTH = -1


class ServerMetadata(Struct, frozen=True):
    """The answer to ``/v2``."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()


class ServerLive(Struct, frozen=True):
    """The answer to ``/v2/health/live``."""

    live: bool


class ServerReady(Struct, frozen=True):
    """The answer to ``/v2/health/ready``; the protocol's texts disagree on its key, so both."""

    ready: bool
    live: bool


class ModelReady(Struct, frozen=True):
    """The answer to ``…/ready``."""

    name: str
    ready: bool


class TensorMetadata(Struct, frozen=True):
    """One input or output; -1 in its shape is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelMetadata(Struct, frozen=True):
    """The answer to ``/v2/models/{model}``."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


def model_metadata(
    model: str, versions: Sequence[int], signature: Signature | None
) -> ModelMetadata:
    """Describe a model.

    Args:
        model: Its name.
        versions: The numbers that can be asked for, in order.
        signature: What it takes and gives; without one nothing is said of either.
    """
    return ModelMetadata(
        name=model,
        versions=tuple(str(version) for version in versions),
        platform=PLATFORM,
        inputs=_inputs(signature),
        outputs=_outputs(signature),
    )


def _inputs(signature: Signature | None) -> tuple[TensorMetadata, ...]:
    plan = plan_for(signature)
    if plan.columns and plan.matrix is not None and not plan.names:
        return (TensorMetadata("input", datatype_of(plan.matrix), (ANY_LENGTH, plan.width)),)
    columns = [_column(column.name, column.element.label) for column in plan.columns]
    tensors = [_tensor(tensor.name, tensor.element.label, tensor.shape) for tensor in plan.tensors]
    return (*columns, *tensors)


def _outputs(signature: Signature | None) -> tuple[TensorMetadata, ...]:
    specs = () if signature is None else signature.outputs
    return tuple(_output(spec, index, len(specs)) for index, spec in enumerate(specs))


def _output(spec: ColumnSpec | TensorSpec, index: int, count: int) -> TensorMetadata:
    name = spec.name or ("output" if count == 1 else f"output-{index}")
    if isinstance(spec, ColumnSpec):
        return _column(name, spec.type)
    return _tensor(name, spec.dtype, spec.shape)


def _column(name: str, column_type: str) -> TensorMetadata:
    return TensorMetadata(name, _datatype(column_type), (ANY_LENGTH,))


def _tensor(name: str, dtype: str, shape: tuple[int, ...]) -> TensorMetadata:
    return TensorMetadata(name, _datatype(dtype), shape)


def _datatype(name: str) -> str:
    element = COLUMN_ELEMENTS.get(name) or tensor_element(name)
    if element.kind in (Kind.TEXT, Kind.BINARY, Kind.DATETIME):
        return BYTES
    return datatype_of(element.dtype)
