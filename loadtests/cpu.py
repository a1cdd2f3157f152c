"""CPU time and memory of a process and all its descendants, from ``/proc``; nothing without it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PARENT, _USER, _SYSTEM, _PAGES = 1, 11, 12, 21
_ENDED = slice(13, 15)


def cpu_s(pid: int) -> float | None:
    """Return the seconds of CPU that a tree of living processes has used, or none off Linux."""
    table = _read_table()
    if pid not in table:
        return None
    return sum(table[each][1] for each in _family(pid, table)) / os.sysconf("SC_CLK_TCK")


def ended_cpu_s(pid: int) -> float:
    """Return the seconds of CPU that children of a living process used which have ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[_ENDED])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Return the memory that a tree of living processes holds; 0 off Linux."""
    table = _read_table()
    return sum(table[each][2] for each in _family(pid, table)) * os.sysconf("SC_PAGE_SIZE")


def waited_s(pid: int) -> float:
    """Return how long the main threads of a tree of living processes waited for a CPU."""
    waited_ns = 0
    for each in _family(pid, _read_table()):
        with suppress(OSError, ValueError, IndexError):
            waited_ns += int((_PROC / str(each) / "schedstat").read_text().split()[1])
    return waited_ns / 1e9


def memory_bytes(pid: int) -> int | None:
    """Return the proportional share of memory (PSS) of a tree of processes, or none off Linux."""
    table = _read_table()
    if pid not in table:
        return None
    return sum(_pss_bytes(each) for each in _family(pid, table))


def _family(pid: int, table: Mapping[int, tuple[int, int, int]]) -> list[int]:
    found: list[int] = []
    wanted = {pid} & table.keys()
    while wanted:
        found += wanted
        wanted = {child for child, (parent, _, _) in table.items() if parent in wanted}
    return found


def _pss_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def pin(cpus: set[int]) -> bool:
    """Keep this process, and those it starts from now on, to some CPUs; say whether that worked."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, cpus)
    return True


def available_cpus() -> list[int]:
    """Return the CPUs that this process may use; empty off Linux."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _read_table() -> dict[int, tuple[int, int, int]]:
    """Return each process with its parent, its ticks and its resident pages."""
    table = {}
    for entry in _PROC.glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        table[int(entry.parent.name)] = (int(fields[_PARENT]), _ticks(fields), int(fields[_PAGES]))
    return table


def _ticks(fields: list[str]) -> int:
    return int(fields[_USER]) + int(fields[_SYSTEM])
