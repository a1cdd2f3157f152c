"""The page for Prometheus. Litestar calls it in a thread: it reads the files of all workers."""

from typing import Any

from litestar import Request, Response, get

from gateway.auth.policy import Permission
from gateway.metrics import CONTENT_TYPE, scrape
from gateway.openmetrics import OPENMETRICS, prefers_openmetrics, scrape_openmetrics


@get("/metrics", sync_to_thread=True, opt={"permission": Permission.READ}, include_in_schema=False)
def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the counts of all workers of this server."""
    if prefers_openmetrics(request.headers.get("accept", "")):
        return Response(scrape_openmetrics(), media_type=OPENMETRICS)
    return Response(scrape(), media_type=CONTENT_TYPE)


HANDLERS = [metrics]
