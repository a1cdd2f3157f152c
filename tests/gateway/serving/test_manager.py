"""The manager over real runners, and over small loaders of the test where only order matters."""

import asyncio
import math
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.serving.cache import Cache
from gateway.serving.failure import LoadFailed
from gateway.serving.inventory import Aspired
from gateway.serving.launch import RunnerLimits
from gateway.serving.loader import Load, Loader
from gateway.serving.manager import Manager
from gateway.serving.policy import Retention
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner
from gateway.serving.states import State
from registry.route import VersionKey, VersionRecord
from registry.signature import Signature
from registry.tensors import Batch, Prediction
from tests.gateway.serving import specimens as sp
from tracking.errors import ModelFailed, ModelNotReady

LIMITS = RunnerLimits(load_timeout_s=30.0, predict_timeout_s=20.0, warm_calls=1)
AT_ONCE = Retention(window_s=0.0, count=0)


class Host:
    """A store of versions and a manager over it, on the running loop."""

    def __init__(
        self, root: Path, *, retention: Retention = AT_ONCE, limits: RunnerLimits = LIMITS
    ) -> None:
        self._root = root
        self.store = sp.FolderStore(root / "store")
        cache = Cache(root / "cache", self.store)
        self.changes = 0
        loader = Loader(cache, limits, root / "run")
        self.manager = Manager(loader, self._count, retention=retention)

    def add(self, version: int, model: object) -> VersionRecord:
        example = np.array([[sp.DOUBLE, 1.0]])
        folder = sp.save(self._root / "store" / f"v{version}", model, example=example)
        return sp.record("iris", version, folder)

    def _count(self) -> None:
        self.changes += 1


def aspire(manager: Manager, *records: VersionRecord) -> None:
    by_key = {record.key: record for record in records}
    manager.aspire(Aspired(by_key, pinned=by_key.keys()))


async def ask(manager: Manager, key: VersionKey, *row: float) -> float:
    with manager.lease(key) as servable:
        answer = await servable.predict(sp.matrix(row), {})
    return float(answer.arrays[0][0])


