"""What MLflow's clients send to the registry, and the answers, as bytes."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from registry.sql_store import SqlRegistryStore
from tests.contracts.tracking_server import TrackingServer
from tracking.database import open_database

GOOD: dict[str, dict[str, Any]] = {
    "POST registered-models/create": {"name": "n"},
    "POST registered-models/rename": {"name": "m", "new_name": "n"},
    "PATCH registered-models/update": {"name": "m"},
    "DELETE registered-models/delete": {"name": "m"},
    "GET registered-models/get": {"name": "m"},
    "POST registered-models/get-latest-versions": {"name": "m"},
    "GET registered-models/get-latest-versions": {"name": "m"},
    "POST registered-models/set-tag": {"name": "m", "key": "k"},
    "DELETE registered-models/delete-tag": {"name": "m", "key": "k"},
    "POST registered-models/alias": {"name": "m", "alias": "a", "version": "1"},
    "DELETE registered-models/alias": {"name": "m", "alias": "a"},
    "GET registered-models/alias": {"name": "m", "alias": "a"},
    "POST model-versions/create": {"name": "m", "source": "s3://b/m"},
    "GET model-versions/get": {"name": "m", "version": "1"},
    "GET model-versions/get-download-uri": {"name": "m", "version": "1"},
    "PATCH model-versions/update": {"name": "m", "version": "1"},
    "DELETE model-versions/delete": {"name": "m", "version": "1"},
    "POST model-versions/transition-stage": {"name": "m", "version": "1", "stage": "None"},
    "POST model-versions/set-tag": {"name": "m", "version": "1", "key": "k"},
    "DELETE model-versions/delete-tag": {"name": "m", "version": "1", "key": "k"},
}
"""Every call, with no more than what it needs."""


@pytest.fixture
def client(tracking_server: TrackingServer, sqlite_uri: str) -> Iterator[httpx.Client]:
    database = open_database(sqlite_uri)
    store = SqlRegistryStore(database, seal=lambda _model, _version: None, actor="ann")
    tracking_server.registry = store
    with httpx.Client(base_url=f"{tracking_server.address}/api/2.0/mlflow/") as client:
        ask(client, "POST registered-models/create", {"name": "m"})
        ask(client, "POST model-versions/create", {"name": "m", "source": "s3://b/m"})
        yield client
    database.close()


def ask(client: httpx.Client, call: str, fields: dict[str, Any]) -> httpx.Response:
    method, path = call.split(" ")
    if method == "GET":
        return client.get(path, params=fields)
    return client.request(method, path, json=fields)


def test_a_text_that_is_needed_and_empty_is_missing(client: httpx.Client) -> None:
    told = {
        (call, name): (answer.status_code, answer.json()["error_code"], answer.json()["message"])
        for call, fields in GOOD.items()
        for name in fields
        if (answer := ask(client, call, {**fields, name: ""}))
    }

    assert told == {
        (call, name): (
            400,
            "INVALID_PARAMETER_VALUE",
            f"Missing value for required parameter '{name}'. Send it.",
        )
        for call, fields in GOOD.items()
        for name in fields
    }


def test_a_version_tells_texts_that_were_not_given_and_a_model_does_not(
    client: httpx.Client,
) -> None:
    """As MLflow does."""
    version = ask(client, "GET model-versions/get", {"name": "m", "version": "1"}).json()
    model = ask(client, "GET registered-models/get", {"name": "m"}).json()["registered_model"]
    named = {"name": "n", "description": ""}
    empty = ask(client, "POST registered-models/create", named).json()["registered_model"]

    texts = {"description", "run_id", "run_link"}
    for found in (version["model_version"], model["latest_versions"][0]):
        assert {name: found.get(name) for name in texts} == dict.fromkeys(texts, "")
    assert texts.isdisjoint(model)
    assert texts.isdisjoint(empty)
