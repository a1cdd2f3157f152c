"""What a worker holds of predict requests: how many, and how many bytes, for each model and in all.

A request is counted from before its body is read until its answer is sent, so that no number of
callers fills the memory, and no model takes the room of all. Requests that an engine answers in the
turn in which they come are not counted. Event loop only; used by ``predict`` and ``grpc_server``.
"""

from typing import Self

from gateway.asgi import Message, Receive
from gateway.serving.admission import Shed, fits
from gateway.serving.callers import ANYBODY, CALLER, Caller
from gateway.serving.failure import Overloaded


class Intake:
    """One per worker.

    Args:
        max_requests: Cap on requests that are held.
        max_bytes: Cap on the bytes of their bodies.
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self.requests = 0
        self.bytes = 0
        self._shares: dict[str, Share] = {}

    def hold(self, model: str | None, size: int, caller: Caller = ANYBODY) -> "Hold":
        """Hold a request for the length of a ``with`` block, and note who asks.

        Args:
            model: Which it is for.
            size: Bytes of its body; -1 while they are not known.
            caller: Who asks.
        """
        CALLER.set(caller)
        name = model or ""
        return Hold(self, self._shares.get(name) or Share(name), size)

    def take(self, share: "Share", requests: int, size: int) -> None:
        """Count what is held from now on.

        Raises:
            Overloaded: It does not fit.
        """
        held, held_bytes = self.requests + requests, self.bytes + size
        # Below half of a limit everything fits.
        if held * 2 > self._max_requests or held_bytes * 2 > self._max_bytes:
            self._check(share, requests, size)
        if not share.requests:
            self._shares[share.model] = share
        self.requests, self.bytes = held, held_bytes
        share.requests += requests
        share.bytes += size

    def give_back(self, share: "Share", size: int) -> None:
        """Count one request less, and its bytes."""
        self.requests -= 1
        self.bytes -= size
        share.requests -= 1
        share.bytes -= size
        if not share.requests:
            self._shares.pop(share.model, None)

    def _check(self, share: "Share", requests: int, size: int) -> None:
        if requests and not fits(requests, share.requests, self.requests, self._max_requests):
            message = f"{self.requests} requests are held here, as many as may: try again shortly."
            raise Overloaded(message, Shed.REQUESTS)
        if size and not fits(size, share.bytes, self.bytes, self._max_bytes):
            message = f"{self.bytes} bytes of requests are held here: try again shortly."
            raise Overloaded(message, Shed.BYTES)


class Share:
    """What is held for one model, while anything is. Event loop only."""

    __slots__ = ("bytes", "model", "requests")

    def __init__(self, model: str) -> None:
        self.model = model
        self.requests = 0
        self.bytes = 0


class Hold:
    """One request that is held. Event loop only."""

    __slots__ = ("_intake", "_is_known", "_share", "_size")

    def __init__(self, intake: Intake, share: Share, size: int) -> None:
        self._intake = intake
        self._share = share
        self._is_known = size >= 0
        self._size = max(0, size)

    def __enter__(self) -> Self:
        """Begin to hold it.

        Raises:
            Overloaded: It does not fit.
        """
        self._intake.take(self._share, 1, self._size)
        return self

    def __exit__(self, *_error: object) -> None:
        """Hold it no longer."""
        self._intake.give_back(self._share, self._size)

    def counted(self, receive: Receive) -> Receive:
        """Return what receives the body, and counts one whose length was not told as it comes."""
        if self._is_known:
            return receive

        async def receive_counted() -> Message:
            message = await receive()
            size = len(message.get("body", b""))
            self._intake.take(self._share, 0, size)
            self._size += size
            return message

        return receive_counted