def run(manager: Manager, story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Tell a story on a loop of its own, with the manager started and closed around it."""

    async def main() -> Any:
        manager.start()
        try:
            return await story()
        finally:
            await manager.close(drain_timeout_s=5.0)

    return asyncio.run(main())


# --- real runners ---------------------------------------------------------------------------------


def test_what_is_aspired_is_loaded_and_answers(tmp_path: Path) -> None:
    host = Host(tmp_path)
    one, two = host.add(1, sp.Affine(10.0)), host.add(2, sp.Affine(20.0))

    async def story() -> list[float]:
        aspire(host.manager, one, two)
        assert await sp.eventually(lambda: host.manager.ready_keys() == {one.key, two.key})
        return [await ask(host.manager, record.key, 3.0) for record in (one, two)]

    answers = run(host.manager, story)

    assert answers == [30.0, 60.0]
    assert host.changes >= 2
    assert host.manager.view() == {}


def test_bad_versions_fail_with_a_reason_and_harm_no_other(tmp_path: Path) -> None:
    host = Host(tmp_path, limits=RunnerLimits(load_timeout_s=5.0, warm_calls=1))
    crash = "import os; os.kill(os.getpid(), 11)"
    bad = [host.add(1, sp.Bomb(crash)), host.add(2, sp.Bomb("import os; os._exit(1)"))]
    good = host.add(3, sp.Affine(2.0))
    gone = host.add(4, sp.Affine(4.0))
    (tmp_path / "store" / "v4" / "model.pkl").unlink()
    changed = host.add(5, sp.Affine(5.0))
    (tmp_path / "store" / "v5" / "model.pkl").write_bytes(b"something else")

    async def story() -> dict[int, tuple[State, str | None, bool]]:
        everything = [*bad, good, gone, changed]
        aspire(host.manager, *everything)
        states = {State.FAILED, State.ACTIVE}
        keys = [record.key for record in everything]
        assert await sp.eventually(lambda: {host.manager.state(key) for key in keys} == states)
        assert await sp.eventually(
            lambda: all(host.manager.state(key) in states for key in keys), within_s=40.0
        )
        assert await ask(host.manager, good.key, 1.0) == 2.0
        with pytest.raises(ModelNotReady, match="SIGSEGV"):
            host.manager.lease(bad[0].key)
        manager = host.manager
        return {k.version: (manager.state(k), manager.why(k), manager.is_final(k)) for k in keys}

    seen = run(host.manager, story)

    registered = "Its files are not the ones that were registered: "
    assert seen == {
        1: (State.FAILED, "The model's process was killed by SIGSEGV while it was loaded.", True),
        2: (State.FAILED, "The model's process ended with exit code 1 while it was loaded.", True),
        3: (State.ACTIVE, None, False),
        4: (State.FAILED, registered + "A file is missing, new, or has other bytes.", True),
        5: (State.FAILED, registered + "A file is missing, new, or has other bytes.", True),
    }


def test_a_version_whose_process_dies_comes_back_from_the_cache(tmp_path: Path) -> None:
    host = Host(tmp_path)
    record = host.add(1, sp.Obedient())

    async def story() -> float:
        manager = host.manager
        aspire(manager, record)
        first = await _next_pid(manager, record.key, after=0)
        fetched = host.store.fetched
        with pytest.raises(ModelFailed):
            await ask(manager, record.key, sp.CRASH, 0.0)
        await _next_pid(manager, record.key, after=first)
        assert host.store.fetched == fetched
        return await ask(manager, record.key, sp.DOUBLE, 4.0)

    assert run(host.manager, story) == 8.0


def test_a_version_killed_while_idle_comes_back(tmp_path: Path) -> None:
    host = Host(tmp_path)
    record = host.add(1, sp.Affine(2.0))

    async def story() -> float:
        aspire(host.manager, record)
        first = await _next_pid(host.manager, record.key, after=0)
        os.kill(first, signal.SIGKILL)
        await _next_pid(host.manager, record.key, after=first)
        return await ask(host.manager, record.key, 4.0)

    assert run(host.manager, story) == 8.0


async def _next_pid(manager: Manager, key: VersionKey, *, after: int) -> int:
    assert await sp.eventually(lambda: manager.is_ready(key) and _pid(manager, key) != after)
    return _pid(manager, key)


def _pid(manager: Manager, key: VersionKey) -> int:
    with manager.lease(key) as servable:
        assert isinstance(servable, Runner)
        return servable.pid


def test_fifty_reloads_leave_no_process_or_descriptor(tmp_path: Path) -> None:
    host = Host(tmp_path)
    records = [host.add(1, sp.Affine(1.0)), host.add(2, sp.Affine(2.0))]

    async def story() -> tuple[int, int, list[str]]:
        manager, pids = host.manager, []
        for turn in range(50):
            record = records[turn % 2]
            aspire(manager, record)
            assert await sp.eventually(partial(_is_alone, manager, record.key))
            assert await ask(manager, record.key, 3.0) == 3.0 * record.key.version
            pids.append(_pid(manager, record.key))
            if turn == 1:
                before = sp.descriptors()
        assert await sp.eventually(lambda: sum(map(sp.is_alive, pids)) == 1)
        await sp.eventually(lambda: sp.descriptors() <= before)
        scratch = [path.name for path in (tmp_path / "run").iterdir()]
        return before, sp.descriptors(), scratch

    before, after, scratch = run(host.manager, story)

    assert after <= before
    assert len(scratch) == 1
    assert list((tmp_path / "run").iterdir()) == []


def test_a_change_of_versions_under_load_fails_no_request(tmp_path: Path) -> None:
    """Each request leases what is ready when it comes, and is answered by that version."""
    host = Host(tmp_path)
    records = [host.add(1, sp.Affine(1.0)), host.add(2, sp.Affine(2.0))]

    async def story() -> list[tuple[int, float]]:
        manager, answers, is_over = host.manager, [], asyncio.Event()
        current = records[0].key

        async def client() -> None:
            while not is_over.is_set():
                key = current
                answers.append((key.version, await ask(manager, key, 5.0)))

        aspire(manager, records[0])
        assert await sp.eventually(lambda: manager.is_ready(records[0].key))
        async with asyncio.TaskGroup() as clients:
            for _ in range(4):
                clients.create_task(client())
            for turn in range(1, 5):
                old, new = records[(turn + 1) % 2].key, records[turn % 2].key
                aspire(manager, *records)
                assert await sp.eventually(partial(manager.is_ready, new))
                current = new
                aspire(manager, records[turn % 2])
                assert await sp.eventually(partial(_is_answering, manager, answers, new, old))
            is_over.set()
        return answers

    answers = run(host.manager, story)

    assert {version for version, _ in answers} == {1, 2}
    assert all(answer == 5.0 * version for version, answer in answers)


def _is_alone(manager: Manager, key: VersionKey) -> bool:
    return manager.ready_keys() == {key}


def _is_answering(
    manager: Manager, answers: list[tuple[int, float]], new: VersionKey, old: VersionKey
) -> bool:
    return answers[-1][0] == new.version and manager.state(old) is State.ABSENT


# --- order, retries, leases: small loaders of the test --------------------------------------------


class Echo:
    """A Servable without a process, which counts what happens to it."""

    signature: Signature | None = None

    def __init__(self, key: VersionKey) -> None:
        self.key = key
        self.is_closed = threading.Event()
        self.on_death: Callable[[str], None] = print

    async def attach(self, on_death: Callable[[str], None]) -> None:
        self.on_death = on_death

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        del params, deadline_s
        return Prediction(("output",), batch.arrays)

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let everybody in."""

    def close(self) -> None:
        self.is_closed.set()


class Scripted:
    """Loads Echoes; fails as often as the script says."""

    def __init__(self, failures: list[LoadFailed] | None = None) -> None:
        self.failures = failures or []
        self.loaded: list[Echo] = []
        self.order: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, record: VersionRecord, progress: Progress) -> Echo:
        self.order.append(record.key.version)
        for state in (State.VERIFYING, State.LOADING):
            progress.enter(state)
        while not self.gate.wait(0.01):
            progress.check()
        if self.failures:
            raise self.failures.pop(0)
        echo = Echo(record.key)
        self.loaded.append(echo)
        return echo


