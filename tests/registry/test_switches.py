"""The two-phase switch, over a real database and two workers that a test speaks for."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from registry import promotion
from registry.promotion import PromotionOrder
from registry.route import Route
from registry.stages import Stage
from registry.switches import Cause, SwitchState
from registry.wire import CreateModel, SetAlias, TransitionStage
from tests.registry.fleet_of_two import WORKERS, FleetOfTwo, fleet_on_file, worker_row
from tracking.errors import GateUnmet, InvalidRequest, ResourceConflict, ResourceMissing

CAUSE = Cause("ann", "", 0)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTwo]:
    made = fleet_on_file(tmp_path)
    yield made
    made.database.close()


def move(fleet: FleetOfTwo, version: int, stage: str) -> None:
    fleet.store.transition_stage(TransitionStage(name="A", version=str(version), stage=stage))


def test_a_route_is_committed_when_the_last_worker_is_prepared(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.say("w0")
    before = fleet.state

    fleet.say("w1")

    assert (before.epoch, before.committed) == (0, Route())
    assert (fleet.state.epoch, fleet.state.committed) == (1, Route(production=1))


def test_in_the_follow_lane_the_stage_moves_at_once(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")

    assert fleet.stages[1] == "Production"
    assert fleet.state.committed == Route()


def test_in_the_strict_lane_the_stage_moves_with_the_route(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.all_prepared()
    fleet.promote(PromotionOrder("A", version=2))
    before = fleet.stages

    fleet.all_prepared()

    assert before == {1: "Production", 2: "None", 3: "None"}
    assert fleet.stages == {1: "Archived", 2: "Production", 3: "None"}
    assert fleet.state.committed == Route(production=2)


@pytest.mark.parametrize("first", [(), (2,)])
def test_what_came_into_production_while_a_promotion_was_open_is_archived_by_it(
    first: tuple[int, ...], fleet: FleetOfTwo
) -> None:
    for version in first:
        move(fleet, version, "Production")
    fleet.promote(PromotionOrder("A", version=2))
    move(fleet, 3, "Production")

    fleet.all_prepared()

    assert fleet.stages == {1: "None", 2: "Production", 3: "Archived"}
    assert fleet.state.committed == Route(production=2)


def test_a_version_that_fails_on_one_worker_changes_nothing(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.all_prepared()
    fleet.promote(PromotionOrder("A", version=2))
    seq = fleet.open_switch.seq
    fleet.say("w0")

    fleet.say("w1", {2: "it has no predict"})

    switch = fleet.ledger.switch(seq)
    assert (switch.state, switch.why) == (SwitchState.ABORTED, "it has no predict")
    assert fleet.state.committed == Route(production=1)
    assert fleet.stages[2] == "None"
    assert fleet.ledger.status("A").refused == {2: "it has no predict"}


def test_a_failed_follow_leaves_the_last_good_version_and_the_reason(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.all_prepared()
    move(fleet, 2, "Production")

    fleet.say("w1", {2: "segfault"})

    status = fleet.ledger.status("A")
    assert status.row.committed == Route(production=1)
    assert status.row.desired == Route(production=2)
    assert status.refused == {2: "segfault"}
    assert fleet.state.switch is None


def test_other_changes_go_on_while_a_version_is_refused(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.all_prepared()
    move(fleet, 2, "Production")
    fleet.say("w1", {2: "segfault"})

    fleet.store.set_alias(SetAlias(name="A", alias="old", version="1"))

    assert fleet.state.committed == Route(production=1, aliases={"old": 1})


def test_a_dead_worker_is_not_waited_for(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.say("w0")
    fleet.dead.add("w1")
    row = fleet.ledger.status("A").workers[0]

    fleet.ledger.tend(row, fleet.is_live)

    assert fleet.state.committed == Route(production=1)
    assert [w.id for w in fleet.ledger.status("A").workers] == ["w0"]


def test_without_live_workers_nothing_is_committed(fleet: FleetOfTwo) -> None:
    fleet.dead.update(WORKERS)

    move(fleet, 1, "Production")
    fleet.all_prepared()

    assert fleet.state.committed == Route()


def test_a_newer_promotion_takes_the_place_of_an_open_one(fleet: FleetOfTwo) -> None:
    first = fleet.promote(PromotionOrder("A", version=1))

    second = fleet.promote(PromotionOrder("A", version=2))

    assert fleet.ledger.switch(first.seq).state is SwitchState.ABORTED
    assert fleet.open_switch.seq == second.seq


def test_changes_during_a_promotion_follow_after_it(fleet: FleetOfTwo) -> None:
    fleet.promote(PromotionOrder("A", version=1))
    move(fleet, 3, "Staging")
    fleet.all_prepared()
    between = fleet.state

    fleet.all_prepared()

    assert between.committed == Route(production=1)
    assert fleet.state.committed == Route(production=1, staging=3)


def test_a_worker_counts_only_once_it_has_what_is_committed(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.all_prepared()

    is_stale = fleet.ledger.start_serving("w1", {"A": 0}, fleet.is_live)
    is_current = fleet.ledger.start_serving("w1", {"A": 1}, fleet.is_live)

    assert (is_stale, is_current) == (False, True)


def test_promoting_the_candidate_ends_the_split_in_the_same_epoch(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    fleet.all_prepared()
    move(fleet, 2, "Staging")
    fleet.all_prepared()
    fleet.database.write(
        lambda c: promotion.set_split(c, "A", ("Staging", 2000), CAUSE, timeout_ms=1000)
    )
    epoch = fleet.state.epoch
    split = fleet.state.committed.split

    fleet.promote(PromotionOrder("A"))
    fleet.all_prepared()

    assert split is not None
    assert (fleet.state.epoch, fleet.state.committed) == (epoch + 1, Route(production=2))


def test_a_rollback_brings_the_previous_production_version_back(fleet: FleetOfTwo) -> None:
    for version in (1, 2):
        fleet.promote(PromotionOrder("A", version=version))
        fleet.all_prepared()

    with fleet.database.read() as connection:
        order = promotion.plan_rollback(connection, "A")

    assert order == PromotionOrder("A", version=1, is_rollback=True)


def test_without_an_earlier_production_version_there_is_no_rollback(fleet: FleetOfTwo) -> None:
    fleet.promote(PromotionOrder("A", version=1))
    fleet.all_prepared()

    with fleet.database.read() as connection, pytest.raises(ResourceConflict, match="no earlier"):
        promotion.plan_rollback(connection, "A")


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (PromotionOrder("A", version=9), ResourceMissing),
        (PromotionOrder("A"), ResourceMissing),
        (PromotionOrder("missing", version=1), ResourceMissing),
        (
            PromotionOrder("A", version=1, check_expected=True, expected_production=2),
            ResourceConflict,
        ),
        (PromotionOrder("A", version=4), GateUnmet),
        (PromotionOrder("A", version=1, to_stage=Stage.ARCHIVED), InvalidRequest),
    ],
)
def test_a_promotion_that_cannot_be_is_refused_and_opens_nothing(
    fleet: FleetOfTwo, order: PromotionOrder, error: type[Exception]
) -> None:
    fleet.add_version(is_sealed=False)

    with pytest.raises(error):
        fleet.promote(order)

    assert fleet.state.switch is None


def test_deleting_what_serves_takes_it_out_of_the_route(fleet: FleetOfTwo) -> None:
    fleet.promote(PromotionOrder("A", version=1))
    fleet.all_prepared()

    fleet.store.delete_version("A", "1")

    assert fleet.state.committed == Route()
    assert fleet.state.epoch == 2


def test_renaming_moves_the_route(fleet: FleetOfTwo) -> None:
    fleet.promote(PromotionOrder("A", version=1))
    fleet.all_prepared()

    fleet.store.rename_model("A", "B")

    states = fleet.ledger.states()
    assert {model: state.committed for model, state in states.items()} == {"B": Route(production=1)}


def test_two_production_versions_break_a_rule_of_the_database(fleet: FleetOfTwo) -> None:
    move(fleet, 1, "Production")
    second = text(
        "UPDATE model_version SET stage = 'Production', production_of = 'A' WHERE version = 2"
    )

    with pytest.raises(IntegrityError):
        fleet.database.write(lambda c: c.execute(second) and None)


class Routes(RuleBasedStateMachine):
    """Any order of moves, promotions, preparations, failures and deaths."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.fleet = fleet_on_file(Path(self.folder.name))
        self.epoch = 0

    def teardown(self) -> None:
        self.fleet.database.close()

    @rule(
        version=st.integers(1, 3),
        stage=st.sampled_from(["None", "Staging", "Production", "Archived"]),
    )
    def move(self, version: int, stage: str) -> None:
        move(self.fleet, version, stage)

    @rule(version=st.integers(1, 3))
    def promote(self, version: int) -> None:
        self.fleet.promote(PromotionOrder("A", version=version))

    @rule(version=st.integers(1, 3), alias=st.sampled_from(["x", "y"]))
    def alias(self, version: int, alias: str) -> None:
        self.fleet.store.set_alias(SetAlias(name="A", alias=alias, version=str(version)))

    @precondition(lambda self: self.fleet.state.switch is not None)
    @rule(worker=st.sampled_from(WORKERS), fails=st.booleans())
    def report(self, worker: str, fails: bool) -> None:  # noqa: FBT001  # hypothesis names it
        switch = self.fleet.open_switch
        new = sorted(switch.route.versions() - self.fleet.state.committed.versions())
        self.fleet.say(worker, {new[0]: "broken"} if fails and new else {})

    @invariant()
    def one_version_is_in_production(self) -> None:
        assert list(self.fleet.stages.values()).count("Production") <= 1

    @invariant()
    def epochs_never_fall_and_routes_name_existing_versions(self) -> None:
        state = self.fleet.state
        assert state.epoch >= self.epoch
        assert state.committed.versions() <= state.records.keys()
        self.epoch = state.epoch

    @invariant()
    def without_an_open_switch_the_route_is_as_desired_but_for_the_refused(self) -> None:
        status = self.fleet.ledger.status("A")
        desired, committed = status.row.desired, status.row.committed
        is_refused = desired.production in status.refused
        assert status.open_switch or is_refused or committed.production == desired.production


