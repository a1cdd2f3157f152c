"""A tracking server that knows nothing and answers at once: what a client reaches at the most.

``tracking_bench`` asks the real client to write to it, so that its own work can be told from the
server's. Run under plain uvicorn (httptools, uvloop, one worker).
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from loadtests.bare_uvicorn import bare_uvicorn

_RUN_ID = "0" * 32
_RUN = {
    "info": {
        "run_id": _RUN_ID,
        "run_uuid": _RUN_ID,
        "experiment_id": "0",
        "run_name": "run 0",
        "user_id": "bench",
        "status": "RUNNING",
        "start_time": 0,
        "artifact_uri": f"mlflow-artifacts:/0/{_RUN_ID}/artifacts",
        "lifecycle_stage": "active",
    },
    "data": {"tags": [{"key": "mlflow.runName", "value": "run 0"}]},
}
_ANSWERS = {b"/api/2.0/mlflow/runs/create": msgspec.json.encode({"run": _RUN})}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Read the body, answer the same as always."""
    while (await receive()).get("more_body"):
        pass
    body = _ANSWERS.get(scope["raw_path"], b"{}")
    length = (b"content-length", str(len(body)).encode())
    headers = [(b"content-type", b"application/json"), length]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def instant_server() -> Iterator[str]:
    """Run it for a block, and give its URL."""
    with bare_uvicorn("loadtests.instant:app") as (url, _):
        yield url
