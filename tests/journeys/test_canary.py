"""A share of the traffic goes to Staging: sticky, growing without a key lost, never an error."""

import pytest

from gateway.routing.table import CANDIDATE, ModelRoute, RouteTable, assign
from registry.references import Live
from registry.route import Route, Split, VersionKey, VersionRecord
from tests.journeys.history import failures, false_answers, wanderers
from tests.journeys.models import Marked, Sulking, marked_answer, register
from tests.journeys.server import Reply, Server, kill_hard
from tests.journeys.traffic import Traffic

PROBES = [[float(n), 1.0, 2.0] for n in range(7, 27)]


def with_canary(server: Server, model: str, candidate: Marked, weight_bp: int) -> Split:
    """Put version 1 in Production and a candidate in Staging, and split the traffic."""
    assert register(server, model, Marked(1)) == 1
    assert server.promote(model, 1).status == 200
    version = register(server, model, candidate)
    assert server.promote(model, version, to="Staging").status == 200
    return set_weight(server, model, weight_bp)


def set_weight(server: Server, model: str, weight_bp: int) -> Split:
    """Set the candidate's share, and return the split once every worker has it."""
    asked = {"candidate": "Staging", "weight_bp": weight_bp, "wait": "active"}
    reply = server.send("PUT", f"/admin/models/{model}/traffic", asked)
    assert reply.status == 200, reply.body
    told = server.get(f"/admin/models/{model}/traffic").json()
    assert told["desired"] == told["committed"]
    assert told["committed"]["weight_bp"] == weight_bp
    return Split(**told["committed"])


def chosen(split: Split, keys: list[bytes]) -> set[bytes]:
    """Return the keys that go to the candidate, by the same function that workers use."""
    records = {
        number: VersionRecord(VersionKey("M", number, "d"), storage="", stage="None")
        for number in (1, 2)
    }
    route = Route(production=1, staging=2, split=split)
    table = RouteTable({"M": ModelRoute(model="M", epoch=1, route=route, records=records)})

    def variant(key: bytes) -> str:
        ready = {"is_ready": lambda _: True}
        return assign(table, "M", Live(), key=key, nonce=b"", **ready).variant

    return {key for key in keys if variant(key) == CANDIDATE}


def test_keys_go_where_the_published_hash_says_and_stay_while_the_share_grows(
    shared: Server,
) -> None:
    small = with_canary(shared, "Sticky", Marked(2), 500)
    keys = [b"%d" % number for number in range(100_000)]
    asked = [b"%d" % number for number in range(150)]

    def answered_by_candidate() -> set[bytes]:
        return {key for key in asked if ask(shared, "Sticky", key).version == 2}

    in_small, real_small = chosen(small, keys), answered_by_candidate()
    large = set_weight(shared, "Sticky", 2500)
    in_large, real_large = chosen(large, keys), answered_by_candidate()

    assert small.split_id == large.split_id
    assert len(in_small) == pytest.approx(5_000, abs=500)
    assert len(in_large) == pytest.approx(25_000, abs=500)
    assert in_small < in_large
    assert real_small == in_small & set(asked)
    assert real_large == in_large & set(asked)


def test_the_share_of_real_traffic_is_the_weight_and_keys_are_sticky(shared: Server) -> None:
    with_canary(shared, "Shared", Marked(2), 2000)

    with (
        Traffic(shared, "Shared", PROBES, rate=400.0) as anonymous,
        Traffic(shared, "Shared", PROBES, rate=100.0, keyed=True) as keyed,
    ):
        anonymous.wait_for(3_000)

    by_candidate = sum(row.variant == "candidate" for row in anonymous.history)
    assert failures(anonymous.history) == failures(keyed.history) == []
    assert false_answers(anonymous.history + keyed.history, marked_answer) == []
    assert by_candidate / len(anonymous.history) == pytest.approx(0.2, abs=0.03)
    assert wanderers(keyed.history) == {}
    assert {row.variant for row in keyed.history} == {"stable", "candidate"}


