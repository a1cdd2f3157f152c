"""Several processes of one version: who is asked, and what is lost when one of them dies."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

from gateway.holding_settings import HoldingSettings, parse_replicas
from gateway.serving.cache import Cache
from gateway.serving.crew import Crew
from gateway.serving.failure import LoadCancelled
from gateway.serving.inventory import Aspired
from gateway.serving.launch import RunnerLimits
from gateway.serving.loader import Loader
from gateway.serving.manager import Manager
from gateway.serving.memory import process_bytes
from gateway.serving.progress import Progress
from gateway.settings import load_settings
from registry.route import VersionKey
from tests.gateway.serving import specimens as sp
from tracking.errors import InvalidRequest, ModelFailed, ModelNotReady

LIMITS = RunnerLimits(load_timeout_s=60.0, predict_timeout_s=60.0, warm_calls=1)
ANSWER, WAIT, CRASH = 0.0, 1.0, 2.0


class Gated:
    """Answers its process id: at once, or when the gate is open; or crashes.

    Args:
        folder: Where it leaves its id while it waits, and where the gate ``open`` appears.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        if rows[0, 0] == CRASH:
            os.kill(os.getpid(), signal.SIGSEGV)
        if rows[0, 0] == WAIT:
            self._wait()
        return np.full(len(rows), float(os.getpid()))

    def predict_stream(self, asked: Any) -> Iterator[Any]:
        del asked
        yield {"pid": os.getpid()}
        self._wait()
        yield {"pid": os.getpid()}

    def _wait(self) -> None:
        Path(self.folder, str(os.getpid())).touch()
        while not Path(self.folder, "open").exists():
            time.sleep(0.005)


cloudpickle.register_pickle_by_value(sys.modules[__name__])


class House:
    """A host with one version, and the gate of its processes."""

    def __init__(self, root: Path, replicas: int) -> None:
        self.root = root
        self.gate = root / "gate"
        self.gate.mkdir()
        folder = sp.save(root / "store" / "v1", Gated(self.gate), example=np.array([[ANSWER]]))
        self.record = sp.record("iris", 1, folder)
        cache = Cache(root / "cache", sp.FolderStore(root / "store"))
        self.loader = Loader(cache, LIMITS, root / "run", replicas=lambda _model: replicas)

    def waiting(self) -> set[int]:
        return {int(file.name) for file in self.gate.glob("[0-9]*")}

    def open(self) -> None:
        (self.gate / "open").touch()

    def has_ended(self) -> bool:
        return not list((self.root / "run").iterdir())


def tell(house: House, story: Callable[[Crew, list[str]], Coroutine[Any, Any, None]]) -> None:
    """Load the version, tell a story of it, and unload it."""

    async def all_of_it() -> None:
        crew = await asyncio.to_thread(house.loader, house.record, Progress())
        assert isinstance(crew, Crew)
        deaths: list[str] = []
        await crew.attach(deaths.append)
        try:
            await story(crew, deaths)
        finally:
            await asyncio.to_thread(crew.close)
        assert await sp.eventually(house.has_ended)

    uvloop.run(all_of_it())


async def ask(crew: Crew, command: float) -> int:
    return int((await crew.predict(sp.matrix((command,)), {})).arrays[0][0])


def start(crew: Crew, command: float) -> "asyncio.Task[int]":
    return asyncio.get_running_loop().create_task(ask(crew, command))


def test_calls_go_to_who_is_least_busy_also_beside_a_talk(tmp_path: Path) -> None:
    house = House(tmp_path, 3)

    async def story(crew: Crew, deaths: list[str]) -> None:
        talk = await crew.talk({"prompt": "hi"}, {}, is_stream=True)
        talks = (await anext(talk))["pid"]
        busy = start(crew, WAIT)
        assert await sp.eventually(lambda: len(house.waiting()) == 2)
        free = {await ask(crew, ANSWER) for _ in range(3)}
        assert len(free) == 1
        assert free.isdisjoint(house.waiting())
        also_busy = start(crew, WAIT)
        assert await sp.eventually(lambda: len(house.waiting()) == 3)
        crew.key = VersionKey("renamed", 1, house.record.key.digest)
        behind = [start(crew, ANSWER) for _ in range(2)]
        house.open()
        waited = {await busy, await also_busy}
        assert waited == set(crew.pids) - {talks}
        assert {await one for one in behind} == waited
        assert [piece["pid"] async for piece in talk] == [talks]
        assert crew.memory_bytes() > 2 * process_bytes(talks)
        assert deaths == []

    tell(house, story)

    form = house.loader.form(house.record.key)
    assert form is not None
    assert form.replicas == 3


