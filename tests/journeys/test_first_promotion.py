"""Train, log, register, Staging, canary, Production: and the next request is the new version's."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import stagedoor
from tests.journeys.models import tracking_at
from tests.journeys.server import Reply, Server

MODEL = "IrisRF"


def trained(labels_from: int) -> DecisionTreeClassifier:
    """Fit a tree whose labels begin at a number, so that its answers tell which one it is."""
    iris = load_iris()
    return DecisionTreeClassifier(random_state=0).fit(iris.data, iris.target + labels_from)


def log_version(tree: DecisionTreeClassifier, labels_from: int) -> str:
    """Track one training as a user does; return the version's number."""
    iris = load_iris()
    stagedoor.set_experiment("iris")
    with stagedoor.start_run() as run:
        stagedoor.log_params({"labels_from": labels_from, "random_state": 0})
        for step, depth in enumerate((1, 2, 3)):
            stagedoor.log_metric("accuracy", 0.9 + depth / 100, step=step)
        stagedoor.log_dict({"rows": 150}, "data.json")
        stagedoor.set_tag("owner", "journey")
        info = stagedoor.sklearn.log_model(
            tree, "model", registered_model_name=MODEL, input_example=iris.data[:2]
        )
    assert stagedoor.get_run(run.info.run_id).data.metrics == {"accuracy": pytest.approx(0.93)}
    return str(info.registered_model_version)


def test_from_training_to_the_answer_of_every_worker(server: Server) -> None:
    rows: Any = load_iris().data[[0, 60, 120]].tolist()
    trees = {1: trained(0), 2: trained(10)}
    with tracking_at(server):
        client = stagedoor.StagedoorClient()
        assert [log_version(trees[1], 0), log_version(trees[2], 10)] == ["1", "2"]
        client.transition_model_version_stage(MODEL, "1", "Staging")
        assert server.promote(MODEL).json()["state"] == "COMMITTED"
        client.transition_model_version_stage(MODEL, "2", "Staging")

    def ask(**headers: str) -> Reply:
        reply = server.predict(MODEL, rows, **headers)
        assert reply.status == 200, reply.body
        expected = trees[reply.version].predict(np.array(rows)).tolist()
        assert reply.predictions == expected
        return reply

    assert {r.version for r in server.ask_every_worker(ask).values()} == {1}

    put = server.send(
        "PUT", f"/admin/models/{MODEL}/traffic", {"weight_bp": 5000, "wait": "active"}
    )
    assert put.json()["candidate"] == 2
    canary = {ask(stagedoor_key=f"key-{n}").version for n in range(40)}
    assert canary == {1, 2}

    with tracking_at(server):
        promoted = server.promote(MODEL, expected_production=1)
        assert promoted.json()["moves"] == [
            {"version": 1, "from_stage": "Production", "to_stage": "Archived"},
            {"version": 2, "from_stage": "Staging", "to_stage": "Production"},
        ]
        answers = server.ask_every_worker(ask)
        stages = {v.version: v.current_stage for v in client.search_model_versions()}
        loaded = stagedoor.load_model(f"models:/{MODEL}/Production").predict(np.array(rows))

    assert {r.version for r in answers.values()} == {2}
    assert {r.headers["stagedoor-stage"] for r in answers.values()} == {"Production"}
    assert stages == {"1": "Archived", "2": "Production"}
    assert loaded.tolist() == trees[2].predict(np.array(rows)).tolist()
    assert server.get(f"/admin/models/{MODEL}/traffic").json()["committed"] is None