def test_a_candidate_that_fails_on_every_row_is_answered_for_by_stable(shared: Server) -> None:
    with_canary(shared, "Failing", Sulking(2), 10_000)

    replies = shared.ask_every_worker(lambda: ask(shared, "Failing", b"key")).values()
    by_name = shared.predict("Failing/Staging", PROBES[:1])

    assert {reply.version for reply in replies} == {1}
    assert {reply.headers["stagedoor-variant"] for reply in replies} == {"stable"}
    assert {reply.headers["stagedoor-fallback"] for reply in replies} == {"fallback_error"}
    assert by_name.status == 500
    assert by_name.json()["error_code"] == "MODEL_FAILED"


def test_an_empty_staging_gives_its_share_to_stable(shared: Server) -> None:
    with_canary(shared, "Emptied", Marked(2), 10_000)
    assert ask(shared, "Emptied", b"key").version == 2

    with Traffic(shared, "Emptied", PROBES, rate=60.0) as traffic:
        assert shared.transition("Emptied", 2, "Archived").status == 200
        shared.wait_until(
            lambda: shared.status("Emptied")["committed"].get("staging") is None, "emptied"
        )
        shared.wait_until(lambda: shared.status("Emptied")["is_converged"], "converged")
        replies = shared.ask_every_worker(lambda: ask(shared, "Emptied", b"key")).values()

    assert {reply.version for reply in replies} == {1}
    assert failures(traffic.history) == []
    assert false_answers(traffic.history, marked_answer) == []


def test_a_candidate_whose_process_is_killed_costs_no_call(shared: Server) -> None:
    before = set(shared.runner_pids())
    assert register(shared, "Killed", Marked(1)) == 1
    assert shared.promote("Killed", 1).status == 200
    with_stable = set(shared.runner_pids())
    assert register(shared, "Killed", Marked(2)) == 2
    assert shared.promote("Killed", 2, to="Staging").status == 200
    set_weight(shared, "Killed", 5_000)
    victims = set(shared.runner_pids()) - with_stable
    assert len(with_stable - before) == len(victims) == 2

    with Traffic(shared, "Killed", PROBES, rate=150.0) as traffic:
        traffic.wait_for(50)
        kill_hard(victims)
        traffic.wait_for(100)

    assert failures(traffic.history) == []
    assert false_answers(traffic.history, marked_answer) == []


def test_ending_a_split_gives_everything_to_production(shared: Server) -> None:
    with_canary(shared, "Ended", Marked(2), 10_000)
    assert ask(shared, "Ended", b"key").version == 2

    ended = shared.call("DELETE", "/admin/models/Ended/traffic")

    shared.wait_until(lambda: shared.status("Ended")["is_converged"], "converged")
    replies = shared.ask_every_worker(lambda: ask(shared, "Ended", b"key")).values()
    assert ended.status == 200
    assert {reply.version for reply in replies} == {1}


@pytest.mark.parametrize(
    "asked", [{"weight_bp": 10_001}, {"weight_bp": -1}, {"weight_bp": 0.5}, {"candidate": "None"}]
)
def test_a_share_that_is_none_is_refused(shared: Server, asked: dict[str, object]) -> None:
    shared.post("/api/2.0/mlflow/registered-models/create", {"name": "Refusing"})

    refused = shared.send("PUT", "/admin/models/Refusing/traffic", {"weight_bp": 1, **asked})

    assert refused.status == 400
    assert refused.json()["error_code"] in {"INVALID_PARAMETER_VALUE", "BAD_REQUEST"}


def ask(server: Server, model: str, key: bytes) -> Reply:
    """Ask for one row under a sticky key; it is answered whatever happens."""
    reply = server.predict(model, PROBES[:1], stagedoor_key=key.decode())
    assert reply.status == 200, reply.body
    assert reply.predictions == [marked_answer(reply.version, PROBES[0])]
    return reply
