"""Ids of requests: UUIDs of version 7, from random digits made a block at a time.

Called by ``dispatch``, ``flights`` and ``grpc_server``, once for every request.
"""

import os
import time

_NOISE_BYTES = 10
_DIGITS = 2 * _NOISE_BYTES
_IDS_AT_ONCE = 256
_MOMENT = 2**48 - 1
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


class RequestIds:
    """Gives ids. One per worker, event loop only.

    The kernel is asked for the chance of many ids at once, and the time is written once in a
    millisecond: what is left takes a third of a microsecond.
    """

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0
        self._now_ms = -1
        self._moment = ""

    def take(self) -> str:
        """Return an id that was never returned before."""
        now_ms = time.time_ns() // 1_000_000
        if now_ms != self._now_ms:
            self._now_ms, self._moment = now_ms, _write_moment(now_ms)
        at = self._at
        if at >= len(self._digits):
            self._digits, at = os.urandom(_NOISE_BYTES * _IDS_AT_ONCE).hex(), 0
        self._at = at + _DIGITS
        return _join(self._moment, self._digits[at : at + _DIGITS])


def new_request_id(now_ms: int, noise: bytes) -> str:
    """Return a UUID of version 7 (RFC 9562).

    Args:
        now_ms: The time.
        noise: 10 random bytes, of which 74 bits are used.
    """
    return _join(_write_moment(now_ms), noise.hex())


def _write_moment(now_ms: int) -> str:
    digits = f"{now_ms & _MOMENT:012x}"
    return f"{digits[:8]}-{digits[8:]}-7"


def _join(moment: str, chance: str) -> str:
    low = f"{chance[:3]}-{_VARIANTS[chance[3]]}{chance[4:7]}-{chance[7:19]}"
    return moment + low
