"""From a version's record to a Servable. Called by ``manager`` in its load thread.

Every load goes through here: fetch, verify, load in a process, warm up, test.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gateway.serving.cache import Cache
from gateway.serving.launch import RunnerLimits
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner, start_runner
from gateway.serving.servable import Servable
from registry.route import VersionRecord


class Loaded(Servable, Protocol):
    """A Servable that has not yet met the event loop."""

    async def attach(self, on_death: Callable[[str], None]) -> None:
        """Begin to answer; ``on_death`` is called once, with one sentence, should it die."""


class Load(Protocol):
    """What the manager calls to load a version. Blocking."""

    def __call__(self, record: VersionRecord, progress: Progress) -> Loaded:
        """Return a Servable that is loaded and proved.

        Raises:
            LoadFailed: It cannot be.
            LoadCancelled: The load was called off.
        """


class Loader:
    """Loads versions into runners. Safe from any thread.

    Args:
        cache: Where their files are on this host.
        limits: What one runner may take.
        scratch_root: Where runners get their working folders; made when it is missing.
    """

    def __init__(self, cache: Cache, limits: RunnerLimits, scratch_root: Path) -> None:
        self._cache = cache
        self._limits = limits
        self._scratch_root = scratch_root
        scratch_root.mkdir(parents=True, exist_ok=True)

    def __call__(self, record: VersionRecord, progress: Progress) -> Runner:
        """Fetch, verify, load, warm up and test a version.

        Raises:
            LoadFailed: One of them failed.
            LoadCancelled: The load was called off.
        """
        folder = self._cache.fetch(record, progress)
        return start_runner(
            record.key,
            folder,
            limits=self._limits,
            scratch_root=self._scratch_root,
            progress=progress,
        )
