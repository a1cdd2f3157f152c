import os
import subprocess
import sys
from pathlib import Path

from gateway.worker import hold_liveness, is_locked, live_worker_ids, lock_file_of, sweep_dead

HOLDER = """
import sys
from pathlib import Path
from gateway.worker import hold_liveness
hold_liveness(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def start_holder(path: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_worker_lives_exactly_as_long_as_its_process(tmp_path: Path) -> None:
    holder = start_holder(lock_file_of(tmp_path, "a-0-1"))

    while_running = live_worker_ids(tmp_path)
    holder.kill()
    holder.communicate()

    assert while_running == {"a-0-1"}
    assert live_worker_ids(tmp_path) == frozenset()


def test_a_file_that_nobody_holds_is_no_worker(tmp_path: Path) -> None:
    lock_file_of(tmp_path, "gone").touch()

    assert live_worker_ids(str(tmp_path)) == frozenset()


def test_a_sweep_removes_the_dead_and_leaves_the_living(tmp_path: Path) -> None:
    lock_file_of(tmp_path, "gone").touch()
    descriptor = hold_liveness(lock_file_of(tmp_path, "here"))

    sweep_dead(tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["here.worker"]
    os.close(descriptor)


def test_a_file_that_is_not_there_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "nothing")


def test_a_worker_whose_file_was_swept_while_it_waited_makes_a_new_one(tmp_path: Path) -> None:
    path = lock_file_of(tmp_path, "a")
    first = hold_liveness(path)
    path.unlink()

    second = hold_liveness(path)

    assert live_worker_ids(tmp_path) == {"a"}
    os.close(first)
    os.close(second)