Routes.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestRoutes = Routes.TestCase


def test_workers_are_behind_until_they_have_published_and_the_dead_never_are(
    fleet: FleetOfTwo,
) -> None:
    before = fleet.ledger.behind(fleet.is_live)
    move(fleet, 1, "Production")
    fleet.all_prepared()
    told = [fleet.ledger.behind(fleet.is_live)]

    fleet.ledger.report_active("w0", {"A": fleet.state.epoch})
    told.append(fleet.ledger.behind(fleet.is_live))
    fleet.dead.add("w1")
    told.append(fleet.ledger.behind(fleet.is_live))

    assert (before, told) == ({}, [{"A": 2}, {"A": 1}, {}])


def test_the_first_worker_brings_after_the_registry_what_is_behind_and_nothing_else(
    fleet: FleetOfTwo,
) -> None:
    fleet.store.create_model(CreateModel(name="B"))
    move(fleet, 1, "Production")
    fleet.all_prepared()
    behind = text("UPDATE model_version SET stage = 'Staging' WHERE version = 2")
    fleet.database.write(lambda connection: connection.execute(behind) and None)
    fleet.dead = set(WORKERS)

    fleet.ledger.join(worker_row("w2", 2), fleet.is_live)

    assert fleet.open_switch.route == Route(production=1, staging=2)
    assert fleet.ledger.states()["B"].switch is None
