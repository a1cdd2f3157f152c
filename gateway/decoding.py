"""Reads the bodies of predict requests: small ones at once, large ones in a thread of their own.

While a large body is read, others get their turns between two steps of it; small ones are not worth
the hop. ``predict`` calls it on the event loop; next hop: ``protocols.wires``.
"""

import asyncio
import math
import time
from concurrent.futures import ThreadPoolExecutor

from gateway.lines import Asked
from gateway.probe import During
from gateway.protocols.call import ProtocolName
from gateway.protocols.wires import decode
from gateway.serving.admission import Shed
from gateway.serving.callers import CALLER, Caller, priority_of
from gateway.serving.failure import Overloaded
from registry.signature import Signature
from registry.tensors import InferRequest

_LEAST_JSON_BYTES = 256 << 10
"""Takes some milliseconds inline."""

_LEAST_TABLE_BYTES = 16 << 10
"""CSV takes a hundred times as long for each byte, and Parquet unpacks to anything."""

_IN_JSON = frozenset({ProtocolName.V2, ProtocolName.V1, ProtocolName.GENERATE})


def least_large(protocol: ProtocolName, content_type: str | None) -> int:
    """Return from how many bytes on a body is read in a thread."""
    is_json = protocol in _IN_JSON or content_type is None or "json" in content_type.lower()
    return _LEAST_JSON_BYTES if is_json else _LEAST_TABLE_BYTES


class Decoding:
    """One per worker, event loop only. It reads one large body at a time: all share one lock."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    async def read(
        self, asked: Asked, body: bytes, signature: Signature | None, deadline_s: float
    ) -> InferRequest:
        """Read a request's rows.

        Args:
            asked: What stands in its head.
            body: All of it.
            signature: What the version takes.
            deadline_s: When the answer is of no use any more, on the monotonic clock.

        Raises:
            Overloaded: The request's time was over before its body was read.
            StagedoorError: The rows cannot be read, or do not fit the signature.
        """
        with During("decode"):
            request = await self._read(asked, body, signature, deadline_s)
        if request.priority is not None:
            CALLER.set(Caller(asked.caller.key, priority_of(request.priority)))
        return request

    async def _read(
        self, asked: Asked, body: bytes, signature: Signature | None, deadline_s: float
    ) -> InferRequest:
        protocol, head = asked.call.protocol, asked.body_head
        if len(body) < least_large(protocol, head.content_type):
            return decode(protocol, body, head, signature)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="decoding")
        read = asyncio.get_running_loop().run_in_executor(
            self._thread, decode, protocol, body, head, signature
        )
        left_s = None if deadline_s == math.inf else deadline_s - time.monotonic()
        try:
            async with asyncio.timeout(left_s):
                return await read
        except TimeoutError:
            message = "The time for this request was over while its body was read."
            raise Overloaded(message, Shed.LATE) from None
