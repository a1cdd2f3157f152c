"""Building an environment by ``uv``, in a load thread. What is built is ``store``'s choice.

Only wheels are installed, so that nobody's code runs here: packages are unpacked, and first
imported in the process of a model. uv dies with its worker, as a runner does.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from msgspec import Struct

from gateway.environment_settings import EnvironmentSettings
from gateway.offspring import OFFSPRING
from gateway.serving.failure import LoadFailed
from gateway.serving.progress import Progress

_BOOT = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from gateway.serving.confinement import run_bound; run_bound(int(sys.argv[2]), sys.argv[3:])"
)
_ROOT = str(Path(__file__).resolve().parents[3])
_CHECK_EVERY_S = 0.05
_UNSOLVABLE = 1
"""uv's exit code where the requirements cannot be met; others say that it could not find out."""

_TOLD_CHARACTERS = 600
_SECRET = re.compile(r"//[^/@\s]+@")
_REQUIREMENTS = "requirements.in"
_CONSTRAINTS = "constraints.in"


class Recipe(Struct, frozen=True):
    """What an environment is built of. Immutable; two that are equal give one environment.

    Args:
        python: ``3.11``.
        requirements: Packages with their versions, in order.
        constraints: Versions of packages that others may bring, in order.
    """

    python: str
    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()


class Site(Struct, frozen=True):
    """Where an environment is built.

    Args:
        folder: It, empty.
        notes: A folder beside it, for what uv reads and prints.
        cache: uv's own.
        claim: A descriptor that uv keeps open, so that its lock lasts as long as it writes.
    """

    folder: Path
    notes: Path
    cache: Path
    claim: int


def build(recipe: Recipe, site: Site, settings: EnvironmentSettings, progress: Progress) -> None:
    """Make an environment and install its packages.

    Raises:
        LoadFailed: It cannot be built, or was not in time; what there is of it is no environment.
        LoadCancelled: The load was called off.
    """
    deadline_s = time.monotonic() + settings.build_timeout_s
    for command in _commands(recipe, site, settings):
        code = _run([*command, "--cache-dir", str(site.cache)], site, deadline_s, progress)
        if code is None:
            reason = f"Its environment was not built in {settings.build_timeout_s:g} s"
            raise LoadFailed(f"{reason}{_last_words(site)}", is_transient=True)
        if code != 0:
            is_transient = code != _UNSOLVABLE and command[1] != "venv"
            reason = f"Its environment cannot be built{_last_words(site)}"
            raise LoadFailed(reason, is_transient=is_transient)


def _commands(recipe: Recipe, site: Site, settings: EnvironmentSettings) -> list[list[str]]:
    uv = _find_uv()
    (site.notes / _REQUIREMENTS).write_text(_lines(recipe.requirements), encoding="utf-8")
    (site.notes / _CONSTRAINTS).write_text(_lines(recipe.constraints), encoding="utf-8")
    is_ours = recipe.python == own_python()
    said = ["--quiet", "--color", "never", "--no-progress"]
    if not settings.python_downloads:
        said.append("--no-python-downloads")
    venv = ["venv", "--relocatable", "--no-project"]
    venv += ["--python", sys.executable if is_ours else recipe.python, str(site.folder)]
    install = ["pip", "install", "--no-build", "--compile-bytecode"]
    install += ["--python", str(site.folder / "bin" / "python"), *_sources(settings)]
    install += ["--requirements", str(site.notes / _REQUIREMENTS)]
    install += ["--constraints", str(site.notes / _CONSTRAINTS)]
    return [[uv, *venv, *said], [uv, *install, *said]]


def own_python() -> str:
    """Return the server's Python, ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _sources(settings: EnvironmentSettings) -> list[str]:
    sources = []
    if settings.index_url is not None:
        sources += ["--default-index", settings.index_url]
    if settings.wheel_folder is not None:
        sources += ["--find-links", str(Path(settings.wheel_folder).expanduser().resolve())]
    if settings.offline:
        sources += ["--no-index", "--offline"]
    return sources


def _find_uv() -> str:
    try:
        from uv import find_uv_bin  # noqa: PLC0415  an extra

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        reason = "It needs an environment of its own, and there is no uv to build it with: "
        raise LoadFailed(f"{reason}install stagedoor[environments].", is_transient=False)
    return found


def _run(command: Sequence[str], site: Site, deadline_s: float, progress: Progress) -> int | None:
    """Run a command; return its exit code, or ``None`` when its time was over."""
    life_read, life_write = os.pipe()
    try:
        with (site.notes / "output").open("wb") as output:
            process = OFFSPRING.start(partial(_spawn, command, site, life_read, output))
        return _await_end(process, deadline_s, progress)
    except OSError as error:
        reason = f"Its environment could not be built: {error.strerror}."
        raise LoadFailed(reason, is_transient=True) from error
    finally:
        os.close(life_read)
        os.close(life_write)


def _spawn(
    command: Sequence[str], site: Site, lifeline: int, output: IO[bytes]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _BOOT, _ROOT, str(lifeline), *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=site.notes,
        pass_fds=(lifeline, site.claim),
        start_new_session=True,
    )


def _await_end(
    process: "subprocess.Popen[bytes]", deadline_s: float, progress: Progress
) -> int | None:
    try:
        while time.monotonic() < deadline_s:
            progress.check()
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_CHECK_EVERY_S)
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        OFFSPRING.release(process.pid)


def _last_words(site: Site) -> str:
    """Return what uv said last, as the end of a sentence: no password, no line breaks."""
    with suppress(OSError):
        text = (site.notes / "output").read_bytes()[-(1 << 16) :].decode(errors="replace")
        said = " ".join(re.sub(r"\s*cause:", ":", text).split()).removeprefix("error: ")
        if said:
            return f": {_SECRET.sub('//***@', said)[:_TOLD_CHARACTERS]}"
    return "."


def _lines(requirements: Sequence[str]) -> str:
    return "".join(f"{one}\n" for one in requirements)
