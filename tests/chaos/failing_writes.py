"""Writes that fail at any byte, and a disk that is full, under a server that goes on.

The kernel lets a process write files up to a size only (RLIMIT_FSIZE) which can be changed while it
runs: so each loop has another write be the one that fails, in the database or in an artifact.
"""

import random
import resource
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos.scenario import Orders, Result
from tests.journeys.history import (
    Recorded,
    Written,
    lost_writes,
    record,
    recorded,
    refused_writes,
    torn_writes,
    unanswered,
)
from tests.journeys.server import Server, running
from tests.journeys.writing import ARTIFACT_BYTES, KINDS, Writers, found_writes, integrity

CLIENTS = 8
CLEAN = {503, 507}
DISK_BYTES = 48 << 20
_ENDLESS = 1_000_000


def run_limits(orders: Orders) -> Result:
    """Let writes fail in ``loops`` places; each is refused cleanly, and later ones succeed."""
    chance = random.Random(orders.seed)
    with running(Server(orders.folder / "server")) as server:

        def fail() -> None:
            # Below the size of an artifact, or where the database's files end.
            highest = chance.choice([ARTIFACT_BYTES, largest_file(server) + (64 << 10)])
            limit_files(server, chance.randrange(1, highest))

        return _judged(orders, server, fail=fail, heal=lambda: limit_files(server, None))


def run_full_disk(orders: Orders) -> Result:
    """Fill a small disk ``loops`` times; it is said, and needs no restart once there is space."""
    chance = random.Random(orders.seed)
    with small_disk(orders.folder / "disk") as disk, running(Server(disk / "server")) as server:
        stuffing = disk / "stuffing"
        return _judged(
            orders,
            server,
            fail=lambda: fill(stuffing, leave_bytes=chance.randrange(0, 1 << 20)),
            heal=stuffing.unlink,
        )


def _judged(
    orders: Orders, server: Server, *, fail: Callable[[], None], heal: Callable[[], None]
) -> Result:
    """Write before, while and after writes fail, and judge all of it from its history."""
    writers = Writers(server, clients=CLIENTS, each=_ENDLESS).start()
    for _ in range(orders.loops):
        _wait(server, writers.acknowledged)
        fail()
        _wait(server, writers.refused)
        heal()
    _wait(server, writers.acknowledged)
    record(orders.folder / "history", writers.end())
    found = set(found_writes(server))
    told = integrity(server)
    return judge(recorded(orders.folder / "history"), found, [] if told == "ok" else [told])


def _wait(server: Server, count: Callable[[], int]) -> None:
    """Wait until something was counted once more for each client, and once for each kind."""
    enough = count() + CLIENTS * len(KINDS)
    server.wait_until(lambda: count() >= enough, f"{enough} {count.__name__}")


def judge(history: list[Recorded], found: set[str], faults: list[str]) -> Result:
    """Judge what was told: refused cleanly, never unanswered, never lost or half-written."""
    refused = refused_writes(history)
    faults = [
        *faults,
        *([] if refused else ["no write failed"]),
        *(f"not clean: {write}" for write in refused if write.status not in CLEAN),
        *(f"unanswered: {write}" for write in unanswered(history)),
        *(f"lost: {name}" for name in lost_writes(history, found)),
        *(f"half-written: {name}" for name in torn_writes(found)),
    ]
    by_status = Counter(write.status for write in history if isinstance(write, Written))
    return Result(f"answers by status: {dict(sorted(by_status.items()))}", faults)


def limit_files(server: Server, size_bytes: int | None) -> None:
    """Let no process of a server write files beyond a size, or any size again."""
    soft = resource.RLIM_INFINITY if size_bytes is None else size_bytes
    for pid in server.worker_pids():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def largest_file(server: Server) -> int:
    """Return the size of the largest file of a server's database."""
    return max(path.stat().st_size for path in server.folder.glob("stagedoor.db*"))


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of a few MiB in memory for the block; only root may."""
    folder.mkdir()
    subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", folder], check=True)


def fill(stuffing: Path, *, leave_bytes: int) -> None:
    """Write a file until the disk is full, and give some bytes back."""
    with stuffing.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(64 << 10)):
            pass
    with stuffing.open("r+b") as file:
        file.truncate(max(0, stuffing.stat().st_size - leave_bytes))
