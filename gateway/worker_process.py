"""The first moments of a worker: what the forked child does before the application takes over.

Called by the supervisor in the child, which never returns from ``become_worker``.
"""

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from msgspec import Struct

from gateway.offspring import adopt
from gateway.worker import WorkerIdentity, hold_liveness, lock_file_of
from tracking.errors import StagedoorError

HEARTBEAT_S = 1.0
STOPPING = (signal.SIGTERM, signal.SIGINT)
_LOG = logging.getLogger("stagedoor.worker")


class Place(Struct, frozen=True):
    """What the supervisor gives a new worker. Immutable.

    Args:
        run_dir: The folder for its locked file.
        index: Its index.
        beats: The pipe on which it tells that it runs.
        parent: The supervisor's process.
    """

    run_dir: Path
    index: int
    beats: int
    parent: int


def become_worker(
    place: Place, inherited: Iterable[int], work: Callable[[WorkerIdentity], None]
) -> NoReturn:
    """Turn this forked child into a worker, do its work, and end the process.

    Args:
        place: What it was given.
        inherited: Descriptors of the supervisor that are not its business.
        work: Serves until SIGTERM; may end by ``SystemExit``.
    """
    code = 1
    try:
        _forget_parent(inherited)
        adopt()
        identity = _identity(place)
        hold_liveness(Path(identity.lock_path))
        threading.Thread(target=beat, args=(place.beats, place.parent), daemon=True).start()
        work(identity)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except StagedoorError as error:
        _LOG.error("worker %d cannot start: %s", place.index, error)
    except BaseException:  # noqa: BLE001 - the last frame of this process
        _LOG.exception("worker %d failed", place.index)
    finally:
        os._exit(code)


def beat(write_end: int, parent: int) -> None:
    """Tell the supervisor every second that this process runs; end it when that is gone.

    Runs in a thread of the worker: a process that is stopped, or whose threads cannot run, is
    silent.
    """
    while os.getppid() == parent:
        with suppress(BlockingIOError):
            os.write(write_end, b".")
        time.sleep(HEARTBEAT_S)
    _LOG.error("the supervisor is gone; ending")
    os.kill(os.getpid(), signal.SIGTERM)


def _forget_parent(inherited: Iterable[int]) -> None:
    """Shed in a new worker what the supervisor set up for itself."""
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    for number in (*STOPPING, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for number in STOPPING:
        signal.signal(number, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    for descriptor in inherited:
        os.close(descriptor)


def _leave(_number: int, _frame: Any) -> NoReturn:
    """End a worker that is still starting, at once: an exception here would be others' to log."""
    os._exit(0)


def _identity(place: Place) -> WorkerIdentity:
    host = socket.gethostname()
    name = f"{host}-{place.index}-{secrets.token_hex(4)}"
    return WorkerIdentity(
        id=name,
        index=place.index,
        host=host,
        pid=os.getpid(),
        lock_path=str(lock_file_of(place.run_dir, name)),
        run_dir=str(place.run_dir),
    )