def version(number: int) -> VersionRecord:
    return VersionRecord(VersionKey("iris", number, f"{number:064x}"), "store", "None")


def managed(load: Load, *, retention: Retention = AT_ONCE) -> Manager:
    return Manager(load, lambda: None, retention=retention)


def test_a_transient_failure_is_tried_again() -> None:
    script = Scripted([LoadFailed("busy", is_transient=True)])
    manager, record = managed(script), version(1)

    async def story() -> bool:
        aspire(manager, record)
        return await sp.eventually(lambda: manager.is_ready(record.key))

    assert run(manager, story)
    assert script.order == [1, 1]


def test_a_permanent_failure_waits_until_it_is_forgotten() -> None:
    script = Scripted([LoadFailed("bad bytes", is_transient=False)])
    manager, record = managed(script), version(1)

    async def story() -> tuple[str | None, str | None]:
        aspire(manager, record)
        assert await sp.eventually(lambda: manager.is_final(record.key))
        why = manager.why(record.key)
        aspire(manager, record, version(2))
        assert await sp.eventually(lambda: manager.is_ready(version(2).key))
        assert script.order == [1, 2]
        await asyncio.to_thread(manager.forget, record.key)
        forgotten = manager.why(record.key)
        assert await sp.eventually(lambda: manager.is_ready(record.key))
        return why, forgotten

    assert run(manager, story) == ("bad bytes", None)


def test_an_unforeseen_error_of_a_load_is_a_failure_and_stops_nobody() -> None:
    class Broken(Scripted):
        def __call__(self, record: VersionRecord, progress: Progress) -> Echo:
            if record.key.version == 1:
                raise ZeroDivisionError
            return super().__call__(record, progress)

    manager = managed(Broken())

    async def story() -> str | None:
        aspire(manager, version(1), version(2))
        assert await sp.eventually(lambda: manager.is_ready(version(2).key))
        return manager.why(version(1).key)

    assert "ZeroDivisionError" in (run(manager, story) or "")


def test_a_load_is_called_off_when_it_is_no_longer_wanted() -> None:
    script = Scripted()
    manager = managed(script)

    async def story() -> tuple[State, bool]:
        script.gate.clear()
        aspire(manager, version(1))
        assert await sp.eventually(lambda: manager.state(version(1).key) is State.LOADING)
        aspire(manager, version(2))
        assert await sp.eventually(lambda: script.order == [1, 2])
        script.gate.set()
        ready = await sp.eventually(lambda: manager.is_ready(version(2).key))
        return manager.state(version(1).key), ready

    assert run(manager, story) == (State.ABSENT, True)
    assert [echo.key.version for echo in script.loaded] == [2]


