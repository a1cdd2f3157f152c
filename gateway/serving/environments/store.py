"""The host's folder of environments: each built once for all workers, and kept while it is used.

A file's lock beside each says who is at it: exclusive for who builds or removes it, shared for who
uses it, and a runner's process keeps the lock that it was started with. Called in load threads.
"""

import fcntl
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.environment_settings import ALWAYS, NEVER, EnvironmentSettings
from gateway.serving.environments.building import Recipe, Site, build, own_python
from gateway.serving.environments.comparing import differences
from gateway.serving.environments.declared import Declared, read_declared
from gateway.serving.failure import LoadFailed
from gateway.serving.progress import Progress
from gateway.serving.states import State
from tracking.errors import InvalidRequest

_LOG = logging.getLogger("stagedoor.serving")

NEEDS = ("cloudpickle", "msgspec>=0.19", "numpy", "pyyaml")
"""What the process of a runner imports, whatever its model is; a test compares."""

PYTHONS = ("3.11", "3.12", "3.13")
"""In which a runner's process can run."""

_FORMAT = "1"
_MARKER = "stagedoor.json"
_RETRY_S = 0.02


class Home(Struct, frozen=True):
    """In which environment a version's process runs.

    Args:
        differences: How what it needs differs from the server's own environment.
        python: The interpreter of an environment of its own; none where the server's will do.
        claim: The descriptor that keeps that environment.
        name: That environment's.
    """

    differences: tuple[str, ...] = ()
    python: Path | None = None
    claim: int | None = None
    name: str = ""

    def explain(self) -> str:
        """Say in one sentence how it differs; empty where it does not."""
        if not self.differences:
            return ""
        more = len(self.differences) - 3
        told = "; ".join(self.differences[:3]) + (f"; and {more} more" if more > 0 else "")
        return f"It was saved with other packages than this server has: {told}."


class Environments:
    """Safe from any thread and process.

    Args:
        root: The folder; made when it is first needed.
        settings: When environments are built, and from where.
        needs: What is installed besides what a version asks for.
    """

    def __init__(
        self, root: Path, settings: EnvironmentSettings, *, needs: tuple[str, ...] = NEEDS
    ) -> None:
        self._root = root
        self._settings = settings
        self._needs = needs

    @contextmanager
    def claimed(self, folder: Path, progress: Progress) -> Iterator[Home]:
        """Find out where a version's process runs, and keep that there during the block.

        Args:
            folder: The version's, verified.
            progress: Told of the state; calls a build off.

        Raises:
            LoadFailed: What it needs cannot be built.
            LoadCancelled: The load was called off.
        """
        mode = self._settings.mode
        try:
            declared = read_declared(folder)
        except InvalidRequest as error:
            if mode != NEVER:
                reason = f"Its environment cannot be built: {error.message}"
                raise LoadFailed(reason, is_transient=False) from error
            yield Home((error.message.rstrip("."),))
            return
        found = differences(declared, own_python(), _find_version)
        if mode == NEVER or (mode != ALWAYS and not found):
            yield Home(found)
            return
        progress.enter(State.BUILDING)
        with self._use(self._recipe(declared), progress) as (python, claim):
            yield Home(found, python, claim, python.parent.parent.name)

    def _recipe(self, declared: Declared) -> Recipe:
        python = declared.python or own_python()
        if python not in PYTHONS:
            reason = (
                f"It needs Python {python}, in which no model's process can run here: "
                f"{', '.join(PYTHONS)} can."
            )
            raise LoadFailed(reason, is_transient=False)
        wanted = tuple(sorted({*declared.requirements, *self._needs}))
        return Recipe(python, wanted, declared.constraints)

    @contextmanager
    def _use(self, recipe: Recipe, progress: Progress) -> Iterator[tuple[Path, int]]:
        folder = self._root / _name(recipe)
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / f"{folder.name}.lock").open("a") as lock:
            claim = lock.fileno()
            while True:
                self._lock(claim, fcntl.LOCK_SH, progress)
                if _is_whole(folder):
                    break
                self._lock(claim, fcntl.LOCK_EX, progress)
                if not _is_whole(folder):
                    self._build(recipe, folder, claim, progress)
            with suppress(OSError):
                os.utime(folder / _MARKER)
            yield folder / "bin" / "python", claim

    def _lock(self, claim: int, kind: int, progress: Progress) -> None:
        """Wait for a lock while somebody else builds, no longer than that may take."""
        deadline_s = time.monotonic() + self._settings.build_timeout_s
        fcntl.flock(claim, fcntl.LOCK_UN)
        while not _try_lock(claim, kind):
            progress.check()
            if time.monotonic() > deadline_s:
                reason = "Its environment is being built, or removed, by another process."
                raise LoadFailed(reason, is_transient=True)
            time.sleep(_RETRY_S)

    def _build(self, recipe: Recipe, folder: Path, claim: int, progress: Progress) -> None:
        """Build aside and move into place: what was killed half-way is never taken for whole."""
        partial = self._root / f".{folder.name}.partial"
        started_s = time.monotonic()
        try:
            _remove(folder)
            _remove(partial)
            (partial / "notes").mkdir(parents=True, mode=0o700)
            site = Site(partial / "venv", partial / "notes", self._root / "uv", claim)
            build(recipe, site, self._settings, progress)
            (site.folder / _MARKER).write_bytes(msgspec.json.encode(recipe))
            site.folder.rename(folder)
        except OSError as error:
            reason = f"Its environment could not be built: {error.strerror or error}."
            raise LoadFailed(reason, is_transient=True) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        took_s = time.monotonic() - started_s
        _LOG.info("built environment %s in %.1f s: %s", folder.name, took_s, _brief(recipe))
        self._remove_old(folder)

    def _remove_old(self, latest: Path) -> None:
        """Remove what nobody uses: environments beyond the number kept, remains of builds."""
        whole = [file.parent for file in self._root.glob(f"*/{_MARKER}")]
        by_use = sorted((one for one in whole if one != latest), key=_used_at_s, reverse=True)
        remains = [*self._root.glob(".*.partial"), *self._root.glob(".*.gone")]
        for folder in [*by_use[self._settings.keep - 1 :], *remains]:
            name = folder.name.lstrip(".").partition(".")[0]
            with suppress(OSError), (self._root / f"{name}.lock").open("a") as lock:
                if name != latest.name and _try_lock(lock.fileno(), fcntl.LOCK_EX):
                    gone = self._root / f".{name}.gone"
                    if folder != gone:
                        folder.rename(gone)
                    _remove(gone)


def _name(recipe: Recipe) -> str:
    content = msgspec.json.encode((_FORMAT, recipe))
    return hashlib.sha256(content).hexdigest()[:32]


def _brief(recipe: Recipe) -> str:
    return f"Python {recipe.python}, {', '.join(recipe.requirements)}"


def _is_whole(folder: Path) -> bool:
    """Whether it was built to the end, and the Python that it was made of is still there."""
    return (folder / _MARKER).is_file() and os.access(folder / "bin" / "python", os.X_OK)


def _used_at_s(folder: Path) -> float:
    try:
        return (folder / _MARKER).stat().st_mtime
    except OSError:
        return 0.0


def _remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@cache
def _find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
