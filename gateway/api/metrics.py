"""The page for Prometheus. Litestar calls it in a thread: it reads the files of all workers."""

from litestar import Response, get

from gateway.auth.policy import Permission
from gateway.metrics import CONTENT_TYPE, scrape


@get("/metrics", sync_to_thread=True, opt={"permission": Permission.READ}, include_in_schema=False)
def metrics() -> Response[bytes]:
    """Return the counts of all workers of this server."""
    return Response(scrape(), media_type=CONTENT_TYPE)


HANDLERS = [metrics]
