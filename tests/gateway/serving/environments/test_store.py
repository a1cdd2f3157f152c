"""Versions in environments of their own: really built, by uv, from a folder of wheels."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.environment_settings import EnvironmentSettings
from gateway.serving.cache import Cache
from gateway.serving.engines.store import EngineStore
from gateway.serving.environments.store import Environments
from gateway.serving.failure import LoadCancelled, LoadFailed
from gateway.serving.launch import RunnerLimits
from gateway.serving.loader import Loaded, Loader
from gateway.serving.progress import Progress
from gateway.serving.states import State
from registry.route import VersionRecord
from tests.gateway.serving import specimens as sp
from tests.gateway.serving.environments import wheels

LIMITS = RunnerLimits(load_timeout_s=60.0, predict_timeout_s=20.0, warm_calls=1)
EXAMPLE = np.array([[1.0]])
THEIRS = "99.0"
OURS = version("iniconfig")
"""A package that the server has, too, in another version."""


class Teller:
    """Tells which version of a package it finds, whether it sees the server's, and where it is."""

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        told = f"{version('iniconfig')} {find_spec('litestar') is not None} {sys.prefix}"
        return np.array([told] * len(rows))


cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: what a runner needs as it is here, and packages that are made up."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("cloudpickle", "msgspec", "numpy", "pyyaml"):
        wheels.write_installed(folder, name)
    wheels.write_wheel(folder, "iniconfig", THEIRS, {"iniconfig/__init__.py": ""})
    wheels.write_wheel(folder, "pandas", "2.0", {"pandas.py": ""})
    for number in ("1.0", "2.0", "3.0"):
        wheels.write_wheel(folder, "tiny", number, {"tiny.py": f"VERSION = {number}"})
    return folder


class Host:
    """A store of versions, and what workers of one host share."""

    def __init__(self, root: Path, shelf: Path, **settings: Any) -> None:
        self.root = root
        self.store = sp.FolderStore(root / "store")
        self.settings = EnvironmentSettings(
            **{"mode": "auto", "wheel_folder": str(shelf), "offline": True, **settings}
        )

    def add(self, number: int, *requirements: str, model: object | None = None) -> VersionRecord:
        folder = self.root / "store" / f"v{number}"
        sp.save(folder, model or Teller(), example=EXAMPLE)
        (folder / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
        return sp.record("iris", number, folder)

    def loader(self) -> Loader:
        cache = Cache(self.root / "cache", self.store)
        engines = EngineStore(self.root / "engines")
        environments = Environments(self.root / "environments", self.settings)
        return Loader(cache, LIMITS, self.root / "run", engines=engines, environments=environments)

    def built(self) -> list[Path]:
        return sorted(self.root.glob("environments/*/stagedoor.json"))


async def ask(servable: Loaded) -> list[str]:
    """Return the words of one answer, and end the process."""
    await servable.attach(lambda _reason: None)
    answer = await servable.predict(sp.matrix((1.0,)), {})
    servable.close()
    return str(answer.arrays[0][0]).split(" ")


def test_a_version_answers_with_the_packages_that_it_asks_for(tmp_path: Path, shelf: Path) -> None:
    """Two workers load it at the same time and build once; a third one finds it built.

    While a process runs in it, it is not removed for another one.
    """
    host = Host(tmp_path, shelf)
    record = host.add(1, f"iniconfig=={THEIRS}", "mlflow==3.1.0", "# a comment", "numpy  # ours")
    loader, states = host.loader(), list[State]()
    others = bare(tmp_path, shelf, keep=1)

    async def story() -> list[list[str]]:
        loads = (asyncio.to_thread(host.loader(), record, Progress()) for _ in range(2))
        together = await asyncio.gather(*loads)
        built = host.built()[0].stat().st_ino
        third = await asyncio.to_thread(loader, record, Progress(states.append))
        assert host.built()[0].stat().st_ino == built
        with others.claimed(folder_of(tmp_path, "tiny==1.0"), Progress()):
            return [await ask(servable) for servable in (*together, third)]

    answers = asyncio.run(story())

    with others.claimed(folder_of(tmp_path, "tiny==2.0"), Progress()):
        (marker,) = host.built()
    form = loader.form(record.key)
    assert form is not None
    home = str(tmp_path / "environments" / form.environment)
    assert answers == [[THEIRS, "False", home]] * 3
    assert str(marker.parent) != home
    assert states == [
        State.FETCHING,
        State.VERIFYING,
        State.BUILDING,
        State.LOADING,
        State.WARMING,
        State.TESTING,
    ]


def test_a_difference_is_told_and_changes_nothing_where_no_environment_is_wanted(
    tmp_path: Path, shelf: Path
) -> None:
    host = Host(tmp_path, shelf, mode="never")
    record, broken = host.add(1, f"iniconfig=={THEIRS}"), host.add(2, "-e .", model=sp.Bomb("1/0"))
    loader = host.loader()

    servable = loader(record, Progress())

    assert asyncio.run(ask(servable))[1:] == ["True", sys.prefix]
    form = loader.form(record.key)
    assert form is not None
    assert form.differences == (f"iniconfig is {OURS} here, it needs iniconfig=={THEIRS}",)
    assert form.environment == ""
    with pytest.raises(LoadFailed, match=r"ZeroDivisionError.*other packages.*'-e .*an option"):
        loader(broken, Progress())
    assert host.built() == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no-such-package==1", "cannot be built: No solution found.*no-such-package"),
        ("git+https://example.org/x", "'git.*no requirement that names a package"),
        ("tiny @ https://example.org/tiny.whl", "'tiny' from an address"),
    ],
)
def test_an_environment_that_cannot_be_built_fails_the_version_for_good(
    tmp_path: Path, shelf: Path, line: str, reason: str
) -> None:
    host = Host(tmp_path, shelf)
    record = host.add(1, line)

    with pytest.raises(LoadFailed, match=reason) as caught:
        host.loader()(record, Progress())

    assert not caught.value.is_transient
    assert host.built() == []
    assert list(tmp_path.glob("environments/.*.partial")) == []


