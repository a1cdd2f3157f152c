"""The artifact proxy over a real server: raw paths, headers, sealed folders, broken uploads."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.contracts.tracking_server import TrackingServer
from tracking.artifacts import open_artifacts
from tracking.database import open_database
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateExperiment, CreateRun

PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def server(tracking_server: TrackingServer, tmp_path: Path) -> Iterator[TrackingServer]:
    tracking_server.artifacts = open_artifacts(str(tmp_path / "kept"))
    yield tracking_server
    tracking_server.sealed = lambda _path: False


@pytest.fixture
def client(server: TrackingServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address) as client:
        yield client


def raw_request(server: TrackingServer, head: str, body: bytes = b"") -> bytes:
    """Send bytes as they are, and return all that comes back."""
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"{head}\r\nHost: localhost\r\nConnection: close\r\n".encode())
        connection.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_file_is_sent_for_keeping_and_not_for_showing(client: httpx.Client) -> None:
    client.put(f"{PROXY}/1/run/a page.html", content=b"<script>").raise_for_status()

    answer = client.get(f"{PROXY}/1/run/a page.html")

    assert (answer.status_code, answer.content) == (200, b"<script>")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-length"] == "8"


def test_a_put_answers_an_empty_body_and_a_delete_an_empty_object(client: httpx.Client) -> None:
    put = client.put(f"{PROXY}/a", content=b"1")
    deleted = client.delete(f"{PROXY}/a")

    assert (put.status_code, put.content) == (200, b"")
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert client.get(f"{PROXY}/a").status_code == 404


def test_an_empty_file_may_come_in_chunks_or_with_length_0(client: httpx.Client) -> None:
    client.put(f"{PROXY}/chunked", content=iter([])).raise_for_status()
    client.put(f"{PROXY}/counted", content=b"").raise_for_status()

    assert client.get(f"{PROXY}/chunked").content == b""
    assert client.get(f"{PROXY}/counted").content == b""


def test_the_proxy_lists_base_names_and_a_run_lists_from_its_root(
    client: httpx.Client, server: TrackingServer, sqlite_uri: str
) -> None:
    database = open_database(sqlite_uri)
    server.store = SqlTrackingStore(database)
    run = server.store.create_run(CreateRun()).info
    client.put(f"{PROXY}/0/{run.run_id}/artifacts/model/MLmodel", content=b"1")

    by_folder = client.get(PROXY, params={"path": f"0/{run.run_id}/artifacts/model"}).json()
    query = {"run_id": run.run_id, "path": "model"}
    by_run = client.get("/api/2.0/mlflow/artifacts/list", params=query).json()

    assert by_folder == {"files": [{"path": "MLmodel", "is_dir": False, "file_size": 1}]}
    assert by_run == {
        "root_uri": run.artifact_uri,
        "files": [{"path": "model/MLmodel", "is_dir": False, "file_size": 1}],
    }
    database.close()


def test_odd_names_are_listed_and_fetched(
    client: httpx.Client, server: TrackingServer, sqlite_uri: str, tmp_path: Path
) -> None:
    database = open_database(sqlite_uri)
    server.store = SqlTrackingStore(database)
    run_id = server.store.create_run(CreateRun()).info.run_id
    names = ["a b", "a%20b", "a:b", "x"]
    for name in [*names, "a:b d/a:c"]:
        client.put(f"{PROXY}/0/{run_id}/artifacts/{quote(name)}", content=name.encode())
    folder = tmp_path / "kept" / "0" / run_id / "artifacts"
    for left_by_others in (b"C:", b"a\\b", b"a%2fb", b"a\xffb"):
        (folder / os.fsdecode(left_by_others)).write_bytes(b"")

    query = {"run_id": run_id}
    root = client.get("/api/2.0/mlflow/artifacts/list", params=query).json()["files"]
    query |= {"path": "./a:b d/"}
    inner = client.get("/api/2.0/mlflow/artifacts/list", params=query).json()["files"]
    proxied = client.get(PROXY, params={"path": f"0/{run_id}//artifacts/./a:b d"}).json()["files"]

    listed = [file["path"] for file in root]
    assert listed == sorted(["C:", "a\\b", "a%2fb", "a:b d", *names])
    assert [file["path"] for file in inner + proxied] == ["a:b d/a:c", "a:c"]
    for name in [*names, "a:b d/a:c"]:
        by_run = client.get("/get-artifact", params={"run_id": run_id, "path": name})
        by_path = client.get(f"{PROXY}/0/{run_id}/artifacts/{quote(name)}")
        assert by_run.content == by_path.content == name.encode()
    database.close()


def test_artifacts_that_lie_elsewhere_are_not_listed(
    client: httpx.Client, server: TrackingServer, sqlite_uri: str
) -> None:
    database = open_database(sqlite_uri)
    server.store = SqlTrackingStore(database)
    request = CreateExperiment(name="a", artifact_location="s3://bucket/a")
    experiment_id = server.store.create_experiment(request)
    run_id = server.store.create_run(CreateRun(experiment_id=experiment_id)).info.run_id

    answer = client.get("/api/2.0/mlflow/artifacts/list", params={"run_id": run_id})

    assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
    database.close()


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../x",
        "a/../../x",
        "%2e%2e/x",
        "a/%2e%2e/%2e%2e/x",
        "..%2fx",
        "%252e%252e/x",
        "a//x",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "a%5C..%5Cx",
        "C%3A/x",
        "a%00b",
        "a%0Ab",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_no_path_leaves_the_root(
    server: TrackingServer, tmp_path: Path, method: str, path: str
) -> None:
    answer = raw_request(server, f"{method} {PROXY}/{path} HTTP/1.1", b"1")

    status = int(answer.split(b" ")[1])
    assert status in {400, 404, 405}
    assert {found.name for found in tmp_path.iterdir()} <= {"kept"}


@pytest.mark.parametrize("path", ["..", "a/../..", "/etc", "%2e%2e", "a\0"])
def test_no_listing_leaves_the_root(client: httpx.Client, path: str) -> None:
    answer = client.get(PROXY, params={"path": path})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"].startswith("Invalid path")


def test_the_root_is_never_deleted(client: httpx.Client) -> None:
    client.put(f"{PROXY}/a", content=b"1")

    refused = [client.delete(f"{PROXY}/"), client.delete(PROXY)]

    assert all(answer.status_code in {400, 404, 405} for answer in refused)
    assert client.get(f"{PROXY}/a").content == b"1"


def test_a_sealed_path_refuses_changes_and_is_read(
    client: httpx.Client, server: TrackingServer
) -> None:
    client.put(f"{PROXY}/sealed/a", content=b"old")
    server.sealed = lambda path: path.startswith("sealed")

    refused = [
        client.put(f"{PROXY}/sealed/a", content=b"new"),
        client.put(f"{PROXY}/sealed/b", content=b"new"),
        client.delete(f"{PROXY}/sealed/a"),
        client.delete(f"{PROXY}/sealed"),
    ]

    assert {answer.status_code for answer in refused} == {409}
    assert client.get(f"{PROXY}/sealed/a").content == b"old"
    assert client.put(f"{PROXY}/open/a", content=b"1").status_code == 200


def test_an_upload_that_breaks_off_is_not_kept(
    server: TrackingServer, client: httpx.Client, tmp_path: Path
) -> None:
    client.put(f"{PROXY}/a", content=b"old")
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"PUT {PROXY}/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 500)

    large = b"y" * 3_000_000
    client.put(f"{PROXY}/b", content=large).raise_for_status()

    assert client.get(f"{PROXY}/a").content == b"old"
    assert client.get(f"{PROXY}/b").content == large
    assert (tmp_path / "kept" / "a").read_bytes() == b"old"
