"""A served model is renamed or deleted, and calls under hard names arrive."""

from urllib.parse import quote

import pytest

from tests.journeys.history import failures, false_answers
from tests.journeys.models import marked_answer, register_marked
from tests.journeys.server import Reply, Server
from tests.journeys.traffic import Traffic

ROWS = [[1.0, 2.0, 3.0]]
API = "/api/2.0/mlflow"


def test_a_renamed_model_serves_under_its_new_name_without_a_gap(shared: Server) -> None:
    register_marked(shared, "Before", 1)
    assert shared.promote("Before", 1).status == 200

    with Traffic(shared, "Before", ROWS, rate=60.0) as traffic:
        traffic.wait_for(20)
        asked = {"name": "Before", "new_name": "After"}
        renamed = shared.post(f"{API}/registered-models/rename", asked)
        shared.wait_until(lambda: is_gone(shared, "Before"), "gone")

    answers = shared.ask_every_worker(lambda: shared.predict("After", ROWS))
    gone = shared.ask_every_worker(lambda: shared.predict("Before", ROWS))
    assert renamed.status == 200
    assert {reply.status for reply in answers.values()} == {200}
    assert {reply.headers["stagedoor-model"] for reply in answers.values()} == {"After"}
    assert {reply.status for reply in gone.values()} == {404}
    assert {row.status for row in failures(traffic.history)} <= {404}
    assert false_answers(traffic.history, marked_answer) == []
    assert shared.promote("After", 1).status == 200


def test_a_deleted_model_drains_and_is_gone(shared: Server) -> None:
    before = len(shared.runner_pids())
    register_marked(shared, "Doomed", 1)
    assert shared.promote("Doomed", 1).status == 200

    with Traffic(shared, "Doomed", ROWS, rate=60.0) as traffic:
        traffic.wait_for(20)
        deleted = shared.send("DELETE", f"{API}/registered-models/delete", {"name": "Doomed"})
        shared.wait_until(lambda: is_gone(shared, "Doomed"), "gone")

    again = shared.post(f"{API}/registered-models/create", {"name": "Doomed"})
    still = shared.predict("Doomed", ROWS)
    assert deleted.status == 200
    assert {row.status for row in failures(traffic.history)} <= {404}
    assert false_answers(traffic.history, marked_answer) == []
    assert again.status == 200
    assert still.status == 404
    assert len(shared.runner_pids()) <= before + 2


def test_deleting_the_version_that_serves_leaves_nothing_in_production(shared: Server) -> None:
    register_marked(shared, "Beheaded", 2)
    assert shared.promote("Beheaded", 2).status == 200

    asked = {"name": "Beheaded", "version": "2"}
    deleted = shared.send("DELETE", f"{API}/model-versions/delete", asked)
    shared.wait_until(lambda: is_gone(shared, "Beheaded"), "gone")

    assert deleted.status == 200
    assert "Production" in shared.predict("Beheaded", ROWS).json()["message"]
    assert shared.promote("Beheaded", 1).status == 200
    assert shared.predict("Beheaded", ROWS).version == 1


@pytest.mark.parametrize("name", ["with space", "50 %", "модель", "モデル", "a.b-c_d", "1"])
def test_a_model_of_any_name_is_served(shared: Server, name: str) -> None:
    register_marked(shared, name, 1)
    path = quote(name, safe="")

    assert shared.promote(path, 1).status == 200
    replies: list[Reply] = [
        shared.predict(path, ROWS),
        shared.predict(f"{path}/1", ROWS),
        shared.predict(f"{path}/PRODUCTION", ROWS),
        shared.predict(f"{path}/latest", ROWS),
    ]

    assert [reply.status for reply in replies] == [200] * 4, replies[0].body
    assert {reply.headers["stagedoor-model"] for reply in replies} == {path}


def test_an_at_sign_in_a_name_is_no_alias_where_a_reference_follows(shared: Server) -> None:
    """Without one the last @ splits: the name is then ``a``, as in MLflow's own URIs."""
    register_marked(shared, "a@b", 1)
    assert shared.promote("a%40b", 1).status == 200

    by_stage = shared.predict("a%40b/Production", ROWS)
    by_alias = shared.predict("a%40b", ROWS)
    tensor = {"name": "input", "shape": [1, 3], "datatype": "FP64", "data": ROWS}
    over_v2 = shared.post("/v2/models/a%40b/infer", {"inputs": [tensor]})

    assert (by_stage.status, by_alias.status, over_v2.status) == (200, 404, 200)
    assert "'a'" in by_alias.json()["message"]


def is_gone(server: Server, model: str) -> bool:
    """Ask every worker whether a model answers no more."""
    answers = server.ask_every_worker(lambda: server.predict(model, ROWS))
    return {reply.status for reply in answers.values()} == {404}