def test_a_servable_is_not_freed_while_it_is_leased() -> None:
    script = Scripted()
    manager = managed(script)

    async def story() -> tuple[bool, bool]:
        key = version(1).key
        aspire(manager, version(1))
        assert await sp.eventually(lambda: manager.is_ready(key))
        with manager.lease(key) as servable:
            aspire(manager)
            assert await sp.eventually(lambda: manager.state(key) is State.DRAINING)
            await servable.predict(sp.matrix((1.0,)), {})
            freed_early = script.loaded[0].is_closed.is_set()
        assert await sp.eventually(lambda: manager.state(key) is State.ABSENT)
        return freed_early, script.loaded[0].is_closed.is_set()

    assert run(manager, story) == (False, True)


def test_a_draining_version_that_is_wanted_again_answers_again() -> None:
    script = Scripted()
    manager = managed(script)

    async def story() -> list[State]:
        key, states = version(1).key, []
        aspire(manager, version(1))
        assert await sp.eventually(lambda: manager.is_ready(key))
        with manager.lease(key):
            aspire(manager)
            assert await sp.eventually(lambda: manager.state(key) is State.DRAINING)
            aspire(manager, version(1))
            assert await sp.eventually(lambda: manager.is_ready(key))
        await asyncio.sleep(0)
        states.append(manager.state(key))
        return states

    assert run(manager, story) == [State.ACTIVE]
    assert script.order == [1]


def test_a_dropped_version_stays_for_a_way_back() -> None:
    script = Scripted()
    manager = managed(script, retention=Retention(window_s=60.0, count=1))

    async def story() -> list[State]:
        keys = [version(number).key for number in (1, 2, 3)]
        for number in (1, 2, 3):
            aspire(manager, version(number))
            assert await sp.eventually(partial(manager.is_ready, version(number).key))
        assert await sp.eventually(lambda: manager.state(keys[0]) is State.ABSENT)
        assert await sp.eventually(lambda: manager.state(keys[2]) is State.ACTIVE)
        states = [manager.state(key) for key in keys]
        aspire(manager, version(2))
        assert await sp.eventually(lambda: manager.state(keys[1]) is State.ACTIVE)
        return states

    assert run(manager, story) == [State.ABSENT, State.STANDBY, State.ACTIVE]
    assert script.order == [1, 2, 3]


def test_a_servable_that_dies_while_leased_is_freed_after_the_lease() -> None:
    script = Scripted()
    manager = managed(script)

    async def story() -> tuple[bool, bool]:
        key = version(1).key
        aspire(manager, version(1))
        assert await sp.eventually(lambda: manager.is_ready(key))
        with manager.lease(key):
            first = script.loaded[0]
            first.on_death("The test killed it.")
            assert await sp.eventually(lambda: len(script.loaded) == 2)
            freed_early = first.is_closed.is_set()
        return freed_early, await sp.eventually(first.is_closed.is_set)

    assert run(manager, story) == (False, True)


def test_repeated_deaths_are_followed_by_longer_and_longer_waits() -> None:
    script = Scripted()
    manager = managed(script)

    async def story() -> list[int]:
        key, attempts = version(1).key, []
        aspire(manager, version(1))
        for turn in range(2):
            assert await sp.eventually(lambda: manager.is_ready(key))
            script.loaded[turn].on_death("The test killed it.")
            failure = manager.failure(key)
            assert failure is not None
            attempts.append(failure.attempt)
        return attempts

    assert run(manager, story) == [1, 2]


def test_closing_frees_what_is_still_leased_when_the_time_is_over() -> None:
    script = Scripted()
    manager = managed(script)

    async def main() -> bool:
        manager.start()
        aspire(manager, version(1))
        assert await sp.eventually(lambda: manager.is_ready(version(1).key))
        with manager.lease(version(1).key):
            await manager.close(drain_timeout_s=0.1)
        return script.loaded[0].is_closed.is_set()

    assert asyncio.run(main())


def test_a_version_that_nobody_aspired_is_not_lent() -> None:
    manager = managed(Scripted())

    async def story() -> None:
        with pytest.raises(ModelNotReady, match="'iris' version 1 is ABSENT here"):
            manager.lease(version(1).key)

    run(manager, story)


def test_what_is_aspired_before_the_start_is_loaded_at_the_start() -> None:
    manager = managed(Scripted())
    aspire(manager, version(1))

    async def story() -> bool:
        return await sp.eventually(lambda: manager.is_ready(version(1).key))

    assert run(manager, story)
