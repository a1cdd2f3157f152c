"""The messages of v2 over gRPC, by name, number and type: what goes over the wire, and reflection.

Called by ``v2_grpc.py`` and ``gateway/grpc_server.py``. Classes are made from these tables at the
first use; protobuf is there if ``stagedoor[grpc]`` was installed.
"""

import importlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

PACKAGE = "inference"
SERVICE = "GRPCInferenceService"

_PARAMETERS = "map InferParameter"
MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "ServerLiveRequest": {},
    "ServerLiveResponse": {"live": (1, "bool")},
    "ServerReadyRequest": {},
    "ServerReadyResponse": {"ready": (1, "bool")},
    "ModelReadyRequest": {"name": (1, "string"), "version": (2, "string")},
    "ModelReadyResponse": {"ready": (1, "bool")},
    "ServerMetadataRequest": {},
    "ServerMetadataResponse": {
        "name": (1, "string"), "version": (2, "string"), "extensions": (3, "repeated string"),
    },
    "ModelMetadataRequest": {"name": (1, "string"), "version": (2, "string")},
    "TensorMetadata": {
        "name": (1, "string"), "datatype": (2, "string"), "shape": (3, "repeated int64"),
    },
    "ModelMetadataResponse": {
        "name": (1, "string"), "versions": (2, "repeated string"), "platform": (3, "string"),
        "inputs": (4, "repeated TensorMetadata"), "outputs": (5, "repeated TensorMetadata"),
    },
    "InferParameter": {
        "bool_param": (1, "choice bool"), "int64_param": (2, "choice int64"),
        "string_param": (3, "choice string"), "double_param": (4, "choice double"),
        "uint64_param": (5, "choice uint64"),
    },
    "InferTensorContents": {
        "bool_contents": (1, "repeated bool"), "int_contents": (2, "repeated int32"),
        "int64_contents": (3, "repeated int64"), "uint_contents": (4, "repeated uint32"),
        "uint64_contents": (5, "repeated uint64"), "fp32_contents": (6, "repeated float"),
        "fp64_contents": (7, "repeated double"), "bytes_contents": (8, "repeated bytes"),
    },
    "InferTensor": {
        "name": (1, "string"), "datatype": (2, "string"), "shape": (3, "repeated int64"),
        "parameters": (4, _PARAMETERS), "contents": (5, "InferTensorContents"),
    },
    "InferRequestedOutput": {"name": (1, "string"), "parameters": (2, _PARAMETERS)},
    "ModelInferRequest": {
        "model_name": (1, "string"), "model_version": (2, "string"), "id": (3, "string"),
        "parameters": (4, _PARAMETERS), "inputs": (5, "repeated InferTensor"),
        "outputs": (6, "repeated InferRequestedOutput"),
        "raw_input_contents": (7, "repeated bytes"),
    },
    "ModelInferResponse": {
        "model_name": (1, "string"), "model_version": (2, "string"), "id": (3, "string"),
        "parameters": (4, _PARAMETERS), "outputs": (5, "repeated InferTensor"),
        "raw_output_contents": (6, "repeated bytes"),
    },
    "ModelStreamInferResponse": {
        "error_message": (1, "string"), "infer_response": (2, "ModelInferResponse"),
    },
    "RepositoryIndexRequest": {"repository_name": (1, "string"), "ready": (2, "bool")},
    "ModelIndex": {
        "name": (1, "string"), "version": (2, "string"), "state": (3, "string"),
        "reason": (4, "string"),
    },
    "RepositoryIndexResponse": {"models": (1, "repeated ModelIndex")},
    "ModelRepositoryParameter": {
        "bool_param": (1, "choice bool"), "int64_param": (2, "choice int64"),
        "string_param": (3, "choice string"), "bytes_param": (4, "choice bytes"),
    },
    "RepositoryModelLoadRequest": {
        "repository_name": (1, "string"), "model_name": (2, "string"),
        "parameters": (3, "map ModelRepositoryParameter"),
    },
    "RepositoryModelLoadResponse": {},
    "RepositoryModelUnloadRequest": {
        "repository_name": (1, "string"), "model_name": (2, "string"),
        "parameters": (3, "map ModelRepositoryParameter"),
    },
    "RepositoryModelUnloadResponse": {},
}  # fmt: skip
"""Message to field to number and type."""

METHODS = (
    "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer",
    "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload",
)  # fmt: skip
"""One request, one response, named after the method."""
STREAM = "ModelStreamInfer"
"""Many ``ModelInferRequest``, as many ``ModelStreamInferResponse``."""


@lru_cache(maxsize=1)
def descriptor_pool() -> Any:
    """Return the pool that knows all messages and the service."""
    pb2 = importlib.import_module("google.protobuf.descriptor_pb2")
    pool = importlib.import_module("google.protobuf.descriptor_pool").DescriptorPool()
    file = pb2.FileDescriptorProto(name="inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        _add_message(file, name, fields)
    service = file.service.add(name=SERVICE)
    for method in METHODS:
        service.method.add(
            name=method,
            input_type=f".{PACKAGE}.{method}Request",
            output_type=f".{PACKAGE}.{method}Response",
        )
    service.method.add(
        name=STREAM,
        input_type=f".{PACKAGE}.ModelInferRequest",
        output_type=f".{PACKAGE}.{STREAM}Response",
        client_streaming=True,
        server_streaming=True,
    )
    pool.Add(file)
    return pool


@lru_cache(maxsize=len(MESSAGES))
def message(name: str) -> Any:
    """Return the class of a message."""
    factory = importlib.import_module("google.protobuf.message_factory")
    return factory.GetMessageClass(descriptor_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def _add_message(file: Any, name: str, fields: Mapping[str, tuple[int, str]]) -> None:
    made = file.message_type.add(name=name)
    if any(kind.startswith("choice ") for _, kind in fields.values()):
        made.oneof_decl.add(name="parameter_choice")
    for field_name, (number, kind) in fields.items():
        label, _, base = kind.rpartition(" ")
        field = made.field.add(name=field_name, number=number)
        is_many = label in ("repeated", "map")
        field.label = field.LABEL_REPEATED if is_many else field.LABEL_OPTIONAL
        if label == "choice":
            field.oneof_index = 0
        if label == "map":
            base = _add_entry(made, name, field_name, base)
        _set_type(field, base)


def _add_entry(made: Any, name: str, field_name: str, base: str) -> str:
    """Add the message of a map's entries, as protobuf wants it, and return its name."""
    entry = made.nested_type.add(name=f"{field_name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, (key, kind) in enumerate((("key", "string"), ("value", base)), start=1):
        field = entry.field.add(name=key, number=number)
        field.label = field.LABEL_OPTIONAL
        _set_type(field, kind)
    return f"{name}.{entry.name}"


def _set_type(field: Any, kind: str) -> None:
    if kind[0].isupper():
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
