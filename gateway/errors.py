"""Where HTTP learns of our errors: one table from code to status, and how a refusal is told.

Called by dispatch, predict and the control plane, on the loop. Each protocol writes the same
``(status, code, message)`` in its own shape; ``body`` is the shape of MLflow's REST API.
"""

import logging
import math
import random

import msgspec
from msgspec import Struct

from tracking.errors import StagedoorError, Unavailable

STATUS_BY_CODE: dict[str, int] = {
    "INVALID_PARAMETER_VALUE": 400,
    "BAD_REQUEST": 400,
    "RESOURCE_ALREADY_EXISTS": 400,  # as MLflow has it; its client tells them by code
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "RESOURCE_CONFLICT": 409,
    "GATE_UNMET": 412,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "INTERNAL_ERROR": 500,
    "MODEL_FAILED": 500,  # the rows fit the signature: it is the version that is at fault
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "MODEL_NOT_READY": 503,
    "SCHEMA_OUTDATED": 503,
    "DEADLINE_EXCEEDED": 504,
    "STORAGE_FULL": 507,
}

RETRY_AFTER_S = Unavailable.retry_after_s
_JITTER = 0.5
"""Those who are refused together come back within half as long again, not at the same moment."""
_LOG = logging.getLogger("stagedoor.errors")
RETRYABLE = frozenset({429, 503})
_UNAUTHENTICATED = 401


class Refusal(Struct, frozen=True):
    """What a caller is told instead of an answer. Immutable.

    Args:
        status: The HTTP status.
        code: The code of the error, stable.
        message: What was asked, what is the case, what to do.
        request_id: The id of the request, or an empty text.
        retry_after_s: When to try again, where that may help.
    """

    status: int
    code: str
    message: str
    request_id: str = ""
    retry_after_s: float = RETRY_AFTER_S

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may be answered at another time; it was not executed."""
        return self.status in RETRYABLE

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that belong to this status: when to retry, how to prove oneself."""
        headers = []
        if self.is_retryable:
            whole_s = max(1, math.ceil(self.retry_after_s))
            headers.append((b"retry-after", str(whole_s).encode()))
        if self.status == _UNAUTHENTICATED:
            headers.append((b"www-authenticate", b'Basic realm="stagedoor", charset="UTF-8"'))
        return headers

    def body(self) -> bytes:
        """Return the JSON that MLflow's clients understand."""
        told: dict[str, object] = {"error_code": self.code, "message": self.message}
        return msgspec.json.encode(told | {"retryable": True} if self.is_retryable else told)


def status_of(code: str) -> int:
    """Return the HTTP status for an error's code."""
    return STATUS_BY_CODE.get(code, 500)


def render(error: BaseException, request_id: str) -> Refusal:
    """Turn an exception into what the caller may know of it.

    An exception that is not ours is logged with its stack, and told with the request id alone.
    """
    if isinstance(error, StagedoorError) and error.code != StagedoorError.code:
        status, after_s = status_of(error.code), _retry_after_s(error)
        return Refusal(status, error.code, error.message, request_id, after_s)
    _LOG.error("request %s failed", request_id, exc_info=error)
    message = f"Internal error. The log has the cause under request id {request_id!r}."
    return Refusal(500, StagedoorError.code, message, request_id)


def _retry_after_s(error: StagedoorError) -> float:
    if not isinstance(error, Unavailable):
        return RETRY_AFTER_S
    return error.retry_after_s * (1.0 + random.uniform(0.0, _JITTER))  # noqa: S311 - no secret
