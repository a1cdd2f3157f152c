"""A server whose artifacts are in a bucket: log, register, promote, predict, as with a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import stagedoor
from tests.journeys.models import marked_answer, register_marked, tracking_at
from tests.journeys.server import Server, running
from tests.object_store import S3Server

ROWS = [[1.0, 2.0, 3.0]]


@pytest.fixture
def server(tmp_path: Path, bucket_url: str) -> Iterator[Server]:
    options = ("--artifacts-destination", bucket_url, "--workers", "1")
    with running(Server(tmp_path / "server", *options)) as started:
        yield started


def test_a_model_goes_from_its_run_through_a_bucket_into_production(
    server: Server, object_store: S3Server
) -> None:
    register_marked(server, "Marked", 1)

    promoted = server.promote("Marked", 1)

    answer = server.predict("Marked", ROWS)
    with tracking_at(server):
        loaded = stagedoor.load_model("models:/Marked/1").predict(ROWS).tolist()
        client = stagedoor.StagedoorClient()
        run_id = str(client.get_model_version("Marked", "1").run_id)
        listed = {file.path for file in client.list_artifacts(run_id, "model")}
    assert promoted.status == 200
    assert answer.predictions == loaded == [marked_answer(1, ROWS[0])]
    assert {"model/MLmodel", "model/model.pkl"} <= listed
    assert {path.name for path in object_store.root.rglob("*")} >= {"MLmodel", "model.pkl"}
    assert not (server.folder / "artifacts").exists()


def test_a_bucket_that_refuses_is_told_and_the_rest_goes_on(
    tmp_path: Path, bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the secret")
    options = ("--artifacts-destination", bucket_url, "--workers", "1")
    with running(Server(tmp_path / "refused", *options)) as server:
        put = server.call("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a", b"1")
        run = server.post("/api/2.0/mlflow/runs/create", {"experiment_id": "0"})

        assert (put.status, put.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "Set AWS_ACCESS_KEY_ID" in put.json()["message"]
        assert run.status == 200
        assert "403 Forbidden" in server.log
