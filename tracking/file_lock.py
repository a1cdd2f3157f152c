"""A lock between processes: one file, locked by the kernel, freed by it when the holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FileLock:
    """An exclusive lock on a file, made when first taken. One thread of a process at a time.

    Args:
        path: The file; it stays behind, empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock and hold it for the block."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        descriptor = self._descriptor
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file.

        A forked child must: while its copy is open, a lock that the parent held when it died stays.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
