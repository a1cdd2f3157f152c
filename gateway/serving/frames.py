"""Frames on the socket between a worker and its runner: a length, a header, raw bytes. Pure.

Both ends treat the other as hostile: every length is checked before anything is kept for it.
What the header means is ``messages``'s; who reads and writes is ``runner``'s and
``runner_process``'s.
"""

import struct
from collections.abc import Sequence

from msgspec import Struct

_PREFIX = struct.Struct("<IQ")
"""Length of the header, length of the body, both in bytes."""

MAX_HEADER_BYTES = 1 << 20
"""A header holds names, shapes and params: one MiB is far above any honest one."""


class FrameError(ValueError):
    """These bytes are no frame, or these values cannot be sent in one."""


class Frame(Struct, frozen=True):
    """One message. Immutable, but for the body, which arrays are views of.

    Args:
        header: The message, as msgpack.
        body: The bytes of its arrays, one after the other.
    """

    header: bytes
    body: bytearray


def pack(
    header: bytes, chunks: Sequence[memoryview], *, max_frame_bytes: int
) -> list[bytes | memoryview]:
    """Return the buffers to write for one frame, in order.

    Raises:
        FrameError: The other end would refuse it as too large.
    """
    body_bytes = sum(chunk.nbytes for chunk in chunks)
    _check_lengths(len(header), body_bytes, max_frame_bytes)
    return [_PREFIX.pack(len(header), body_bytes) + header, *chunks]


class Assembler:
    """Puts frames together from the pieces that a socket gives. One per socket and direction.

    Args:
        max_frame_bytes: The largest body accepted.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._received = bytearray()

    def feed(self, piece: bytes) -> list[Frame]:
        """Take a piece and return the frames that it completes.

        Raises:
            FrameError: A length is over its limit; the stream is of no further use.
        """
        self._received += piece
        frames = []
        while (frame := self._take()) is not None:
            frames.append(frame)
        return frames

    def _take(self) -> Frame | None:
        received = self._received
        if len(received) < _PREFIX.size:
            return None
        header_bytes, body_bytes = _PREFIX.unpack_from(received)
        _check_lengths(header_bytes, body_bytes, self._max_frame_bytes)
        body_start = _PREFIX.size + header_bytes
        end = body_start + body_bytes
        if len(received) < end:
            return None
        frame = Frame(bytes(received[_PREFIX.size : body_start]), received[body_start:end])
        del received[:end]
        return frame


def _check_lengths(header_bytes: int, body_bytes: int, max_frame_bytes: int) -> None:
    if header_bytes > MAX_HEADER_BYTES:
        raise FrameError(f"A header of {header_bytes} bytes is over {MAX_HEADER_BYTES}.")
    if body_bytes > max_frame_bytes:
        raise FrameError(f"A body of {body_bytes} bytes is over {max_frame_bytes}.")
