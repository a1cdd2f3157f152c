"""The same story on PostgreSQL, by the scoring server, and with several in Production."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.protocols.media import ARROW_STREAM, NPY, PARQUET
from tests.journeys.history import failures, false_answers
from tests.journeys.models import marked_answer, register_marked
from tests.journeys.server import STAGEDOOR, Reply, Server, kill_hard, running
from tests.journeys.traffic import Traffic

ROWS = [[1.0, 2.0, 3.0]]


def written(table: pa.Table, media_type: str) -> bytes:
    """Write a table, or its one row as an array."""
    stream = io.BytesIO()
    if media_type == PARQUET:
        pq.write_table(table, stream)
    elif media_type == NPY:
        np.save(stream, np.array(ROWS))
    else:
        with pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table)
    return stream.getvalue()


TABLE = pa.table({"a": [1.0], "b": [2.0], "c": [3.0]})
BODIES = {"text/csv": b"a,b,c\n1,2,3\n"} | {
    media_type: written(TABLE, media_type) for media_type in (PARQUET, ARROW_STREAM, NPY)
}


def send(server: Server, body: bytes, content_type: str) -> Reply:
    return server.call("POST", "/invocations", body, {"Content-Type": content_type})


def test_promotions_on_postgresql_reach_every_worker(tmp_path: Path, postgres_uri: str) -> None:
    server = Server(tmp_path / "server", "--backend-store-uri", postgres_uri)
    with running(server), Traffic(server, "Marked", ROWS, rate=60.0) as traffic:
        register_marked(server, "Marked", 2)
        assert server.promote("Marked", 1).status == 200
        begun = len(traffic.history)
        for number in range(20):
            version = 2 - number % 2
            assert server.promote("Marked", version).status == 200
            answers = server.ask_every_worker(lambda: server.predict("Marked", ROWS))
            assert {reply.version for reply in answers.values()} == {version}
        before = server.worker_ids()
        kill_hard([server.worker_pids()[0]])
        lost_from = len(traffic.history)
        server.wait_for_replacement(before)
        rolled_back = server.post("/admin/models/Marked/rollback", {"wait": "active"})
        traffic.end()

    assert rolled_back.json()["version"] == 2
    assert failures(traffic.history[begun + 8 : lost_from - 8]) == []
    assert {row.status for row in failures(traffic.history)} <= {0, 404}
    assert false_answers(traffic.history, marked_answer) == []


def test_several_versions_may_stand_in_production_where_that_is_set(tmp_path: Path) -> None:
    with running(Server(tmp_path / "server", "--no-single-production")) as server:
        register_marked(server, "Marked", 3)
        for version in (1, 3, 2):
            assert server.transition("Marked", version, "Production").status == 200
        server.wait_until(
            lambda: server.predict("Marked", ROWS).headers.get("stagedoor-version") == "3",
            "served by the highest",
        )
        query = "/api/2.0/mlflow/model-versions/search"
        found = server.get(query).json()["model_versions"]
        assert server.stop() == 0
        strict = subprocess.run(
            [STAGEDOOR, "server", "--port", "0"],
            cwd=server.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert {version["current_stage"] for version in found} == {"Production"}
    assert strict.returncode != 0
    assert "several versions are in Production of: Marked" in strict.stderr
    assert "Traceback" not in strict.stderr


def test_models_serve_answers_at_invocations(tmp_path: Path) -> None:
    with running(Server(tmp_path / "server")) as server:
        register_marked(server, "Marked", 1)
        assert server.promote("Marked", 1).status == 200

    command = ("models", "serve", "-m", "models:/Marked/Production")
    with running(Server(tmp_path / "server", command=command)) as scoring:
        answer = scoring.post("/invocations", {"inputs": ROWS})
        health = scoring.get("/health").body, scoring.get("/ping").body
        version = scoring.get("/version").body
        told = {media: send(scoring, body, media).predictions for media, body in BODIES.items()}
        rows = scoring.post("/v1/models/Marked:predict", {"instances": ROWS}).json()
        columns = scoring.post("/v1/models/Marked/versions/1:predict", {"inputs": ROWS}).json()
        status = scoring.get("/v1/models/Marked").json()["model_version_status"]
        latin = send(scoring, b"a,b,c\n1,2,3\n", "text/csv; charset=latin-1")
        nobody = scoring.get("/v1/models/Nobody")
        nothing = scoring.get("/v2/nothing")

    assert answer.predictions == [1006.0]
    assert (health, version) == ((b"\n", b"\n"), b"3.17.2")
    assert list(told) == list(BODIES)
    assert list(told.values()) == [[1006.0]] * len(BODIES)
    assert (rows, columns) == ({"predictions": [1006.0]}, {"outputs": [1006.0]})
    assert [(one["version"], one["state"]) for one in status] == [("1", "AVAILABLE")]
    assert (latin.status, latin.json()["error_code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (nobody.status, nothing.status) == (404, 404)
    assert "Nobody" in nobody.json()["error"]
    assert "/v2/nothing" in nothing.json()["error"]
