"""The slow loop, two workers at a time, over a real database."""

import asyncio
from pathlib import Path

from gateway.serving.states import State
from registry.route import Route
from registry.wire import SetAlias
from tests.gateway.delivery.small_fleet import SmallFleet, SmallWorker


def test_what_enters_production_is_loaded_and_served_by_every_worker(
    sqlite_uri: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            fleet.move(1, "Production")

            await fleet.until_all_serve(Route(production=1))

            assert all(len(worker.manager.ready_keys()) == 1 for worker in fleet.workers)

    asyncio.run(story())


def test_a_version_that_fails_on_one_worker_is_served_by_none(
    sqlite_uri: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            fleet.move(1, "Production")
            await fleet.until_all_serve(Route(production=1))
            fleet.workers[1].broken = {2: "no such module"}

            fleet.move(2, "Production")
            await fleet.until(lambda: 2 in fleet.workers[0].ledger.status("A").refused)

            status = fleet.workers[0].ledger.status("A")
            assert [worker.route() for worker in fleet.workers] == [Route(production=1)] * 2
            assert "no such module" in status.refused[2]

    asyncio.run(story())


def test_a_refused_version_is_tried_again_when_it_is_moved_again(
    sqlite_uri: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            fleet.broken[2] = "no such module"
            fleet.move(2, "Staging")
            await fleet.until(lambda: 2 in fleet.workers[0].ledger.status("A").refused)
            fleet.broken.clear()

            fleet.move(2, "Staging")

            await fleet.until_all_serve(Route(staging=2))

    asyncio.run(story())


def test_the_version_before_stays_loaded_for_a_way_back(sqlite_uri: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            for version in (1, 2):
                fleet.move(version, "Production")
                await fleet.until_all_serve(Route(production=version))

            manager = fleet.workers[0].manager
            await fleet.until(
                lambda: (
                    {manager.state(key) for key in manager.ready_keys()}
                    == {State.ACTIVE, State.STANDBY}
                )
            )

    asyncio.run(story())


def test_a_worker_that_died_is_not_waited_for(sqlite_uri: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            fleet.workers[1].die()

            fleet.move(1, "Production")

            await fleet.until(lambda: fleet.workers[0].route() == Route(production=1))

    asyncio.run(story())


def test_a_worker_that_joins_loads_what_is_committed_before_it_serves(
    sqlite_uri: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            fleet.move(1, "Production")
            await fleet.until_all_serve(Route(production=1))

            late = SmallWorker(sqlite_uri, tmp_path, 2, {})
            fleet.workers.append(late)
            late.start()
            await fleet.until(lambda: late.reconciler.is_serving)

            assert late.route() == Route(production=1)
            assert late.manager.is_ready(late.table.models["A"].records[1].key)

    asyncio.run(story())


def test_a_version_outside_routes_is_loaded_when_it_is_asked_for(
    sqlite_uri: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            worker = fleet.workers[0]
            await fleet.until(lambda: "A" in worker.table.models)
            record = worker.table.models["A"].records[3]

            await asyncio.wait_for(worker.reconciler.demand.ask(record), 10.0)

            assert worker.manager.is_ready(record.key)

    asyncio.run(story())


def test_a_version_that_is_dropped_is_unloaded_and_can_be_asked_for_again(
    sqlite_uri: str, tmp_path: Path
) -> None:
    """Without being kept for a way back, as one that leaves a route is."""

    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            worker = fleet.workers[0]
            await fleet.until(lambda: "A" in worker.table.models)
            record = worker.table.models["A"].records[2]
            await asyncio.wait_for(worker.reconciler.demand.ask(record), 10.0)

            worker.reconciler.demand.drop(record.key)

            await fleet.until(lambda: record.key not in worker.manager.view())
            await asyncio.wait_for(worker.reconciler.demand.ask(record), 10.0)
            assert worker.manager.is_ready(record.key)

    asyncio.run(story())


def test_a_deleted_model_leaves_the_table(sqlite_uri: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            fleet.store.set_alias(SetAlias(name="A", alias="x", version="1"))
            await fleet.until_all_serve(Route(aliases={"x": 1}))

            fleet.store.delete_model("A")

            await fleet.until(lambda: all("A" not in w.table.models for w in fleet.workers))

    asyncio.run(story())


def test_a_renamed_model_answers_under_both_names_until_its_route_has_moved(
    sqlite_uri: str, tmp_path: Path
) -> None:
    async def story() -> None:
        async with SmallFleet(sqlite_uri, tmp_path) as fleet:
            fleet.move(1, "Production")
            await fleet.until_all_serve(Route(production=1))
            worker = fleet.workers[0]
            old = worker.table.models["A"].records[1].key

            fleet.store.rename_model("A", "B")
            await fleet.until(lambda: "B" in worker.table.models)

            new = worker.table.models["B"].records[1].key
            with worker.manager.lease(new) as by_new, worker.manager.lease(old) as by_old:
                assert by_new is by_old
            assert worker.route("B") == Route(production=1)
            assert "A" not in worker.table.models

    asyncio.run(story())
