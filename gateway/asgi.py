"""Bodies in and answers out, as ASGI has them, and faster where our own server is outside.

Used by ``predict`` and ``quick_protocol`` on the event loop.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

REPLY = "stagedoor.reply"
"""The extension of ASGI by which a server takes a whole answer: see ``quick_protocol``."""

IS_PROBE = "is_probe"
"""Set in the state of a request by HEAD that is answered as one by GET, without its bytes."""


class Flight(Protocol):
    """A request that is answered outside of ASGI. Event loop only."""

    def is_over(self) -> bool:
        """Whether the caller has left."""

    def land(self, head: bytes, body: bytes, status: int = 200) -> None:
        """Answer: header lines with their ends, the length among them; a body."""

    def divert(self) -> None:
        """Send the request the usual way, from its beginning: that one knows every refusal."""


class Ticket(Protocol):
    """What a head says of requests, read once and good for all that a connection repeats it in."""

    def board(self, body: bytes, flight: Flight) -> bool:
        """Take a whole request, if it can be answered at once; then the flight lands.

        Args:
            body: All of it.
            flight: The request; diverted if it turns out otherwise later.
        """


FindTicket = Callable[[Scope], Ticket | None]
"""Reads a head, of a request by POST: ``headers`` and ``raw_path``; none leaves it to ASGI."""


_NOTHING: Mapping[str, Any] = {}


async def read_body(receive: Receive) -> bytes:
    """Return the whole body; ``dispatch`` has put a cap on it."""
    message = await receive()
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return first
    pieces = [first]
    while message.get("more_body", False):
        message = await receive()
        pieces.append(message.get("body", b""))
    return b"".join(pieces)


async def send_answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer; its length is added to the headers."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def send_at_once(scope: Scope, head: bytes, body: bytes) -> bool:
    """Send an answer with status 200 at one go, if the server can; tell whether it did.

    Args:
        scope: The request's.
        head: Header lines with their ends; the body's length is added.
        body: All of it.
    """
    reply = scope.get("extensions", _NOTHING).get(REPLY)
    return reply is not None and reply(b"%bcontent-length: %d\r\n" % (head, len(body)), body)


def again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was received already, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again
