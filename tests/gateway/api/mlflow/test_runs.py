"""What the wire of MLflow looks like, byte by byte, over a real server."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contracts.tracking_server import TrackingServer
from tracking.database import open_database
from tracking.sql_store import SqlTrackingStore

PREFIX = "/api/2.0/mlflow"


@pytest.fixture
def client(tracking_server: TrackingServer, sqlite_uri: str) -> Iterator[httpx.Client]:
    database = open_database(sqlite_uri)
    tracking_server.store = SqlTrackingStore(database)
    with httpx.Client(base_url=tracking_server.address + PREFIX) as client:
        yield client
    database.close()


@pytest.fixture
def run_id(client: httpx.Client) -> str:
    created = client.post("/runs/create", json={"experiment_id": "0", "run_name": "n"})
    return str(created.json()["run"]["info"]["run_id"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


def test_a_write_and_an_empty_search_answer_an_empty_object(
    client: httpx.Client, run_id: str
) -> None:
    body = {"run_id": run_id, "key": "a", "value": "1"}

    written = client.post("/runs/set-tag", json=body)
    found = client.post("/runs/search", json={"experiment_ids": ["7"]})

    assert (written.json(), found.json()) == ({}, {})
    assert found.headers["content-type"].startswith("application/json")


def test_a_new_run_is_told_as_mlflow_tells_it(client: httpx.Client, run_id: str) -> None:
    run = client.get("/runs/get", params={"run_id": run_id}).json()["run"]

    start_time = run["info"].pop("start_time")
    assert isinstance(start_time, int)
    assert run == {
        "info": {
            "run_id": run_id,
            "run_uuid": run_id,
            "experiment_id": "0",
            "run_name": "n",
            "user_id": "",
            "status": "RUNNING",
            "artifact_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
            "lifecycle_stage": "active",
        },
        "data": {"tags": [{"key": "mlflow.runName", "value": "n"}]},
        "inputs": {},
        "outputs": {},
    }


def test_a_text_that_is_empty_is_told(client: httpx.Client, run_id: str) -> None:
    empty = {"key": "e", "value": ""}
    client.post("/runs/set-tag", json={"run_id": run_id, **empty})
    client.post("/runs/log-parameter", json={"run_id": run_id, "key": "e"})
    read = {"dataset": {"name": "d", "digest": "1"}, "tags": [empty]}
    client.post("/runs/log-inputs", json={"run_id": run_id, "datasets": [read]})
    made = client.post("/experiments/create", json={"name": "empty", "tags": [empty]}).json()
    of_model = {**made, "name": "m", "tags": [empty], "params": [empty]}

    run = client.get("/runs/get", params={"run_id": run_id}).json()["run"]
    experiment = client.get("/experiments/get", params=made).json()["experiment"]
    model = client.post("/logged-models", json=of_model).json()["model"]

    assert (run["data"]["params"], run["data"]["tags"][0]) == ([empty], empty)
    dataset = {"name": "d", "digest": "1", "source_type": "", "source": ""}
    assert run["inputs"]["dataset_inputs"] == [{"dataset": dataset, "tags": [empty]}]
    assert experiment["tags"] == model["info"]["tags"] == model["data"]["params"] == [empty]
    assert (model["info"]["model_type"], model["info"]["source_run_id"]) == ("", "")


def test_nan_is_answered_as_text(client: httpx.Client, run_id: str) -> None:
    raw = f'{{"run_id":"{run_id}","key":"m","value":NaN,"timestamp":"5"}}'
    headers = {"content-type": "application/json; charset=utf-8"}
    client.post("/runs/log-metric", content=raw, headers=headers).raise_for_status()

    points = client.get("/metrics/get-history", params={"run_id": run_id, "metric_key": "m"}).json()

    assert points == {"metrics": [{"key": "m", "value": "NaN", "timestamp": 5, "step": 0}]}


def test_the_old_name_of_a_run_id_is_understood(client: httpx.Client, run_id: str) -> None:
    answers = [
        client.get("/runs/get", params={"run_uuid": run_id}),
        client.post("/runs/log-parameter", json={"run_uuid": run_id, "key": "a", "value": "1"}),
        client.post("/runs/update", json={"run_uuid": run_id, "status": "FINISHED"}),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_a_name_that_no_experiment_has_is_404(client: httpx.Client) -> None:
    answer = client.get("/experiments/get-by-name", params={"experiment_name": "nobody"})

    assert refusal(answer) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_experiments_are_searched_by_get_too(client: httpx.Client) -> None:
    query: dict[str, Any] = {"max_results": 5, "order_by": ["name ASC", "experiment_id ASC"]}

    found = client.get("/experiments/search", params=query).json()["experiments"]

    assert [experiment["name"] for experiment in found] == ["Default"]


@pytest.mark.parametrize(
    ("method", "path", "options", "message"),
    [
        ("GET", "/experiments/get", {}, "Missing value for required parameter 'experiment_id'"),
        ("GET", "/runs/get", {}, "Missing value for required parameter 'run_id'"),
        (
            "GET",
            "/metrics/get-history?run_id=a&metric_key=m&max_results=many",
            {},
            "Invalid value for parameter 'max_results'",
        ),
        (
            "POST",
            "/experiments/create",
            {"json": {}},
            "Missing value for required parameter 'name'",
        ),
        (
            "POST",
            "/experiments/create",
            {"json": {"name": 5}},
            "Invalid value 5 for parameter 'name'",
        ),
        ("POST", "/experiments/create", {"content": b'{"name":"a"}'}, "Bad Request. Content-Type"),
        ("POST", "/runs/create", {"json": {"experiment_id": 0}}, "Invalid value 0 for parameter"),
        (
            "POST",
            "/runs/create",
            {"json": {}},
            "Missing value for required parameter 'experiment_id'",
        ),
        (
            "POST",
            "/runs/create?long=way",
            {"json": {}},
            "Missing value for required parameter 'experiment_id'",
        ),
        (
            "GET",
            "/experiments/get-by-name?experiment_name=",
            {},
            "Missing value for required parameter 'experiment_name'",
        ),
    ],
)
def test_bad_input_is_400_with_a_sentence(
    client: httpx.Client, method: str, path: str, options: dict[str, Any], message: str
) -> None:
    answer = client.request(method, path, **options)

    assert refusal(answer) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"].startswith(message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_body_that_is_no_object_is_400(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}

    answer = client.post("/experiments/create", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["message"]
