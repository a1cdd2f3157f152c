"""What a runner's process may not do, and when it dies. Called in that process, first of all.

It keeps neither the environment nor the files of its worker: ``launch`` starts it without them.
"""

import ctypes
import fcntl
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from gateway.offspring import adopt

_PR_SET_NO_NEW_PRIVS = 38


def confine(lifeline: int, channel: socket.socket, *, memory_bytes: int) -> None:
    """Bind this process to the life of its worker and take away what it does not need.

    Args:
        lifeline: Reading end of a pipe whose writing end the worker holds and never writes to.
        channel: The socket to the worker, which no fork of a model may keep open.
        memory_bytes: What it, and each process that it starts, may have for data; 0 for as much
            as there is.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    os.umask(0o077)
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _die_with(lifeline)
        adopt()
    for descriptor in (lifeline, channel.fileno()):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  the standard library's signature
    os.register_at_fork(after_in_child=channel.close)


def run_bound(lifeline: int, command: Sequence[str]) -> NoReturn:
    """Become another program that dies with its worker, as a runner does.

    Args:
        lifeline: As in ``confine``.
        command: The program's path and its arguments.
    """
    if sys.platform == "linux":
        _die_with(lifeline)
    os.execv(command[0], list(command))  # noqa: S606  our own program, without a shell


def _die_with(lifeline: int) -> None:
    """Have the kernel kill this process and its group when the pipe's other end is closed.

    A signal, because a thread waiting for it would need the GIL, which a hanging model may hold;
    not PDEATHSIG, because that one is sent when the *thread* that started us ends.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    if _is_closed(lifeline):
        os.kill(os.getpid(), signal.SIGKILL)


def _is_closed(lifeline: int) -> bool:
    """Whether the worker died before the kernel was asked to tell."""
    try:
        return os.read(lifeline, 1) == b""
    except BlockingIOError:
        return False
