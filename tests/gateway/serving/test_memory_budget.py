"""A manager with a budget, over servables that say what they take."""

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from gateway.serving.budget import Budget
from gateway.serving.inventory import Aspired
from gateway.serving.manager import Manager
from gateway.serving.policy import Retention
from gateway.serving.progress import Progress
from gateway.serving.states import State
from registry.route import VersionKey, VersionRecord
from registry.signature import Signature
from registry.tensors import Batch, Prediction
from tests.gateway.serving import specimens as sp

FOREVER_S = 3600.0
ROOM = 100


class Heavy:
    """A Servable that takes what it is told to take."""

    signature: Signature | None = None

    def __init__(self, key: VersionKey, size_bytes: int) -> None:
        self.key = key
        self.size_bytes = size_bytes
        self.ended_by = ""
        self.is_closed = threading.Event()

    def memory_bytes(self) -> int:
        return self.size_bytes

    async def attach(self, on_death: Callable[[str], None]) -> None:
        """Need nothing."""

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        del params, deadline_s
        return Prediction(("output",), batch.arrays)

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let everybody in."""

    def end(self, cause: str) -> None:
        self.ended_by = cause

    def close(self) -> None:
        self.is_closed.set()


class Host:
    """A manager over versions that take ten times their number, and hang as long as a test says."""

    def __init__(self, *, idle_s: float = FOREVER_S, look_s: float = FOREVER_S) -> None:
        self.loaded: dict[int, Heavy] = {}
        self.order: list[int] = []
        self.gates: dict[int, threading.Event] = {}
        self.budget = Budget(ROOM, idle_unload_s=idle_s, look_every_s=look_s, model_bytes=80 << 20)
        self.manager = Manager(
            self._load, lambda: None, retention=Retention(window_s=0.0, count=0), budget=self.budget
        )

    def aspire(
        self,
        loaded: Iterable[int] = (),
        *,
        pinned: Iterable[int] = (),
        on_demand: Iterable[int] = (),
    ) -> None:
        records = {version(n).key: version(n) for n in (*pinned, *loaded)}
        pins, asked = (frozenset(version(n).key for n in some) for some in (pinned, on_demand))
        self.manager.aspire(Aspired(records, pins, asked))

    async def ask(self, number: int) -> State:
        """Want a version, and wait until it is there or has failed."""
        key = version(number).key
        self.manager.ask(version(number))
        over = (State.ACTIVE, State.FAILED)
        assert await sp.eventually(lambda: self.manager.state(key) in over), number
        return self.manager.state(key)

    async def use(self, number: int) -> None:
        with self.manager.lease(version(number).key) as servable:
            await servable.predict(sp.matrix((1.0,)), {})

    async def until_held(self, *numbers: int) -> bool:
        keys = {version(number).key for number in numbers}
        return await sp.eventually(lambda: self.manager.ready_keys() == keys)

    def why(self, number: int) -> str:
        return self.manager.why(version(number).key) or ""

    def tell(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            self.manager.start()
            try:
                await story()
            finally:
                await self.manager.close(drain_timeout_s=5.0)
            assert all(heavy.is_closed.is_set() for heavy in self.loaded.values())

        asyncio.run(main())

    def _load(self, record: VersionRecord, progress: Progress) -> Heavy:
        number = record.key.version
        self.order.append(number)
        progress.enter(State.VERIFYING)
        if number in self.gates:
            assert self.gates[number].wait(30.0)
        progress.enter(State.LOADING)
        heavy = Heavy(record.key, 10 * number)
        self.loaded[number] = heavy
        return heavy


def version(number: int) -> VersionRecord:
    return VersionRecord(VersionKey("iris", number, f"{number:064x}"), "store", "None")


def test_the_version_not_used_for_longest_makes_room() -> None:
    host = Host()

    async def story() -> None:
        for number in (3, 4, 2):
            assert await host.ask(number) is State.ACTIVE
        for number in (4, 3, 2):
            await host.use(number)

        assert await host.ask(5) is State.ACTIVE

        assert await host.until_held(2, 3, 5)
        assert await sp.eventually(host.loaded[4].is_closed.is_set)

    host.tell(story)


def test_news_name_what_has_changed_and_nothing_else() -> None:
    host = Host()

    async def story() -> None:
        for number in (1, 2):
            assert await host.ask(number) is State.ACTIVE
        before = host.manager.take_news()

        assert await host.ask(3) is State.ACTIVE

        after = host.manager.take_news()
        assert set(before[1]) == {version(1).key, version(2).key}
        assert after[1] == [version(3).key]
        assert after[0][version(3).key].state is State.ACTIVE
        assert host.manager.take_news()[1] == []

    host.tell(story)


def test_a_process_that_has_grown_beyond_its_own_limit_is_ended() -> None:
    host = Host(look_s=0.01)

    async def story() -> None:
        host.aspire(pinned=[1, 2])
        assert await host.until_held(1, 2)

        host.loaded[1].size_bytes = 81 << 20

        assert await sp.eventually(lambda: bool(host.loaded[1].ended_by))
        assert host.loaded[1].ended_by == "took 81 MiB, may take 80 MiB, and was killed"
        assert not host.loaded[2].ended_by

    host.tell(story)


def test_what_is_pinned_or_lent_stays_and_what_comes_is_refused_with_its_reason() -> None:
    host = Host()
    host.aspire(pinned=[3])

    async def story() -> None:
        assert await host.until_held(3)
        await host.ask(4)
        with host.manager.lease(version(4).key):
            assert await host.ask(5) is State.FAILED

        assert await host.until_held(3, 4)
        assert host.why(5).startswith("It takes 0.0 MiB, which is 0.0 MiB more than")
        assert host.loaded[5].is_closed.is_set()
        assert await host.ask(5) is State.ACTIVE, "4 is not lent any more"
        assert await host.until_held(3, 5)

    host.tell(story)


def test_what_is_known_not_to_fit_is_not_loaded_again() -> None:
    host = Host()

    async def story() -> None:
        assert await host.ask(11) is State.FAILED
        assert await host.ask(11) is State.FAILED

        assert host.order == [11]

    host.tell(story)


def test_a_pinned_version_without_room_comes_when_there_is_some() -> None:
    host = Host()
    host.aspire(pinned=[6, 7])

    async def story() -> None:
        assert await host.until_held(6)
        key = version(7).key
        assert await sp.eventually(lambda: host.manager.is_final(key))

        host.aspire(pinned=[7])

        assert await host.until_held(7)

    host.tell(story)


def test_a_version_that_a_route_names_can_go_and_comes_back_when_it_is_asked_for() -> None:
    host = Host()
    host.aspire(loaded=[6], pinned=[1])

    async def story() -> None:
        assert await host.until_held(1, 6)
        await host.ask(5)
        assert await host.until_held(1, 5)
        host.aspire(loaded=[6], pinned=[1, 2])
        assert await host.until_held(1, 2, 5), "6 comes back by no change of routes"

        await host.ask(6)

        assert await host.until_held(1, 2, 6)

    host.tell(story)


def test_what_nobody_needs_now_takes_no_other_place() -> None:
    host = Host()

    async def story() -> None:
        await host.ask(6)
        host.aspire(loaded=[5], pinned=[3])
        assert await sp.eventually(lambda: host.manager.is_final(version(5).key))

        assert await host.until_held(3, 6)
        assert await host.ask(5) is State.ACTIVE, "somebody needs it"
        assert await host.until_held(3, 5)

    host.tell(story)


def test_versions_on_demand_are_loaded_when_asked_for_and_stay_with_their_route() -> None:
    host = Host(idle_s=0.0, look_s=0.02)
    host.aspire(on_demand=[1, 2])

    async def story() -> None:
        await host.ask(1)
        assert await host.until_held(1)
        host.aspire(on_demand=[2])
        assert await host.until_held()

        host.aspire(pinned=[2])
        assert await host.until_held(2)
        host.aspire(on_demand=[2])

        await host.use(2)
        assert await host.until_held(2)

    host.tell(story)


def test_a_version_that_no_route_names_goes_when_nobody_asks() -> None:
    host = Host(look_s=0.02)

    async def story() -> None:
        for number in (1, 2):
            await host.ask(number)
        with host.manager.lease(version(1).key):
            host.budget.idle_unload_s = 0.0
            assert await host.until_held(1), "it is lent, and 2 is not"

        assert await host.until_held()

    host.tell(story)


def test_what_grows_makes_others_go() -> None:
    host = Host(look_s=0.02)
    host.aspire(pinned=[3])

    async def story() -> None:
        assert await host.until_held(3)
        await host.ask(4)
        await host.ask(2)
        host.loaded[3].size_bytes = 70
        assert await host.until_held(2, 3)
        host.loaded[3].size_bytes = 200
        assert await host.until_held(3), "and itself stays"

        view = host.manager.view()[version(3).key]
        assert (view.state, view.size_bytes) == (State.ACTIVE, 200)

    host.tell(story)


def test_a_load_that_hangs_holds_up_none_that_is_asked_for() -> None:
    host = Host()
    gate = host.gates[9] = threading.Event()

    async def story() -> None:
        host.aspire(loaded=[2], pinned=[9])
        hanging = version(9).key
        assert await sp.eventually(lambda: host.manager.state(hanging) is State.VERIFYING)

        assert await host.ask(1) is State.ACTIVE
        assert host.manager.state(version(2).key) is State.ABSENT, "nobody waits for it"

        gate.set()
        assert await host.until_held(1, 9)

    host.tell(story)


def test_a_version_that_leaves_its_route_still_comes_for_who_waits_for_it() -> None:
    host = Host()
    gate = host.gates[1] = threading.Event()
    host.aspire(on_demand=[1])

    async def story() -> None:
        host.manager.ask(version(1))
        key = version(1).key
        assert await sp.eventually(lambda: host.manager.state(key) is State.VERIFYING)

        host.aspire()
        gate.set()

        assert await host.until_held(1)

    host.tell(story)