def test_what_is_used_is_kept_and_what_is_not_goes_beyond_the_number_kept(
    tmp_path: Path, shelf: Path
) -> None:
    environments = bare(tmp_path, shelf, keep=1)
    leftover = tmp_path / "environments" / f".{'0' * 32}.partial"
    leftover.mkdir(parents=True)

    def names(*versions: str) -> list[str]:
        for number in versions:
            with environments.claimed(folder_of(tmp_path, f"tiny=={number}"), Progress()):
                pass
        markers = tmp_path.glob("environments/*/stagedoor.json")
        recipes = [msgspec.json.decode(file.read_bytes()) for file in markers]
        return sorted(recipe["requirements"][0] for recipe in recipes)

    with environments.claimed(folder_of(tmp_path, "tiny==1.0"), Progress()):
        assert names("2.0") == ["tiny==1.0", "tiny==2.0"]
    assert names("1.0", "3.0") == ["tiny==3.0"]
    assert not leftover.exists()


class MuteIndex:
    """A package index that takes connections and says nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/simple"

    def await_caller(self) -> None:
        self._socket.settimeout(30.0)
        self._taken.append(self._socket.accept()[0])

    def close(self) -> None:
        for one in (self._socket, *self._taken):
            one.close()


@pytest.fixture
def mute() -> Iterator[MuteIndex]:
    index = MuteIndex()
    yield index
    index.close()


def test_a_build_that_hangs_ends_in_time_or_when_it_is_called_off(
    tmp_path: Path, mute: MuteIndex
) -> None:
    folder = folder_of(tmp_path, "tiny==1.0")
    patient = hanging(tmp_path, mute, build_timeout_s=600.0)
    hasty = hanging(tmp_path, mute, build_timeout_s=0.3)
    progress = Progress()

    def call_off() -> None:
        mute.await_caller()
        progress.cancel()

    canceller = threading.Thread(target=call_off)
    canceller.start()
    with pytest.raises(LoadCancelled), patient.claimed(folder, progress):
        pass
    canceller.join()
    with (
        pytest.raises(LoadFailed, match=r"not built in 0\.3 s") as late,
        hasty.claimed(folder, Progress()),
    ):
        pass

    assert late.value.is_transient
    assert uv_processes(tmp_path) == []
    assert list(tmp_path.glob("environments/.*.partial")) == []


def test_a_worker_killed_while_it_builds_leaves_nothing_that_is_taken_for_whole(
    tmp_path: Path, shelf: Path, mute: MuteIndex
) -> None:
    """Its uv dies with it; the next worker finds the half-built one, and builds it whole."""
    folder = folder_of(tmp_path, "tiny==1.0")
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, tmp_path, folder, mute.url])
    mute.await_caller()
    assert len(uv_processes(tmp_path)) == 1
    (partial,) = tmp_path.glob("environments/.*.partial")

    worker.kill()
    worker.wait()

    assert sp.until(lambda: uv_processes(tmp_path) == [])
    assert (partial / "venv" / "bin" / "python").exists()
    with bare(tmp_path, shelf).claimed(folder, Progress()) as home:
        assert home.python is not None
        said = subprocess.check_output([home.python, "-c", "import tiny; print(tiny.VERSION)"])
    assert said == b"1.0\n"
    assert not partial.exists()


def bare(root: Path, shelf: Path, **said: Any) -> Environments:
    """Return environments with nothing in them but what a version asks for: quickly built."""
    said = {"mode": "auto", "wheel_folder": str(shelf), "offline": True, **said}
    return Environments(root / "environments", EnvironmentSettings(**said), needs=())


def hanging(root: Path, mute: MuteIndex, **said: Any) -> Environments:
    settings = EnvironmentSettings(mode="auto", index_url=mute.url, **said)
    return Environments(root / "environments", settings, needs=())


def folder_of(root: Path, requirement: str) -> Path:
    folder = root / requirement
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text(requirement, encoding="utf-8")
    return folder


def uv_processes(root: Path) -> list[str]:
    """Return the commands of living processes that work on environments in a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = file.read_bytes().decode(errors="replace").split("\0")
            if words[0].endswith("uv") and str(root / "environments") in " ".join(words):
                found.append(" ".join(words))
    return found


_WORKER = """
import sys
from pathlib import Path
from gateway.environment_settings import EnvironmentSettings
from gateway.serving.environments.store import Environments
from gateway.serving.progress import Progress
settings = EnvironmentSettings(mode="auto", index_url=sys.argv[3])
environments = Environments(Path(sys.argv[1], "environments"), settings, needs=())
with environments.claimed(Path(sys.argv[2]), Progress()):
    pass
"""
