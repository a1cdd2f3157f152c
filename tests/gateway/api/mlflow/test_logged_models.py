"""Logged models over a real server: what only HTTP has, files and the shape of answers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contracts.tracking_server import TrackingServer
from tracking.artifacts import open_artifacts
from tracking.database import open_database
from tracking.sql_store import SqlTrackingStore

API = "/api/2.0/mlflow/logged-models"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def client(
    tracking_server: TrackingServer, sqlite_uri: str, tmp_path: Path
) -> Iterator[httpx.Client]:
    database = open_database(sqlite_uri)
    tracking_server.store = SqlTrackingStore(database)
    tracking_server.artifacts = open_artifacts(str(tmp_path / "kept"))
    with httpx.Client(base_url=tracking_server.address) as client:
        yield client
    database.close()


@pytest.fixture
def model(client: httpx.Client) -> dict[str, Any]:
    answer = client.post(API, json={"experiment_id": "0", "name": "forest", "tags": []})
    info: dict[str, Any] = answer.raise_for_status().json()["model"]["info"]
    return info


def test_files_are_listed_by_their_paths_from_the_models_root(
    client: httpx.Client, model: dict[str, Any]
) -> None:
    root = model["artifact_uri"].removeprefix("mlflow-artifacts:/")
    for path in ("MLmodel", "data/a b.bin"):
        client.put(f"{PROXY}/{root}/{path}", content=b"123").raise_for_status()
    directories = f"{API}/{model['model_id']}/artifacts/directories"

    above = client.get(directories).json()
    within = client.get(directories, params={"artifact_directory_path": "data"}).json()

    root_uri = model["artifact_uri"]
    folder = {"path": "data", "is_dir": True}
    file = {"path": "MLmodel", "is_dir": False, "file_size": 3}
    inner = {"path": "data/a b.bin", "is_dir": False, "file_size": 3}
    assert above["root_uri"] == root_uri
    assert sorted(above["files"], key=lambda entry: str(entry["path"])) == [file, folder]
    assert within == {"root_uri": root_uri, "files": [inner]}


@pytest.mark.parametrize("path", ["..", "/etc", "a/../../b", "a\0b", "%2e%2e"])
def test_a_folder_that_leaves_the_model_is_refused(
    client: httpx.Client, model: dict[str, Any], path: str
) -> None:
    directories = f"{API}/{model['model_id']}/artifacts/directories"

    answer = client.get(directories, params={"artifact_directory_path": path})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_lists_that_are_empty_are_left_out_and_times_are_numbers(
    client: httpx.Client, model: dict[str, Any]
) -> None:
    told = client.get(f"{API}/{model['model_id']}").json()["model"]

    assert told == {"info": model, "data": {}}
    assert sorted(model) == [
        "artifact_uri",
        "creation_timestamp_ms",
        "experiment_id",
        "last_updated_timestamp_ms",
        "model_id",
        "model_type",
        "name",
        "source_run_id",
        "status",
    ]
    assert isinstance(model["creation_timestamp_ms"], int)


def test_a_search_that_finds_nothing_answers_an_empty_object(client: httpx.Client) -> None:
    answer = client.post(f"{API}/search", json={"experiment_ids": ["0"]})

    assert (answer.status_code, answer.json()) == (200, {})


def test_an_unknown_status_counts_as_unset(client: httpx.Client, model: dict[str, Any]) -> None:
    answer = client.patch(f"{API}/{model['model_id']}", json={"status": "LOGGED_MODEL_NEW"})

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Missing value for required parameter 'status'")


def test_the_key_of_a_tag_may_hold_slashes_and_escapes(
    client: httpx.Client, model: dict[str, Any]
) -> None:
    path = f"{API}/{model['model_id']}/tags"
    client.patch(path, json={"tags": [{"key": "a/b c", "value": "1"}]}).raise_for_status()

    deleted = client.delete(f"{path}/a/b%20c")

    assert (deleted.status_code, deleted.json()) == (200, {})
    assert "tags" not in client.get(f"{API}/{model['model_id']}").json()["model"]["info"]
