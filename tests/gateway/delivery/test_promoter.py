"""Promotion, rollback and traffic, waited for until every worker serves them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.delivery.promoter import (
    Promoter,
    PromoteRequest,
    PromotionReport,
    RollbackRequest,
    TrafficRequest,
)
from registry.route import Route
from tests.gateway.delivery.small_fleet import SmallFleet
from tracking.errors import GateUnmet, InvalidRequest, ResourceConflict, ResourceMissing


def told(sqlite_uri: str, folder: Path, story: Callable[[SmallFleet, Promoter], None]) -> None:
    """Run a story in a thread, as a handler would, while the fleet's loop turns."""

    async def run() -> None:
        async with SmallFleet(sqlite_uri, folder) as fleet:
            await asyncio.to_thread(story, fleet, fleet.workers[0].promoter())

    asyncio.run(run())


def promote(promoter: Promoter, version: int) -> PromotionReport:
    return promoter.promote("A", PromoteRequest(version=version, wait="active"), "ann")


def routes(fleet: SmallFleet) -> list[Route | None]:
    return [worker.route() for worker in fleet.workers]


def test_when_a_waited_promotion_returns_every_worker_serves_it(
    sqlite_uri: str, tmp_path: Path
) -> None:
    def story(fleet: SmallFleet, promoter: Promoter) -> None:
        report = promote(promoter, 2)

        assert routes(fleet) == [Route(production=2)] * 2
        assert (report.state, report.epoch, report.version) == ("COMMITTED", 1, 2)
        assert promoter.status("A").is_converged

    told(sqlite_uri, tmp_path, story)


def test_a_promotion_that_cannot_be_loaded_says_why(sqlite_uri: str, tmp_path: Path) -> None:
    def story(fleet: SmallFleet, promoter: Promoter) -> None:
        promote(promoter, 1)
        fleet.broken[2] = "no such module"

        with pytest.raises(GateUnmet, match="no such module"):
            promote(promoter, 2)

        assert routes(fleet) == [Route(production=1)] * 2

    told(sqlite_uri, tmp_path, story)


def test_a_dry_run_changes_nothing(sqlite_uri: str, tmp_path: Path) -> None:
    def story(fleet: SmallFleet, promoter: Promoter) -> None:
        report = promoter.promote("A", PromoteRequest(version=2, dry_run=True), "ann")

        assert (report.state, report.switch, report.route) == ("PLANNED", None, Route(production=2))
        assert fleet.workers[0].ledger.status("A").row.epoch == 0

    told(sqlite_uri, tmp_path, story)


def test_promoting_what_serves_already_opens_no_switch(sqlite_uri: str, tmp_path: Path) -> None:
    def story(_fleet: SmallFleet, promoter: Promoter) -> None:
        promote(promoter, 1)

        again = promote(promoter, 1)

        assert (again.state, again.epoch, again.switch) == ("COMMITTED", 1, None)

    told(sqlite_uri, tmp_path, story)


def test_a_rollback_brings_the_previous_version_back(sqlite_uri: str, tmp_path: Path) -> None:
    def story(fleet: SmallFleet, promoter: Promoter) -> None:
        promote(promoter, 1)
        promote(promoter, 2)

        promoter.rollback("A", RollbackRequest(wait="active"), "ann")

        assert routes(fleet) == [Route(production=1)] * 2

    told(sqlite_uri, tmp_path, story)


def test_traffic_is_split_and_given_back(sqlite_uri: str, tmp_path: Path) -> None:
    def story(_fleet: SmallFleet, promoter: Promoter) -> None:
        promote(promoter, 1)
        promoter.promote("A", PromoteRequest(version=2, to="Staging", wait="active"), "ann")

        split = promoter.set_traffic("A", TrafficRequest(weight_bp=2000, wait="active"), "ann")
        grown = promoter.set_traffic("A", TrafficRequest(weight_bp=5000), "ann")
        ended = promoter.end_traffic("A", "ann")

        assert split.committed is not None
        assert grown.committed is not None
        assert (split.stable, split.candidate, split.committed.weight_bp) == (1, 2, 2000)
        assert grown.committed.split_id == split.committed.split_id
        assert (ended.desired, ended.committed) == (None, None)

    told(sqlite_uri, tmp_path, story)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (PromoteRequest(version="x"), InvalidRequest),
        (PromoteRequest(to="nowhere"), InvalidRequest),
        (PromoteRequest(version=1, to="Archived"), InvalidRequest),
        (PromoteRequest(version=9), ResourceMissing),
        (PromoteRequest(), ResourceMissing),
        (PromoteRequest(version=1, expected_production=2), ResourceConflict),
    ],
)
def test_what_cannot_be_promoted_is_refused(
    sqlite_uri: str, tmp_path: Path, request_: PromoteRequest, error: type[Exception]
) -> None:
    def story(_fleet: SmallFleet, promoter: Promoter) -> None:
        with pytest.raises(error):
            promoter.promote("A", request_, "ann")

    told(sqlite_uri, tmp_path, story)