def test_one_that_dies_loses_what_it_was_asked_and_comes_back(tmp_path: Path) -> None:
    """By its rows, and by a signal; who waited for it is answered by another one."""
    house = House(tmp_path, 2)

    async def story(crew: Crew, deaths: list[str]) -> None:
        busy = [start(crew, WAIT) for _ in range(2)]
        assert await sp.eventually(lambda: len(house.waiting()) == 2)
        behind = [start(crew, ANSWER) for _ in range(2)]
        await asyncio.sleep(0)
        killed, left = crew.pids
        os.kill(killed, signal.SIGKILL)
        assert await sp.eventually(lambda: any(one.done() for one in busy))
        house.open()
        answers = await asyncio.gather(*busy, *behind, return_exceptions=True)
        assert [type(one) for one in answers].count(ModelNotReady) == 1
        assert [one for one in answers if isinstance(one, int)] == [left] * 3
        assert await sp.eventually(lambda: len(crew.pids) == 2)
        with pytest.raises(ModelFailed, match="died while it answered"):
            await ask(crew, CRASH)
        assert await sp.eventually(lambda: len(crew.pids) == 2)
        assert await ask(crew, ANSWER) in crew.pids
        assert deaths == []

    tell(house, story)


def test_when_none_is_left_the_version_is_loaded_again(tmp_path: Path) -> None:
    house = House(tmp_path, 2)
    record = house.record

    async def story() -> None:
        manager = Manager(house.loader, lambda: None)
        manager.start()
        manager.aspire(Aspired({record.key: record}))
        assert await sp.eventually(lambda: manager.is_ready(record.key))
        with manager.lease(record.key) as servable:
            assert isinstance(servable, Crew)
            first = servable.pids
            for pid in first:
                os.kill(pid, signal.SIGKILL)
            assert await sp.eventually(lambda: not manager.is_ready(record.key))
            with pytest.raises(ModelNotReady):
                await ask(servable, ANSWER)
        assert await sp.eventually(lambda: manager.is_ready(record.key))
        with manager.lease(record.key) as servable:
            assert isinstance(servable, Crew)
            assert await ask(servable, ANSWER) in set(servable.pids) - set(first)
        await manager.close(drain_timeout_s=10.0)

    uvloop.run(story())

    assert sp.until(house.has_ended)


def test_a_load_that_is_called_off_leaves_none_of_them(tmp_path: Path) -> None:
    house = House(tmp_path, 2)
    progress = Progress()

    def call_off() -> None:
        sp.until(lambda: len(list((tmp_path / "run").iterdir())) == 2)
        progress.cancel()

    canceller = threading.Thread(target=call_off)
    canceller.start()
    with pytest.raises(LoadCancelled):
        house.loader(house.record, progress)
    canceller.join()

    assert house.has_ended()


@pytest.mark.parametrize("pair", ["iris", "=2", "iris=0", "iris=65", "iris=", "iris=-1", "iris=x"])
def test_replicas_of_a_model_are_a_name_and_a_number(pair: str) -> None:
    with pytest.raises(ValueError, match="NAME=4"):
        parse_replicas((pair,))


@pytest.mark.parametrize(
    "pair", ["iris", "=1e-6", "iris=0", "iris=-1e-6", "iris=0.02", "iris=nan", "iris=inf", "iris=x"]
)
def test_a_tolerance_of_a_model_is_a_name_and_a_small_number(pair: str) -> None:
    with pytest.raises(InvalidRequest, match=r"onnx_tolerance_of.*NAME=1e-6"):
        load_settings({"serving.onnx_tolerance_of": (pair,)}, environ={})


def test_only_a_model_that_is_named_has_a_tolerance() -> None:
    settings = HoldingSettings(onnx_tolerance_of=("iris=1e-6", "a=b=.01"))

    found = [settings.onnx_tolerance_for(name) for name in ("iris", "a=b", "other")]

    assert found == [1e-6, 0.01, 0.0]


def test_a_model_may_have_more_replicas_than_the_others() -> None:
    settings = HoldingSettings(replicas=2, replicas_of=("iris=4", "a=b=1"))

    assert [settings.replicas_for(name) for name in ("iris", "a=b", "other")] == [4, 1, 2]
