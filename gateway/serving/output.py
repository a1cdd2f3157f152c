"""What a runner prints: the last of it is kept for whoever asks why a model failed.

The model's process is slowed down when it prints faster than it is read, the worker never.
"""

import asyncio
import os

_KEPT_BYTES = 1 << 16
_PIECE_BYTES = 1 << 16
_PAUSE_S = 0.05
"""Between two reads: at most 1.25 MiB a second of the worker's time goes into reading."""


class Output:
    """The reading end of a runner's stdout and stderr. One per runner.

    Read in the load thread before ``attach``, on the event loop afterwards.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self._kept = bytearray()
        self._loop: asyncio.AbstractEventLoop | None = None

    def read(self) -> bool:
        """Take what is there now, up to a limit, and tell whether more may come."""
        try:
            piece = os.read(self.descriptor, _PIECE_BYTES)
        except BlockingIOError:
            return True
        self._kept += piece
        del self._kept[:-_KEPT_BYTES]
        return bool(piece)

    def tail(self) -> str:
        """Return the last of what was printed."""
        return self._kept.decode(errors="replace")

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on reading on the event loop."""
        self._loop = loop
        loop.add_reader(self.descriptor, self._on_readable)

    def close(self) -> None:
        """Stop reading. On the event loop, if it was attached."""
        if self.descriptor < 0:
            return
        if self._loop is not None:
            self._loop.remove_reader(self.descriptor)
        os.close(self.descriptor)
        self.descriptor = -1

    def _on_readable(self) -> None:
        loop = self._loop
        if loop is None:
            return
        loop.remove_reader(self.descriptor)
        if self.read():
            loop.call_later(_PAUSE_S, self._resume)

    def _resume(self) -> None:
        if self.descriptor >= 0 and self._loop is not None:
            self._loop.add_reader(self.descriptor, self._on_readable)
