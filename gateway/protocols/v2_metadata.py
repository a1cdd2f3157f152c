"""Open Inference Protocol v2 over REST: what a server and a model say about themselves. Pure.

Called by ``gateway/predict.py`` for the GET calls under ``/v2``, and by ``gateway/repository.py``.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.protocols.datatypes import BYTES, datatype_of
from gateway.protocols.elements import COLUMN_ELEMENTS, Kind, tensor_element
from gateway.protocols.plan import plan_for
from gateway.protocols.refusals import shown
from registry.signature import NESTED_TYPES, ColumnSpec, Signature, TensorSpec
from tracking.errors import InvalidRequest, MalformedBody

PLATFORM = "stagedoor"
EXTENSIONS = ("binary_tensor_data", "model_repository", "generate")
"""What is served beyond the protocol's minimum."""
ANY_LENGTH = -1

T = TypeVar("T")


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


class IndexEntry(Struct, frozen=True):
    """One version in the answer to ``/v2/repository/index``.

    Args:
        name: The model's.
        version: Its number.
        state: READY, LOADING, UNLOADING or UNAVAILABLE, as the extension's servers have it.
        reason: Why it is not READY, or empty.
    """

    name: str
    version: str
    state: str
    reason: str


class _IndexRequest(Struct):
    ready: bool = False


class _ChangeRequest(Struct):
    parameters: dict[str, Any] = {}


def wants_ready(body: bytes) -> bool:
    """Read whether an index should hold only what is ready; an empty body is taken.

    Raises:
        MalformedBody: It is not an index request.
    """
    return _parsed(body, _IndexRequest).ready


def check_change(body: bytes) -> None:
    """Refuse parameters of a load or unload that would bring a model's files or configuration.

    Raises:
        MalformedBody: It is not such a request.
        InvalidRequest: It holds such parameters.
    """
    given = _parsed(body, _ChangeRequest).parameters
    brought = [name for name in given if name == "config" or name.startswith("file:")]
    if brought:
        message = f"Parameter {shown(brought[0])} is not served here: register a version instead."
        raise InvalidRequest(message)


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


def _parsed(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body or b"{}", type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = "The body is neither empty nor a JSON object in the shape of this call."
        raise MalformedBody(message) from error


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
    if name in NESTED_TYPES:
        return BYTES
    element = COLUMN_ELEMENTS.get(name) or tensor_element(name)
    if element.kind in (Kind.TEXT, Kind.BINARY, Kind.DATETIME):
        return BYTES
    return datatype_of(element.dtype)
