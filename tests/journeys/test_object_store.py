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
