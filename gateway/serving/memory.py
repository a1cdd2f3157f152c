"""How much memory a version takes: measured, never declared. Blocking, off the event loop.

A process is weighed by what the kernel says of it, an engine by the arrays that it holds.
"""

import gc
import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np

_PROC = Path("/proc")
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_SHARED_KINDS = (type, ModuleType, BuiltinFunctionType, np.dtype)
"""What an engine refers to and does not own."""

DEFAULT_SHARE = 0.6
"""Of the memory that there is, what versions may take when nobody says how much."""


@runtime_checkable
class Weighable(Protocol):
    """A Servable that can say what it takes."""

    def memory_bytes(self) -> int:
        """Return the bytes it takes now. Blocking, safe from any thread."""


def weigh(servable: object) -> int:
    """Return the bytes that a Servable takes; 0 for one that cannot say."""
    return servable.memory_bytes() if isinstance(servable, Weighable) else 0


def process_bytes(pid: int) -> int:
    """Return what a process and its descendants take: pages shared with others count in part."""
    return sum(_proportional_bytes(each) for each in _tree(pid))


def object_bytes(root: object) -> int:
    """Return what an object takes with all that it holds, mapped files included."""
    seen: set[int] = set()
    waiting = [root]
    total = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _SHARED_KINDS):
            continue
        seen.add(id(one))
        total += _own_bytes(one)
        waiting.extend(_held_by(one))
    return total


def available_bytes() -> int:
    """Return the memory of this host, or of the container in it."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([host, *filter(None, map(_read_limit, _CGROUP_LIMITS))])


def worker_budget(budget_bytes: int, workers: int) -> int:
    """Return what the versions of one worker may take.

    Args:
        budget_bytes: What those of all workers may take; 0 is a share of what there is.
        workers: How many workers share it.
    """
    return (budget_bytes or int(available_bytes() * DEFAULT_SHARE)) // max(1, workers)


def _own_bytes(one: object) -> int:
    if isinstance(one, np.ndarray):
        # A view is weighed by what it looks at.
        return sys.getsizeof(one) if one.base is None else 0
    if isinstance(one, mmap.mmap):
        return len(one)
    return sys.getsizeof(one)


def _held_by(one: object) -> list[Any]:
    if isinstance(one, np.ndarray):
        return [] if one.base is None else [one.base]
    if isinstance(one, memoryview):
        return [one.obj]
    if isinstance(one, FunctionType):
        return [*(one.__closure__ or ()), one.__defaults__]
    return gc.get_referents(one)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for file in (_PROC / str(pid) / "task").glob("*/children"):
        try:
            children = file.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _proportional_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended, or this system has no such file
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def _read_limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max", or another kind of system
        return None
