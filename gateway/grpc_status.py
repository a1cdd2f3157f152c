"""How a refusal is told over gRPC: its status, and what stands in the trailers.

Called by ``grpc_server`` and ``grpc_health`` on the event loop.
"""

import importlib
import math
from http import HTTPStatus
from typing import Any

from gateway.errors import Refusal

_CODES = {
    401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "UNIMPLEMENTED",
    409: "FAILED_PRECONDITION", 412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 507: "RESOURCE_EXHAUSTED",
}  # fmt: skip
"""HTTP's status to gRPC's: any other below 500 is INVALID_ARGUMENT, any above INTERNAL."""

Metadata = tuple[tuple[str, str], ...]


def code_of(status: int) -> str:
    """Return the name of gRPC's status for one of HTTP's."""
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return _CODES.get(status, "INTERNAL" if is_ours else "INVALID_ARGUMENT")


def trailers(refusal: Refusal) -> Metadata:
    """Return what is told beside a refusal's status and message."""
    told = (("stagedoor-request-id", refusal.request_id), ("stagedoor-code", refusal.code))
    after_ms = str(math.ceil(refusal.retry_after_s * 1000))
    return (*told, ("retry-after-ms", after_ms)) if refusal.is_retryable else told


async def end(context: Any, refusal: Refusal) -> None:
    """End a call by a refusal, beside what was set to be told already; does not return."""
    code = getattr(importlib.import_module("grpc").StatusCode, code_of(refusal.status))
    told = {**dict(context.trailing_metadata() or ()), **dict(trailers(refusal))}
    await context.abort(code, refusal.message, tuple(told.items()))
    raise AssertionError(code)  # abort has raised
