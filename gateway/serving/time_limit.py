"""A limit of time for a trial of a model, in the only thread of its process.

Used by ``merging`` and ``warmup`` for rows that nobody sent: a model that hangs on them is let go.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TookTooLong(BaseException):
    """A trial was called off. No ``Exception``: a model that catches those must not keep it."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Call off what takes longer, once it comes back to Python; only in a main thread.

    Raises:
        TookTooLong: It took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _call_off)
    left_s, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left_s)
        signal.signal(signal.SIGALRM, before)


def _call_off(_signal: int, _frame: object) -> None:
    raise TookTooLong
