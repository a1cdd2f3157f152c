"""The protocols by name: which module reads and writes the bytes of a call. Pure.

Called by ``gateway/predict.py`` on the event loop, for every predict request.
"""

from typing import Protocol

from msgspec import Struct

from gateway.protocols import mlflow_scoring, v1_rest, v2_binary, v2_generate, v2_grpc, v2_rest
from gateway.protocols.call import ProtocolName
from registry.route import VersionKey
from registry.signature import Signature
from registry.tensors import InferRequest, Prediction

HEAD_LENGTH = v2_binary.HEAD_LENGTH.lower().encode()
"""The header that tells how long the JSON before raw tensors is, as ASGI writes names."""
JSON = (b"content-type", b"application/json")
"""The header of every answer and refusal that is JSON."""
_OCTETS = (b"content-type", v2_binary.CONTENT_TYPE)


class Wire(Protocol):
    """What a protocol does with bytes; ``mlflow_scoring`` and ``v2_rest`` are such."""

    def decode(
        self, body: bytes, content_type: str | None, signature: Signature | None
    ) -> InferRequest:
        """Read a request's rows."""

    def encode(self, prediction: Prediction, request: InferRequest, key: VersionKey) -> bytes:
        """Write an answer."""

    def render_error(self, status: int, code: str, message: str, request_id: str) -> bytes:
        """Write a refusal."""


WIRES: dict[ProtocolName, Wire] = {
    ProtocolName.MLFLOW: mlflow_scoring,
    ProtocolName.V1: v1_rest,
    ProtocolName.V2: v2_rest,
    ProtocolName.GENERATE: v2_generate,
    ProtocolName.V2_GRPC: v2_grpc,
}


class BodyHead(Struct, frozen=True, gc=False):
    """What the headers of a request say about its body. Immutable.

    Args:
        content_type: As it came; ``None`` if not told.
        head_length: How long the JSON before raw tensors is, as it came; ``None`` if not told.
    """

    content_type: str | None = None
    head_length: str | None = None


class Encoded(Struct, frozen=True, gc=False):
    """An answer's bytes, and the headers that describe them. Immutable."""

    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,)


def decode(
    protocol: ProtocolName, body: bytes, head: BodyHead, signature: Signature | None
) -> InferRequest:
    """Read a request's rows, in the protocol's own way.

    Raises:
        StagedoorError: They cannot be read, or do not fit the signature.
    """
    if head.head_length is not None and protocol is ProtocolName.V2:
        return v2_binary.decode(body, head.content_type, head.head_length, signature)
    return WIRES[protocol].decode(body, head.content_type, signature)


def encode(
    protocol: ProtocolName, prediction: Prediction, request: InferRequest, key: VersionKey
) -> Encoded:
    """Write an answer, as the request wants it.

    Raises:
        StagedoorError: It cannot be written so.
    """
    if protocol is not ProtocolName.V2 or is_plain(request):
        return Encoded(WIRES[protocol].encode(prediction, request, key))
    body, head_length = v2_binary.encode(prediction, request, key)
    if head_length is None:
        return Encoded(body)
    return Encoded(body, (_OCTETS, (HEAD_LENGTH, str(head_length).encode())))


def is_plain(request: InferRequest) -> bool:
    """Say whether a request wants its answer as JSON, all of it."""
    return not (request.is_raw or request.raw_by_name)
