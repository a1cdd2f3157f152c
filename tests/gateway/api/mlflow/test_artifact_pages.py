"""Artifacts by run, version and logged model over a real server: whole, in parts, and uploaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry.sql_store import SqlRegistryStore
from registry.wire import CreateModel, CreateVersion
from tests.contracts.tracking_server import TrackingServer
from tracking.artifacts import ServedArtifacts, open_artifacts
from tracking.database import open_database
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateRun
from tracking.wire_models import CreateLoggedModel

AJAX = "/ajax-api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts"
CONTENT = bytes(range(256)) * 20_000


@pytest.fixture(params=["folder", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> ServedArtifacts:
    return open_artifacts("memory:///" if request.param == "memory" else str(tmp_path / "kept"))


@pytest.fixture
def server(
    tracking_server: TrackingServer, sqlite_uri: str, kept: ServedArtifacts
) -> Iterator[TrackingServer]:
    database = open_database(sqlite_uri)
    tracking_server.store = SqlTrackingStore(database)
    tracking_server.registry = SqlRegistryStore(
        database, seal=lambda _model, _version: None, actor="t", switch_timeout_s=1
    )
    tracking_server.artifacts = kept
    yield tracking_server
    tracking_server.sealed = lambda _path: False
    database.close()


@pytest.fixture
def client(server: TrackingServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address) as client:
        yield client


@pytest.fixture
def run_id(server: TrackingServer) -> str:
    assert server.store is not None
    return server.store.create_run(CreateRun()).info.run_id


def put(client: httpx.Client, run_id: str, path: str, content: bytes = CONTENT) -> str:
    """Upload a file of a run through the proxy, and return where it is."""
    address = f"{PROXY}/artifacts/0/{run_id}/artifacts/{path}"
    client.put(address, content=content).raise_for_status()
    return address


def pages(
    server: TrackingServer, client: httpx.Client, run_id: str
) -> list[tuple[str, dict[str, Any]]]:
    """Keep a file with a run, a version of it and a logged model, and return their pages."""
    assert server.store is not None
    assert server.registry is not None
    put(client, run_id, "model/a b.html")
    server.registry.create_model(CreateModel(name="M"))
    source = f"mlflow-artifacts:/0/{run_id}/artifacts/model"
    server.registry.create_version(CreateVersion(name="M", source=source, run_id=run_id))
    model = server.store.create_logged_model(CreateLoggedModel(experiment_id="0", name="m")).info
    root = model.artifact_uri.removeprefix("mlflow-artifacts:/")
    client.put(f"{PROXY}/artifacts/{root}/a b.html", content=CONTENT).raise_for_status()
    files = f"{AJAX}/logged-models/{model.model_id}/artifacts/files"
    return [
        ("/get-artifact", {"run_id": run_id, "path": "model/a b.html"}),
        ("/get-artifact", {"run_uuid": run_id, "path": "model/a b.html"}),
        ("/model-versions/get-artifact", {"name": "M", "version": "1", "path": "a b.html"}),
        (files, {"artifact_file_path": "a b.html"}),
    ]


def test_files_of_runs_versions_and_models_are_sent_for_keeping(
    server: TrackingServer, client: httpx.Client, run_id: str
) -> None:
    for path, query in pages(server, client, run_id):
        answer = client.get(path, params=query)

        assert (answer.status_code, answer.content) == (200, CONTENT)
        assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20b.html"
        assert answer.headers["content-security-policy"] == "sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["content-type"].startswith("text/html")


def test_what_is_not_there_is_404_and_what_leaves_the_root_is_400(
    server: TrackingServer, client: httpx.Client, run_id: str
) -> None:
    for path, query in pages(server, client, run_id):
        name = "artifact_file_path" if "artifact_file_path" in query else "path"
        statuses = [
            client.get(path, params={**query, name: asked}).status_code
            for asked in ("no", "../a b.html", "%2e%2e/x", "/etc/passwd", "a\0")
        ]

        assert statuses == [404, 400, 400, 400, 400]
        assert client.get(path).status_code == 400


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-", 100, len(CONTENT)),
        ("bytes=5-1500000", 5, 1_500_001),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
    ],
)
def test_a_range_is_answered_with_its_bytes(
    client: httpx.Client, run_id: str, asked: str, first: int, end: int
) -> None:
    address = put(client, run_id, "x.bin")

    answer = client.get(address, headers={"Range": asked})

    assert (answer.status_code, answer.content) == (206, CONTENT[first:end])
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(end - first)
    assert answer.headers["content-security-policy"] == "sandbox"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_end_is_416(client: httpx.Client, run_id: str, asked: str) -> None:
    address = put(client, run_id, "x.bin")

    answer = client.get(address, headers={"Range": asked})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    "headers",
    [{"Range": "bytes=0-1,5-6"}, {"Range": "x"}, {"Range": "bytes=0-1", "If-Range": '"a"'}],
)
def test_other_ranges_are_answered_whole(
    client: httpx.Client, run_id: str, headers: dict[str, str]
) -> None:
    address = put(client, run_id, "x.bin")

    answer = client.get(address, headers=headers)

    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_an_empty_file_has_no_part(client: httpx.Client, run_id: str) -> None:
    address = put(client, run_id, "empty", b"")

    assert client.get(address, headers={"Range": "bytes=0-"}).status_code == 416
    assert client.get(address).content == b""


def test_a_small_body_is_kept_as_a_file_of_a_run(client: httpx.Client, run_id: str) -> None:
    asked = {"run_uuid": run_id, "path": "charts/ü.json"}
    limit = 10 * 1024 * 1024

    answer = client.post(f"{AJAX}/upload-artifact", params=asked, content=b"x" * limit)

    assert (answer.status_code, answer.json()) == (200, {})
    assert client.get("/get-artifact", params=asked).content == b"x" * limit


def test_uploads_that_cannot_be_kept_are_refused(
    server: TrackingServer, client: httpx.Client, run_id: str
) -> None:
    def status(content: bytes, **query: str) -> int:
        asked = {"run_id": run_id, "path": "a", **query}
        return client.post(f"{AJAX}/upload-artifact", params=asked, content=content).status_code

    refused = [
        status(b""),
        status(b"x" * (10 * 1024 * 1024 + 1)),
        status(b"x", path="../a"),
        status(b"x", path=""),
        status(b"x", run_id=""),
        status(b"x", run_id="f" * 32),
    ]
    server.sealed = lambda _path: True

    assert refused == [400, 400, 400, 400, 400, 404]
    assert status(b"x") == 409
    assert client.get("/get-artifact", params={"run_id": run_id, "path": "a"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{PROXY}/mpu/create/0/a/b"),
        ("POST", f"{PROXY}/mpu/complete/0/a/b"),
        ("POST", f"{PROXY}/mpu/abort/0/a/b"),
        ("GET", f"{PROXY}/presigned/0/a/b"),
        ("POST", f"{AJAX}/artifacts/presigned-upload-url"),
        ("POST", f"{AJAX}/artifacts/presigned-download-url"),
    ],
)
def test_ways_past_the_server_are_not_offered(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path, json={} if method == "POST" else None)

    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
