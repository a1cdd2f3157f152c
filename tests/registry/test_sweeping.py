"""What closes switches that others left open, over a real database that refuses some routes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from registry.route import Route
from registry.switches import SwitchState
from registry.wire import CreateModel, CreateVersion, TransitionStage
from tests.registry.fleet_of_two import FleetOfTwo, fleet_on_file, worker_row


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetOfTwo]:
    """Return two workers and two models; the route of ``A`` cannot be committed."""
    made = fleet_on_file(tmp_path)
    made.store.create_model(CreateModel(name="B"))
    source = "s3://bucket/b"
    made.store.create_version(CreateVersion(name="B", source=source))
    execute(made, "UPDATE model_version SET digest = 'b' WHERE model = 'B'")
    execute(
        made,
        "CREATE TRIGGER refusing BEFORE UPDATE OF committed_epoch ON route WHEN NEW.model = 'A' "
        "AND NEW.committed_epoch <> OLD.committed_epoch BEGIN SELECT RAISE(ABORT, 'no A'); END",
    )
    yield made
    made.database.close()


def execute(fleet: FleetOfTwo, statement: str) -> None:
    fleet.database.write(lambda connection: connection.execute(text(statement)) and None)


def open_both(fleet: FleetOfTwo) -> None:
    """Open a switch of each model, prepared by the one worker that lives."""
    for model in ("A", "B"):
        fleet.store.transition_stage(TransitionStage(name=model, version="1", stage="Production"))
    fleet.dead.add("w1")
    execute(
        fleet,
        "INSERT INTO prepared (switch, worker, ok, at) SELECT seq, 'w0', 1, 0 FROM switch "
        "WHERE state = 'PREPARING'",
    )


def committed(fleet: FleetOfTwo) -> dict[str, Route]:
    return {model: state.committed for model, state in fleet.ledger.states().items()}


def test_a_switch_that_cannot_be_committed_does_not_keep_others_open(fleet: FleetOfTwo) -> None:
    open_both(fleet)

    is_known, failures = fleet.ledger.tend(worker_row("w0", 0), fleet.is_live)

    assert is_known
    assert {model: type(why) for model, why in failures.items()} == {"A": IntegrityError}
    assert committed(fleet) == {"A": Route(), "B": Route(production=1)}


def test_it_is_committed_by_a_later_sweep_once_it_can_be(fleet: FleetOfTwo) -> None:
    open_both(fleet)
    fleet.ledger.tend(worker_row("w0", 0), fleet.is_live)
    execute(fleet, "DROP TRIGGER refusing")

    _, failures = fleet.ledger.tend(worker_row("w0", 0), fleet.is_live)

    assert failures == {}
    assert committed(fleet) == dict.fromkeys("AB", Route(production=1))


def test_when_its_time_is_up_it_is_given_up_with_the_reason(fleet: FleetOfTwo) -> None:
    open_both(fleet)
    seq = fleet.open_switch.seq
    execute(fleet, "UPDATE switch SET deadline_at = 1 WHERE model = 'A'")

    fleet.ledger.tend(worker_row("w0", 0), fleet.is_live)

    switch = fleet.ledger.switch(seq)
    why = "it could not be committed: IntegrityError"
    assert (switch.state, switch.why) == (SwitchState.ABORTED, why)
    assert fleet.ledger.status("A").refused == {1: why}


def test_the_last_report_of_it_stands_although_it_cannot_be_committed(fleet: FleetOfTwo) -> None:
    fleet.store.transition_stage(TransitionStage(name="A", version="1", stage="Production"))
    fleet.say("w0")
    fleet.say("w1")
    execute(fleet, "DROP TRIGGER refusing")

    fleet.ledger.tend(worker_row("w0", 0), fleet.is_live)

    assert committed(fleet)["A"] == Route(production=1)


def test_the_first_of_a_fleet_joins_although_a_route_cannot_follow(fleet: FleetOfTwo) -> None:
    execute(fleet, "UPDATE route SET committed = '{\"production\": 3}' WHERE model = 'A'")
    execute(fleet, "UPDATE model_version SET stage = 'Staging' WHERE model = 'B'")
    fleet.dead = {"w0", "w1"}

    failures = fleet.ledger.join(worker_row("w2", 2), fleet.is_live)

    assert set(failures) == {"A"}
    assert fleet.ledger.states()["B"].switch is not None
    assert "w2" in {worker.id for worker in fleet.ledger.status("A").workers}
