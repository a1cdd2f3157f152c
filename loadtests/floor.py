"""The floor: a bare ASGI callable that answers the same few bytes to everything.

Run by ``bench`` under plain uvicorn (httptools, uvloop, one worker).
"""

from collections.abc import Awaitable, Callable
from typing import Any

_ANSWER = b'{"predictions":[0]}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_ANSWER)).encode()),
    ],
}
_BODY = {"type": "http.response.body", "body": _ANSWER}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Read the body, answer."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send(_BODY)
