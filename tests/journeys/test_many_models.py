"""Forty models on a server that loads one of them at its start, and has room for few."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.journeys.models import EXAMPLE, Marked, register
from tests.journeys.server import Reply, Server, kill_hard, running

MODELS = 40
NEEDED = "needed"
OTHERS = [f"other-{number}" for number in range(MODELS - 1)]
ROW = [[1.0, 2.0, 3.0]]
ANSWER = 14.0
_MEMORY = re.compile(r'stagedoor_model_memory_bytes\{model="needed",version="1"\} ([0-9.e+]+)')


def fit() -> Any:
    rows = np.arange(30.0).reshape(10, 3) % 7
    return LinearRegression().fit(rows, rows @ [1.0, 2.0, 3.0])


def put_models(server: Server) -> None:
    """Bring one small model to Production under many names; it is converted once."""
    assert register(server, NEEDED, fit(), input_example=EXAMPLE) == 1
    source = server.get(f"/api/2.0/mlflow/model-versions/get?name={NEEDED}&version=1").json()
    for name in OTHERS:
        first = source["model_version"]
        asked = {"name": name, "source": first["source"], "run_id": first["run_id"]}
        for what in ("registered-models", "model-versions"):
            assert server.post(f"/api/2.0/mlflow/{what}/create", asked).status == 200
    for name in (NEEDED, *OTHERS):
        reply = server.promote(name, 1)
        assert reply.status == 200, reply.body


def loaded(server: Server) -> dict[str, set[str]]:
    """Return the models that each worker holds."""
    index = server.ask_every_worker(lambda: server.post("/v2/repository/index", {"ready": True}))
    return {worker: {entry["name"] for entry in reply.json()} for worker, reply in index.items()}


def ask_all(server: Server, names: list[str]) -> None:
    """Ask many models at once, each several times, and compare every answer."""

    def ask(name: str) -> Reply:
        return server.predict(name, ROW)

    with ThreadPoolExecutor(8) as clients:
        replies = list(clients.map(ask, [name for name in names for _ in range(3)]))
    wrong = [reply for reply in replies if reply.status != 200]
    assert wrong == [], wrong[:3]
    assert all(abs(reply.predictions[0] - ANSWER) < 1e-9 for reply in replies)


def count(server: Server, name: str) -> float:
    found = re.search(
        rf"^{re.escape(name)} ([0-9.e+]+)$", server.get("/metrics").body.decode(), re.MULTILINE
    )
    return float(found.group(1)) if found else 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("many") / "server"


@pytest.fixture(scope="module")
def one_bytes(folder: Path) -> float:
    """What one of the models takes in one worker, with all of them loaded."""
    with running(Server(folder, "--workers", "1")) as server:
        put_models(server)
        assert all(len(names) == MODELS for names in loaded(server).values())
        found = _MEMORY.search(server.get("/metrics").body.decode())
        assert found is not None
        return float(found.group(1))


def test_only_what_is_preloaded_is_there_at_the_start_and_the_rest_comes_when_asked_for(
    folder: Path, one_bytes: float
) -> None:
    """With room for five models in each worker, and one of the workers killed on the way."""
    budget = int(one_bytes * 5.5) * 2
    serving = {"preload": [NEEDED], "memory_budget_bytes": budget}
    with running(Server(folder, settings={"serving": serving})) as server:
        assert all(names == {NEEDED} for names in loaded(server).values())
        metadata = server.get(f"/v2/models/{OTHERS[0]}")
        assert (metadata.status, metadata.json()["name"]) == (200, OTHERS[0])
        document = server.get(f"/models/{OTHERS[1]}/openapi.json")
        assert (document.status, document.json()["info"]["title"]) == (200, OTHERS[1])

        ask_all(server, OTHERS)
        before = server.worker_ids()
        victim = server.status(NEEDED)["workers"][0]
        kill_hard([victim["pid"]])
        server.wait_for_replacement(before)
        ask_all(server, OTHERS)

        server.wait_until(lambda: all(NEEDED in names for names in loaded(server).values()), "back")
        assert all(len(names) <= 5 for names in loaded(server).values())
        assert count(server, 'stagedoor_unloads_total{reason="budget"}') >= len(OTHERS)
        assert 0 < count(server, 'stagedoor_memory_bytes{kind="held"}') <= budget
        assert count(server, 'stagedoor_memory_bytes{kind="budget"}') == budget


def test_a_version_that_does_not_fit_is_refused_with_its_reason(
    folder: Path, one_bytes: float
) -> None:
    serving = {"preload": ["none"], "memory_budget_bytes": int(one_bytes * 5.5)}
    with running(Server(folder, "--workers", "1", settings={"serving": serving})) as server:
        number = register(server, NEEDED, Marked(2))

        promoted = server.promote(NEEDED, number)
        asked = server.predict(f"{NEEDED}/{number}", ROW)

        assert 400 <= promoted.status < 500, promoted.body
        assert b"serving.memory_budget_bytes" in promoted.body
        assert (asked.status, asked.headers["retry-after"]) == (503, "1"), asked.body
        assert b"serving.memory_budget_bytes" in asked.body
        assert server.predict(NEEDED, ROW).version == 1
        assert server.runner_pids() == []
