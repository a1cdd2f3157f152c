"""The unmodified ``mlflow`` client and its own proof of a delivery, against a real server."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.delivery.receivers import receiving, until
from tests.interop.client import run_script
from tests.journeys.server import Server, kill_hard, running

PATH = "/api/2.0/mlflow/webhooks"
SETTINGS = {"webhooks": {"allowed_schemes": ["http"], "allowed_networks": ["127.0.0.0/8"]}}
SECRET = "between the two of us"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("hooks"), settings=SETTINGS)) as started:
        yield started


def test_the_client_makes_tests_changes_and_deletes_webhooks(
    server: Server, tmp_path: Path
) -> None:
    told = run_script("webhooks.py", url=server.url, folder=tmp_path)

    calls = sorted(told["calls"], key=lambda call: str(call["body"]["data"]["name"]))
    bodies = [
        (call["body"]["entity"], call["body"]["action"], call["body"]["data"]) for call in calls
    ]
    tag = {"version": "1"}
    assert told["made"][2:] == ["d", "ACTIVE", None]
    assert told["events"] == ["registered_model.created", "model_version_tag.set"]
    assert "renamed" in told["listed"]
    assert "stages" not in told["listed"]
    assert told["tested"] == [True, 200, "thanks"]
    assert told["updated"] == ["renamed", "DISABLED", 2]
    assert (told["inside"], told["named"]) == ("INVALID_PARAMETER_VALUE",) * 2
    assert told["deleted"] == "RESOURCE_DOES_NOT_EXIST"
    assert [call["proved"] for call in calls] == [True] * 3
    assert bodies == [
        (
            "registered_model",
            "created",
            {"name": "A", "tags": {"team": "x"}, "description": "a model"},
        ),
        ("model_version_tag", "set", {"name": "A", **tag, "key": "k", "value": "v"}),
        (
            "model_version_tag",
            "set",
            {"name": "example_model", **tag, "key": "example_key", "value": "example_value"},
        ),
    ]


def test_a_killed_worker_leaves_its_delivery_to_another(server: Server) -> None:
    """The receiver holds the first call until its worker is dead, and is called again."""
    with receiving() as receiver:
        receiver.open.clear()
        events = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
        asked = {"name": "held", "url": receiver.url, "events": events, "secret": SECRET}
        assert server.post(PATH, asked).status == 200
        assert server.post("/api/2.0/mlflow/registered-models/create", {"name": "B"}).status == 200
        until(lambda: len(receiver.calls) == 1, "called")
        before, (victim,) = server.worker_ids(), claimants(server)

        kill_hard([victim])
        until(lambda: len(receiver.calls) == 2, "called again")
        receiver.open.set()
        until(lambda: claimants(server) == [], "delivered")
        server.wait_for_replacement(before)
        metrics = server.get("/metrics").body

    first, second = receiver.calls
    assert (first.delivery_id, first.body) == (second.delivery_id, second.body)
    assert "x-mlflow-signature" in first.headers
    assert b'stagedoor_webhook_deliveries_total{outcome="delivered"}' in metrics


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", PATH, {}, 400),
        ("POST", PATH, {"name": "a", "url": "https://hooks.example", "events": []}, 400),
        ("POST", PATH, {"name": "a", "url": "file:///etc", "events": [{}]}, 400),
        ("POST", PATH, {"name": "a", "url": 1, "events": "x"}, 400),
        ("POST", PATH, {"name": "a", "url": "http://10.0.0.1", "secret": [SECRET]}, 400),
        ("PATCH", f"{PATH}/nowhere", {"secret": {"a": SECRET}}, 400),
        ("PATCH", f"{PATH}/nowhere", {"name": "a"}, 404),
        ("GET", f"{PATH}/nowhere", None, 404),
        ("GET", f"{PATH}/%00", None, 400),
        ("GET", f"{PATH}?max_results=1001", None, 400),
        ("GET", f"{PATH}?max_results=x", None, 400),
        ("GET", f"{PATH}?page_token=x", None, 400),
        ("DELETE", f"{PATH}/nowhere", None, 404),
        ("POST", f"{PATH}/nowhere/test", {}, 404),
        ("POST", f"{PATH}/nowhere/test", {"event": {"entity": "X"}}, 400),
    ],
)
def test_a_wrong_request_is_refused_without_the_secret(
    server: Server, method: str, path: str, body: object, status: int
) -> None:
    reply = server.get(path) if body is None else server.send(method, path, body)
    if method == "DELETE":
        reply = server.call("DELETE", path)

    assert reply.status == status
    assert SECRET not in reply.body.decode()


def test_a_secret_is_in_no_answer_no_log_and_not_in_the_open(server: Server) -> None:
    events = [{"entity": "MODEL_ROUTE", "action": "PROMOTED"}]
    asked = {"name": "quiet", "url": "http://127.0.0.1:9/", "events": events, "secret": SECRET}
    made = server.post(PATH, asked)
    one = f"{PATH}/{made.json()['webhook']['webhook_id']}"

    answers = [
        made,
        server.get(one),
        server.get(PATH),
        server.send("PATCH", one, {"secret": SECRET, "description": "x"}),
        server.post(f"{one}/test", {}),
    ]

    database = b"".join(file.read_bytes() for file in server.folder.glob("*.db*") if file.is_file())
    assert {answer.status for answer in answers} == {200}
    assert all(SECRET not in answer.body.decode() for answer in answers)
    assert SECRET not in server.log
    assert SECRET.encode() not in database
    assert answers[0].json()["webhook"]["events"] == events
    assert answers[-1].json()["result"]["success"] is False


def claimants(server: Server) -> list[int]:
    """Return the processes of the workers that have claimed what waits."""
    query = "SELECT pid FROM delivery LEFT JOIN worker ON worker.id = claimed_by"
    connection = sqlite3.connect(server.folder / "stagedoor.db")
    try:
        return [row[0] for row in connection.execute(query)]
    finally:
        connection.close()
