"""The processes that this one has started, and the end of those that they leave behind.

A model may start processes of its own, in a group or session of theirs. While its runner lives they
are beneath it; when it is gone, the kernel gives them to the worker, and when that is gone to the
supervisor: each *adopts*. What was adopted is ended. Any thread may.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_MOST_ROUNDS = 100
"""Each round may bring the children of those that the round before has ended."""

_Process = subprocess.Popen[bytes]


def adopt() -> None:
    """Have the kernel give this process what its descendants leave behind."""
    _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def adopts() -> bool:
    """Say whether it does."""
    answer = ctypes.c_int(0)
    _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer))
    return bool(answer.value)


def kill_all_but(known: Collection[int]) -> list[int]:
    """Kill the children of this process that are not known, but for those of its own session.

    What a model started is in another; what a library of ours started is in ours.
    """
    strays = [pid for pid in _children() if pid not in known and not _is_of_our_session(pid)]
    for pid in strays:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return strays


class Offspring:
    """The children that a worker has started. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: set[int] = set()

    def start(self, spawn: Callable[[], _Process]) -> _Process:
        """Start a child, which from its first moment is known."""
        with self._lock:
            process = spawn()
            self._known.add(process.pid)
        return process

    def release(self, pid: int) -> None:
        """Forget a child that has ended, and end what it left behind, if that comes to us."""
        with self._lock:
            self._known.discard(pid)
        if not adopts():
            return
        for _ in range(_MOST_ROUNDS):
            with self._lock:
                strays = kill_all_but(self._known)
            if not strays:
                return
            for stray in strays:
                with suppress(ChildProcessError):
                    os.waitpid(stray, 0)


OFFSPRING = Offspring()
"""Those of this process."""


def _is_of_our_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == os.getsid(0)
    except ProcessLookupError:
        return False


def _children() -> list[int]:
    found: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text().split())
    return found


def _prctl(option: int, argument: object) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)
