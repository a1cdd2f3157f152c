"""The worker's end of a talk: the pieces of one answer, kept until somebody takes them.

Made by ``runner``, read by ``gateway/talks.py``; on the event loop. At most ``CREDIT`` pieces are
under way or wait here: who reads slowly slows the model down, and fills no memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from gateway.serving.frames import FrameError
from tracking.errors import StagedoorError

CREDIT = 16
"""Pieces that may be sent before the first of them is taken."""

_GRANT = CREDIT // 2


class Talk:
    """One answer in pieces; an async iterator. Event loop only.

    Args:
        document: What it is about in place of rows; none where it is about rows.
        is_stream: Whether pieces are wanted, or all at once.

    Attributes:
        grant: Lets the model give so many pieces more; set when the call is made.
        stop: Says that no more are wanted; likewise.
    """

    def __init__(self, document: dict[str, Any] | None, *, is_stream: bool) -> None:
        self.document = document
        self.is_stream = is_stream
        self.grant: Callable[[int], None] = _tell_nobody
        self.stop: Callable[[], None] = _stop_nothing
        self._pieces: deque[Any] = deque()
        self._credit = CREDIT
        self._taken = 0
        self._error: StagedoorError | None = None
        self._is_over = False
        self._is_closed = False
        self._came = asyncio.Event()

    def __aiter__(self) -> "Talk":
        """Return itself."""
        return self

    async def __anext__(self) -> Any:
        """Return the next piece.

        Raises:
            StagedoorError: The model failed, or is gone.
        """
        while not self._pieces:
            if self._error is not None:
                raise self._error
            if self._is_over:
                raise StopAsyncIteration
            self._came.clear()
            await self._came.wait()
        self._taken += 1
        if self._taken >= _GRANT and not self._is_over:
            self._credit += self._taken
            self.grant(self._taken)
            self._taken = 0
        return self._pieces.popleft()

    def close(self) -> None:
        """Want no more of it."""
        if not self._is_closed and not self._is_over:
            self._is_closed = True
            self._pieces.clear()
            self.stop()

    @property
    def is_waited_for(self) -> bool:
        """Whether it is the model's turn: the worker waits for a piece, or for the end."""
        return self._credit > 0 or self._is_closed

    # --- the runner calls these -------------------------------------------------------------------

    def put(self, piece: Any) -> None:
        """Take in a piece.

        Raises:
            FrameError: There was no credit for it.
        """
        self._credit -= 1
        if self._credit < 0:
            raise FrameError("A piece came for which there was no credit.")
        if not self._is_closed:
            self._pieces.append(piece)
            self._came.set()

    def end(self, error: StagedoorError | None = None) -> None:
        """Have no more pieces after those that are here, and maybe an error."""
        self._is_over = True
        self._error = error
        self._came.set()


def _tell_nobody(_pieces: int) -> None:
    """Say nothing: nobody was asked yet."""


def _stop_nothing() -> None:
    """Say nothing: nobody was asked yet."""
