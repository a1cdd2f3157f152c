"""A worker's life in a process of its own: it loads and unloads, and tells what it takes.

Run by ``test_unloading``, because in a process full of tests nothing could be said of memory.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from gateway.serving.cache import Cache
from gateway.serving.engines.store import EngineStore
from gateway.serving.inventory import Aspired
from gateway.serving.launch import RunnerLimits
from gateway.serving.loader import Loader
from gateway.serving.manager import Manager
from gateway.serving.memory import process_bytes
from gateway.serving.policy import Retention
from registry.route import VersionKey, VersionRecord
from registry.tensors import Batch
from tests.gateway.serving import specimens as sp

WARM_CYCLES = 3


class Life(Struct):
    """What was seen.

    Args:
        taken: What the process takes after each cycle.
        loaded: What the manager says that the version takes, in each cycle.
        mapped: Files of engines that are still mapped or open at the end.
        children: Processes that are still there at the end.
    """

    taken: list[int]
    loaded: list[int]
    mapped: list[str]
    children: int


async def live(manager: Manager, records: list[VersionRecord], root: Path) -> Life:
    """Load and unload one version after the other."""
    life = Life([], [], [], 0)
    rows = Batch((), (np.zeros((3, 6)),), is_matrix=True)
    engines = str(root / "engines")
    for record in records:
        key = record.key
        manager.aspire(Aspired({key: record}, pinned=frozenset({key})))
        assert await sp.eventually(partial(manager.is_ready, key))
        with manager.lease(key) as servable:
            await servable.predict(rows, {})
        del servable
        life.loaded.append(manager.view()[key].size_bytes)
        manager.aspire(Aspired())
        assert await sp.eventually(lambda: not manager.view())
        # The thread that closes a version may have its last reference for a moment longer.
        assert await sp.eventually(lambda: not _kept_beneath(engines)), _kept_beneath(engines)
        life.taken.append(process_bytes(os.getpid()))
    life.mapped = _kept_beneath(engines)
    life.children = len(list(_children()))
    return life


def _kept_beneath(folder: str) -> list[str]:
    """Return what is mapped or open of a folder, when all that can be freed is."""
    gc.collect()
    maps = Path("/proc/self/maps").read_text().splitlines()
    opened = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()]
    return [line for line in (*maps, *opened) if folder in line]


def _children() -> Iterator[str]:
    for task in Path("/proc/self/task").glob("*/children"):
        yield from task.read_text().split()


async def main(root: Path, keys: list[VersionKey]) -> Life:
    """Live on a manager over versions whose engines are made already."""
    limits = RunnerLimits(warm_calls=1, load_timeout_s=60.0)
    cache = Cache(root / "cache", sp.FolderStore(root / "store"))
    loader = Loader(cache, limits, root / "run", engines=EngineStore(root / "engines"))
    manager = Manager(loader, lambda: None, retention=Retention(window_s=0.0, count=0))
    manager.start()
    try:
        records = [VersionRecord(key, f"v{key.version}", "None") for key in keys]
        return await live(manager, records, root)
    finally:
        await manager.close(drain_timeout_s=5.0)


if __name__ == "__main__":
    told = msgspec.convert(json.loads(sys.argv[2]), list[VersionKey])
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(main(Path(sys.argv[1]), told))))
