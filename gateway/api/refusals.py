"""How the control plane refuses: our errors, Litestar's own, and anything else, in one shape.

``app.py`` gives ``EXCEPTION_HANDLERS`` to Litestar, which calls them on the event loop.
"""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from gateway.errors import render
from tracking.errors import (
    EndpointMissing,
    InvalidRequest,
    MalformedBody,
    MethodRefused,
    PermissionDenied,
    StagedoorError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)

_SERVER_ERROR = 500
_BY_STATUS: dict[int, type[StagedoorError]] = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: PermissionDenied,
    404: EndpointMissing,
    405: MethodRefused,
    413: TooLarge,
    415: UnsupportedMedia,
    422: MalformedBody,
    429: Unavailable,
    503: Unavailable,
}


def refuse(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer an exception with MLflow's error body."""
    refusal = render(_ours(request, error), request.state.get("request_id", ""))
    headers = {name.decode(): value.decode() for name, value in refusal.headers()}
    return Response(
        refusal.body(),
        status_code=refusal.status,
        headers=headers,
        media_type="application/json",
    )


def _ours(request: Request[Any, Any, Any], error: Exception) -> Exception:
    """Turn an exception of Litestar into the one of ours that says the same."""
    if isinstance(error, StagedoorError) or not isinstance(error, HTTPException):
        return error
    if error.status_code >= _SERVER_ERROR and error.status_code not in _BY_STATUS:
        return error
    ours = _BY_STATUS.get(error.status_code, InvalidRequest)
    if ours is EndpointMissing:
        return EndpointMissing(f"There is nothing at {request.scope['path']!r}.")
    if ours is MethodRefused:
        message = f"{request.scope['path']!r} does not take the method {request.method}."
        return MethodRefused(message)
    return ours(error.detail)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {Exception: refuse, HTTPException: refuse}
