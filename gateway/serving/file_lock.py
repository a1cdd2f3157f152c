"""A file's lock, for what only one process of a host may do at a time. In load threads."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.serving.progress import Progress

_RETRY_S = 0.02


@contextmanager
def hold_lock(path: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock for the length of a block; wait for it, unless the load is called off.

    Raises:
        LoadCancelled: The load was called off.
    """
    with path.open("a") as file:
        while not _try_lock(file.fileno()):
            progress.check()
            time.sleep(_RETRY_S)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
