"""Open Inference Protocol v2 over gRPC: the bytes of ``ModelInfer``, both ways. Pure.

Called by ``gateway/predict.py`` on the event loop, for calls that ``gateway/grpc_server.py`` took.
Raw tensors exclude typed ones, in a request and in an answer; who sends raw, or asks for one output
raw, is answered raw.
"""

import importlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.protocols.answers import no_tensor, plain_list
from gateway.protocols.arrays import conform_inputs
from gateway.protocols.caps import MAX_ELEMENTS
from gateway.protocols.datatypes import BYTES, datatype_element, datatype_of
from gateway.protocols.elements import convert
from gateway.protocols.plan import plan_for
from gateway.protocols.raw_tensors import checked_count, missing_in, read_raw, write_raw
from gateway.protocols.refusals import in_tensor, no_rows, shown
from gateway.protocols.v2_binary import as_text
from gateway.protocols.v2_messages import message
from gateway.protocols.v2_request import Wanted, check_served, request_of
from gateway.protocols.v2_rest import named, wanted
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import Batch, InferRequest, Prediction
from tracking.errors import InvalidRequest, MalformedBody, TooLarge

CONTENTS = {
    "BOOL": "bool_contents", "INT64": "int64_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents", BYTES: "bytes_contents",
} | dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents") | dict.fromkeys(
    ("UINT8", "UINT16", "UINT32"), "uint_contents"
)  # fmt: skip
"""In which field the values of a datatype stand; one that is not here goes raw only."""


def parse(name: str, body: bytes) -> Any:
    """Read the bytes of a message.

    Raises:
        MalformedBody: They are none of that name.
    """
    decode_error = importlib.import_module("google.protobuf.message").DecodeError
    try:
        return message(name).FromString(body)
    except decode_error as error:
        raise MalformedBody(f"The message is no {name}.") from error


def decode(body: bytes, content_type: str | None, signature: Signature | None) -> InferRequest:
    """Read the tensors of a request.

    Raises:
        TooLarge: It holds too many values.
        MalformedBody: It is no request, or mixes raw tensors with typed ones.
        InvalidRequest: A datatype or shape is none.
        InputMismatch: The tensors do not fit the signature.
    """
    del content_type
    request = parse("ModelInferRequest", body)
    if not request.inputs:
        raise no_rows()
    plan = plan_for(signature)
    return asked_of(request, conform_inputs(as_text(arrays_of(request), plan), plan), signature)


def arrays_of(request: Any) -> dict[str, NDArray[Any]]:
    """Return the tensors of a request that was parsed; BYTES may be bytes.

    Raises:
        TooLarge: It holds too many values.
        MalformedBody: It mixes raw tensors with typed ones.
        InvalidRequest: A datatype or shape is none.
    """
    return named(_raw_arrays(request) if request.raw_input_contents else _typed_arrays(request))


def asked_of(request: Any, batch: Batch, signature: Signature | None) -> InferRequest:
    """Put rows, and what else a parsed request says, together.

    Raises:
        MalformedBody: A parameter has the wrong type.
        InvalidRequest: It asks for something that is not served here.
    """
    outputs = [Wanted(output.name, params_of(output.parameters)) for output in request.outputs]
    params = params_of(request.parameters)
    made = request_of(batch, request.id or None, params, outputs, signature)
    return msgspec.structs.replace(made, is_raw=True) if request.raw_input_contents else made


def encode(prediction: Prediction, request: InferRequest, key: VersionKey) -> bytes:
    """Write the bytes of a ``ModelInferResponse``.

    Raises:
        InvalidRequest: An output that is wanted does not exist, or holds what no tensor can.
        ModelFailed: The model answered with something that no datatype can hold.
    """
    outputs = list(wanted(prediction, request))
    is_raw = any(
        request.raw_by_name.get(name, request.is_raw) or datatype_of(array.dtype) not in CONTENTS
        for name, array in outputs
    )
    answer = message("ModelInferResponse")(
        model_name=key.model, model_version=str(key.version), id=request.request_id or ""
    )
    for name, array in outputs:
        datatype = datatype_of(array.dtype)
        tensor = answer.outputs.add(name=name, datatype=datatype, shape=array.shape)
        for parameter, positions in missing_in(array).items():
            tensor.parameters[parameter].string_param = positions
        if is_raw:
            answer.raw_output_contents.append(write_raw(array, name=name))
        else:
            values = _texts(array, name) if datatype == BYTES else array.reshape(-1).tolist()
            getattr(tensor.contents, CONTENTS[datatype]).extend(values)
    written: bytes = answer.SerializeToString()
    return written


def render_error(status: int, code: str, message: str, request_id: str) -> bytes:
    """Write the details of a refusal; its status is gRPC's own."""
    del status, code, request_id
    return message.encode()


def _raw_arrays(request: Any) -> list[tuple[str, NDArray[Any]]]:
    if len(request.raw_input_contents) != len(request.inputs):
        raise MalformedBody("'raw_input_contents' needs one entry for each of 'inputs'.")
    arrays = []
    for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
        check_served(params_of(tensor.parameters), tensor.name)
        if tensor.HasField("contents"):
            message = f"Input {shown(tensor.name)} has 'contents' beside 'raw_input_contents'."
            raise MalformedBody(message)
        shape = tuple(tensor.shape)
        arrays.append(
            (tensor.name, read_raw(memoryview(raw), tensor.datatype, shape, name=tensor.name))
        )
    return arrays


def _typed_arrays(request: Any) -> list[tuple[str, NDArray[Any]]]:
    return [(tensor.name, _typed_array(tensor)) for tensor in request.inputs]


def _typed_array(tensor: Any) -> NDArray[Any]:
    check_served(params_of(tensor.parameters), tensor.name)
    field = CONTENTS.get(tensor.datatype)
    if field is None:
        message = (
            f"Input {shown(tensor.name)}: {tensor.datatype[:32]!r} goes raw, or is no datatype"
        )
        raise InvalidRequest(f"{message}: use one of {', '.join(CONTENTS)}.")
    values = getattr(tensor.contents, field)
    shape = tuple(tensor.shape)
    if len(values) > MAX_ELEMENTS:
        raise TooLarge(f"Input {shown(tensor.name)} holds more than {MAX_ELEMENTS} values.")
    if checked_count(shape, tensor.name) != len(values):
        message = f"Input {shown(tensor.name)}: 'shape' and {field!r} differ in their number of"
        raise InvalidRequest(f"{message} values. Got {len(values)} values.")
    if tensor.datatype == BYTES:
        made = np.empty(len(values), dtype=object)
        made[:] = list(values)
        return made.reshape(shape)
    if tensor.datatype.startswith("FP"):
        return np.array(values, datatype_element(tensor.datatype).dtype).reshape(shape)
    where = in_tensor(tensor.name, shape)
    return convert(list(values), datatype_element(tensor.datatype), where).reshape(shape)


def params_of(parameters: Any) -> dict[str, Any] | None:
    """Return what stands in a map of parameters; ``None`` where nothing does."""
    found = {}
    for name, value in parameters.items():
        choice = value.WhichOneof("parameter_choice")
        found[name] = None if choice is None else getattr(value, choice)
    return found or None


def _texts(array: NDArray[Any], name: str) -> list[bytes]:
    values = []
    for value in plain_list(array.reshape(-1)):
        if not isinstance(value, str | bytes | None):
            raise no_tensor(name)
        text = value or b""  # ``missing_in`` says where there is none
        values.append(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return values
