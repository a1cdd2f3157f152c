"""One holder at a time, and none once it is dead."""

import os
import signal
from pathlib import Path

from tracking.file_lock import FileLock


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with FileLock(tmp_path / "lock").held():
            os.write(write, b"held")
            signal.pause()
    os.read(read, 4)

    os.kill(child, signal.SIGKILL)
    lock = FileLock(tmp_path / "lock")
    with lock.held():
        pass

    os.waitpid(child, 0)
    lock.close()
    os.close(read)
    os.close(write)


def test_a_closed_lock_can_be_held_again(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with lock.held():
        pass
    lock.close()
    lock.close()

    with lock.held():
        assert (tmp_path / "lock").exists()
    lock.close()
