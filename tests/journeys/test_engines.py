"""A forest that answers inside the workers: promoted back and forth, and its workers killed."""

import time
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from tests.journeys.history import Promoted, failures, false_answers, out_of_turn
from tests.journeys.models import register
from tests.journeys.server import Server, kill_hard
from tests.journeys.traffic import Traffic

PROBES = [[float(n % 5), float(n // 5), 2.0] for n in range(20)]
ROUNDS = 30
ENGINE = {
    "engine": "RandomForestClassifier",
    "why_not": "",
    "methods": ["predict", "predict_proba"],
    "tolerance": 0.0,
    "replicas": 0,
    "merging": "always",
    "merging_why": "",
    "example_why": "",
    "environment": "",
    "differences": [],
}


def grow(version: int) -> Any:
    """Fit a forest whose labels tell which version it is."""
    rows = np.array(PROBES)
    labels = (rows[:, 0] > rows[:, 1]).astype(int) + 10 * version
    return RandomForestClassifier(n_estimators=25, random_state=version).fit(rows, labels)


def promote(server: Server, version: int) -> Promoted:
    asked_s = time.monotonic()
    reply = server.promote("Forest", version)
    assert reply.status == 200, reply.body
    return Promoted(version, asked_s, time.monotonic())


def test_engines_answer_rightly_through_promotions_and_killed_workers(server: Server) -> None:
    forests = {version: grow(version) for version in (1, 2)}
    own = {version: forest.predict(PROBES).tolist() for version, forest in forests.items()}
    for version, forest in forests.items():
        assert register(server, "Forest", forest, input_example=np.array(PROBES[:2])) == version
    promotions = [promote(server, 2), promote(server, 1)]
    before = server.worker_ids()
    victim = server.status("Forest")["workers"][0]

    with Traffic(server, "Forest", PROBES, rate=150.0) as traffic:
        traffic.wait_for(30)
        for number in range(ROUNDS):
            promotions.append(promote(server, 2 - number % 2))
            if number == ROUNDS // 2:
                kill_hard([victim["pid"]])
        replacement = server.wait_for_replacement(before)
        answers = server.ask_every_worker(lambda: server.predict("Forest", PROBES))
        traffic.wait_for(30)

    history = traffic.history
    lost = failures(history)
    assert {(row.status, row.worker) for row in lost} <= {(0, victim["id"])}
    assert false_answers(history, lambda v, row: own[v][PROBES.index(row)]) == []
    assert out_of_turn(history, promotions) == []
    assert {row.version for row in history if row.status == 200} == {1, 2}
    assert answers[replacement].json()["predictions"] == own[promotions[-1].version]
    told = server.status("Forest")["engines"][str(promotions[-1].version)]
    assert told.pop("way")  # the faster one on this machine
    assert told == ENGINE
    assert server.runner_pids() == []


def test_what_an_engine_does_not_cover_is_answered_all_the_same(server: Server) -> None:
    """By a process that is there from the first such call on; a wrong call starts none."""
    forest = grow(1)
    register(server, "Forest", forest, input_example=None)
    promote(server, 1)
    halves = {"name": "x", "shape": [20, 3], "datatype": "FP16", "data": PROBES}

    shares = server.post(
        "/models/Forest/invocations",
        {"inputs": PROBES, "params": {"predict_method": "predict_proba"}},
    )
    none = server.post(
        "/models/Forest/invocations", {"inputs": PROBES, "params": {"predict_method": "transform"}}
    )
    document = server.post("/models/Forest/invocations", {"prompt": "secret"})
    text = server.post("/models/Forest/invocations", {"inputs": [[1, "secret", 3]]})
    assert server.runner_pids() == []
    others = server.post("/v2/models/Forest/infer", {"inputs": [halves]})

    assert shares.json()["predictions"] == forest.predict_proba(PROBES).tolist()
    assert none.status == 400
    assert b"has no method 'transform'; it has predict, predict_proba" in none.body
    assert document.status == 400
    assert b"takes rows and no documents" in document.body
    assert text.status == 400
    assert b"Column '1', row 0: expected a number, got a string" in text.body
    assert others.json()["outputs"][0]["data"] == forest.predict(PROBES).tolist()
    assert len(server.runner_pids()) == 1
