"""Work that is waited for while there is time for it. Event loop only.

Called by ``talks`` and ``grpc_talks`` before each piece, by the deadlines of ``deadlines``.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tracking.errors import DeadlineExceeded


async def in_time(begin: Callable[[], Awaitable[Any]], until_s: float) -> Any:
    """Do some work of a talk, if there is time for it.

    Args:
        begin: Begins it.
        until_s: When no more of it is of use.

    Raises:
        DeadlineExceeded: There is none, or it took longer.
    """
    left_s = until_s - time.monotonic()
    message = "The model had not told everything when the time for this request was over."
    if left_s <= 0:  # what is there already is had without waiting, and no timer would end it
        raise DeadlineExceeded(message)
    try:
        async with asyncio.timeout(None if left_s == math.inf else left_s):
            return await begin()
    except TimeoutError:
        raise DeadlineExceeded(message) from None
