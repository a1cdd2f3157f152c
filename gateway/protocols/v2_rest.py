"""Open Inference Protocol v2 over REST: JSON bodies of ``infer``, answers and errors. Pure.

Called by ``gateway/predict.py`` on the event loop. Bodies and answers with raw tensors are those of
``v2_binary.py``, which reads and writes tensors in JSON by ``array_of`` and ``output_of``.
"""

import math
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.protocols.answers import no_tensor, plain_list
from gateway.protocols.arrays import conform_inputs
from gateway.protocols.caps import check_body, check_depth, not_json
from gateway.protocols.datatypes import BYTES, datatype_element, datatype_of
from gateway.protocols.elements import EXACT_LIMIT, Element, Kind, convert
from gateway.protocols.media import check_v2
from gateway.protocols.plan import Plan, plan_for
from gateway.protocols.raw_tensors import checked_count
from gateway.protocols.refusals import Where, in_tensor, mismatch, no_rows, shown
from gateway.protocols.tensors import flattened
from gateway.protocols.v2_request import NULLS, Scalar, Wanted, request_of
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import PREDICT_METHOD, InferRequest, Prediction
from tracking.errors import InvalidRequest, MalformedBody

"""The type of every answer in JSON, and of every refusal."""
_RETRYABLE = frozenset({429, 503})

T = TypeVar("T")


class Input(Struct, Generic[T], frozen=True, gc=False):
    """A tensor whose values stand in the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: list[T]


class _Body(Struct, Generic[T], frozen=True, gc=False):
    inputs: list[Input[T]]
    id: str | None = None
    parameters: dict[str, Scalar] | None = None
    outputs: list[Wanted] | None = None


_WIDE_INTEGERS = frozenset({"INT64", "UINT64"})  # a float would round the largest before a check
_FLOATS = msgspec.json.Decoder(_Body[float])
_ANY = msgspec.json.Decoder(_Body[Any])
_ENCODER = msgspec.json.Encoder()


class Output(Struct, frozen=True, gc=False):
    """An output whose values stand in the JSON."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    data: list[Any]


class _Answer(Struct, frozen=True, omit_defaults=True, gc=False):
    model_name: str
    model_version: str
    outputs: list[Output]
    id: str | None = None


class Refusal(Struct, frozen=True):
    """A refusal: ``error`` is the protocol's, the rest is ours beside it."""

    error: str
    code: str
    request_id: str
    retryable: bool


def decode(body: bytes, content_type: str | None, signature: Signature | None) -> InferRequest:
    """Read the tensors of an inference request.

    Args:
        body: The bytes, within the size limit.
        content_type: The header as it came; none is taken for JSON, as the protocol has it.
        signature: What the model takes; ``None`` takes any tensors.

    Raises:
        UnsupportedMedia: It is not JSON in UTF-8.
        TooLarge: It holds too many values.
        MalformedBody: It is not JSON, or not in the shape of the protocol.
        InvalidRequest: A datatype or shape is none.
        InputMismatch: The tensors do not fit the signature.
    """
    check_v2(content_type)
    plan = plan_for(signature)
    parsed, are_floats = _parsed(body, plan)
    if not parsed.inputs:
        raise no_rows()
    arrays = [(tensor.name, array_of(tensor, are_floats=are_floats)) for tensor in parsed.inputs]
    batch = conform_inputs(named(arrays), plan)
    return request_of(batch, parsed.id, parsed.parameters, parsed.outputs, signature)


def encode(prediction: Prediction, request: InferRequest, key: VersionKey) -> bytes:
    """Write an answer: each output flat, in row-major order.

    Args:
        prediction: What the model answered.
        request: Says which outputs are wanted, and the id to echo.
        key: The version that answered.

    Raises:
        InvalidRequest: An output that is wanted does not exist, or one holds NaN or infinity and
            the request did not allow ``null``.
        ModelFailed: The model answered with something that no datatype can hold.
    """
    outputs = [
        output_of(name, array, allows_null=request.allows_null)
        for name, array in wanted(prediction, request)
    ]
    return _ENCODER.encode(_Answer(key.model, str(key.version), outputs, request.request_id))


def render_error(status: int, code: str, message: str, request_id: str) -> bytes:
    """Write a refusal in the shape of the protocol."""
    return _ENCODER.encode(Refusal(message, code, request_id, status in _RETRYABLE))


