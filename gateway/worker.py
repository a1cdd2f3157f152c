"""A worker's identity, and the locked file by which its host knows that it lives.

The worker holds the lock of its file from its first moment; the kernel frees it when the process
ends, however it ends. Anybody on the host may ask who lives: the reconciler does, on its thread.
"""

import fcntl
import os
from pathlib import Path

from msgspec import Struct

LOCK_SUFFIX = ".worker"


class WorkerIdentity(Struct, frozen=True):
    """One worker process. Immutable; a restarted worker is another one.

    Args:
        id: Unique among all hosts and restarts; it names the lock file.
        index: Which of the server's workers it is, from 0; a restarted one keeps the index.
        host: The name of its host.
        pid: Its process.
        lock_path: The file that it holds locked while it lives.
        run_dir: The folder of that file.
    """

    id: str
    index: int
    host: str
    pid: int
    lock_path: str
    run_dir: str


def lock_file_of(run_dir: Path, worker_id: str) -> Path:
    """Return the file that the worker of that id holds locked."""
    return run_dir / f"{worker_id}{LOCK_SUFFIX}"


def hold_liveness(path: Path) -> int:
    """Create and lock a worker's file; it stays locked until the returned descriptor closes.

    A sweep may remove the file between its creation and the lock, so what was locked is compared
    with what the path names.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)


def live_worker_ids(run_dir: str | Path) -> frozenset[str]:
    """Return the ids of the workers on this host whose file is locked now."""
    files = Path(run_dir).glob(f"*{LOCK_SUFFIX}")
    return frozenset(file.name.removesuffix(LOCK_SUFFIX) for file in files if is_locked(file))


def is_locked(path: Path) -> bool:
    """Say whether some process holds the lock of a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def sweep_dead(run_dir: Path) -> None:
    """Remove the files of workers that are gone."""
    for file in run_dir.glob(f"*{LOCK_SUFFIX}"):
        if not is_locked(file):
            file.unlink(missing_ok=True)


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