def _parsed(body: bytes, plan: Plan) -> tuple[_Body[Any], bool]:
    """Return the body, and whether all its values are known to be floats."""
    try:
        check_body(body)
        if plan.json_type is float:
            floats = _parsed_floats(body)
            if floats is not None and _WIDE_INTEGERS.isdisjoint(t.datatype for t in floats.inputs):
                return floats, True
        check_depth(body)
        return _ANY.decode(body), False
    except (MalformedBody, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(body, error) from error


def _parsed_floats(body: bytes) -> _Body[Any] | None:
    try:
        return _FLOATS.decode(body)
    except msgspec.ValidationError:
        return None


def malformed(body: bytes, error: Exception) -> MalformedBody:
    """Say what is wrong with a body that could not be parsed; the parser's words hold no values."""
    if isinstance(error, MalformedBody):
        return error
    if isinstance(error, msgspec.ValidationError):
        hint = _NO_HEADER if b'"binary_data_size' in body else ""
        return MalformedBody(f"The body is not an inference request: {error}.{hint}")
    if isinstance(error, msgspec.DecodeError):
        return not_json(error)
    return MalformedBody("The body is not JSON that can be read: it nests too deep, or is broken.")


_NO_HEADER = " Raw tensors need the header Inference-Header-Content-Length."


def named(arrays: Sequence[tuple[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Return inputs by name.

    Raises:
        MalformedBody: Two have the same name.
    """
    by_name = dict(arrays)
    if len(by_name) < len(arrays):
        raise MalformedBody("Two inputs have the same name: name each input once.")
    return by_name


def array_of(tensor: Input[Any], *, are_floats: bool = False) -> NDArray[Any]:
    """Return the array of a tensor in JSON.

    Args:
        tensor: As it was parsed.
        are_floats: Whether all its values are known to be floats.

    Raises:
        InvalidRequest: A datatype or shape is none.
        InputMismatch: A value is not of its datatype.
    """
    element = datatype_element(tensor.datatype)
    values = tensor.data
    if values and isinstance(values[0], list):
        values, _ = flattened(values, tensor.name)
    shape = _checked_shape(tensor, len(values))
    if are_floats and tensor.datatype == "FP64":
        return np.array(values, element.dtype).reshape(shape)
    array = convert(values, element, in_tensor(tensor.name, shape))
    _check_exact(array, element, in_tensor(tensor.name, shape))
    return array.reshape(shape)


def _checked_shape(tensor: Input[Any], count: int) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    if count == 0:
        raise no_rows()
    if checked_count(shape, tensor.name) != count:
        message = (
            f"Input {shown(tensor.name)}: 'shape' and 'data' differ in their number of values."
        )
        raise InvalidRequest(f"{message} Got {count} values.")
    return shape


def _check_exact(array: NDArray[Any], element: Element, where: Where) -> None:
    """Refuse integers that clients lose in JSON before they arrive."""
    if element.kind is not Kind.INTEGER or element.dtype.itemsize < _WIDE:
        return
    if int(array.max()) > EXACT_LIMIT or int(array.min()) < -EXACT_LIMIT:
        index = next(i for i, value in enumerate(array.tolist()) if abs(value) > EXACT_LIMIT)
        raise mismatch(where(index), "integers up to 2^53 in JSON", "a larger one")


_WIDE = 8


def wanted(prediction: Prediction, request: InferRequest) -> Iterator[tuple[str, NDArray[Any]]]:
    """Return the outputs that are wanted, in order; all of them if none is named.

    The answer of a method that an output was named after has that name.

    Raises:
        InvalidRequest: One does not exist.
    """
    names, arrays = request.outputs, zip(prediction.names, prediction.arrays, strict=True)
    if not names:
        return arrays
    if names == (request.params.get(PREDICT_METHOD),) and names[0] not in prediction.names:
        return zip(names, prediction.arrays, strict=True) if len(prediction.names) == 1 else arrays
    by_name = dict(arrays)
    unknown = [name for name in names if name not in by_name]
    if unknown:
        known = ", ".join(map(repr, by_name))
        raise InvalidRequest(f"The model has no output {shown(unknown[0])}: it has {known}.")
    return iter([(name, by_name[name]) for name in dict.fromkeys(names)])


def output_of(name: str, array: NDArray[Any], *, allows_null: bool) -> Output:
    """Return an output in JSON, flat and in row-major order; a text that is missing is ``null``.

    Raises:
        InvalidRequest: It holds what no tensor can, or NaN or infinity, and ``null`` is not allowed
            for them.
        ModelFailed: Its type is none that a datatype can hold.
    """
    datatype = datatype_of(array.dtype)
    data = plain_list(array.reshape(-1))
    if datatype == BYTES and not set(map(type, data)) <= {str, bytes, NoneType}:
        raise no_tensor(name)
    if not allows_null and _has_gaps(array, data):
        raise InvalidRequest(
            f"Output {shown(name)} holds values that JSON has no word for (NaN or infinity):"
            f' ask for it as raw bytes, or send the parameter "{NULLS}": true to get null for them.'
        )
    return Output(name, array.shape, datatype, data)


def _has_gaps(array: NDArray[Any], data: list[Any]) -> bool:
    if array.dtype.kind != "f":
        return False
    # A finite sum has only finite terms, and is quicker to ask; an infinite one may have too.
    return not math.isfinite(sum(data)) and not np.isfinite(array).all()
