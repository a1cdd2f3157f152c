"""The short way of the busiest writes: nothing that a client could see tells it from the long way.

A query that means nothing sends the same call the long way.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from gateway.api.mlflow.runs import HANDLERS
from gateway.api.mlflow.short_way import WRITES, ShortWay, SoonStore
from gateway.auth.policy import Permission
from tests.contracts.tracking_server import TrackingServer
from tracking.database import open_database
from tracking.sql_store import SqlTrackingStore

PREFIX = "/api/2.0/mlflow/runs"
JSON = "application/json"
POINT = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 1}
# RUN stands for a run that is there; {} at the end is a body as it is.
CALLS: list[tuple[str, Any]] = [
    ("create", {"experiment_id": "0", "run_name": "swift", "start_time": 5}),
    ("create", {"experiment_id": "0", "tags": [{"key": "a", "value": "b"}], "unknown": 1}),
    ("create", {"experiment_id": 0, "start_time": "5", "run_name": None}),
    ("create", {"experiment_id": "9"}),
    ("create", {"experiment_id": "0", "run_name": "a", "tags": [{"key": "mlflow.runName"}]}),
    ("create", {"start_time": "soon"}),
    ("create", b""),
    ("create", b"null"),
    ("create", b"{"),
    ("create", b"\xff"),
    ("create", json.dumps(json.dumps({"experiment_id": "0", "run_name": "x"})).encode()),
    ("update", {"run_id": "RUN", "status": "FINISHED", "end_time": 9}),
    ("update", {"run_uuid": "RUN", "status": "NO_SUCH", "run_name": "renamed"}),
    ("update", {"run_id": "0" * 32, "status": "FINISHED"}),
    ("log-metric", {"run_id": "RUN", **POINT}),
    ("log-metric", {"run_id": "RUN", **POINT, "value": "NaN"}),
    ("log-metric", b'{"run_id": "RUN", "key": "m", "value": NaN, "timestamp": 1}'),
    ("log-metric", {"run_id": "RUN", **POINT, "key": "/tmp/x"}),
    ("log-metric", {"run_id": "RUN", **POINT, "step": 2**70}),
    ("log-metric", {"run_id": "RUN", "key": "loss"}),
    ("log-metric", {**POINT}),
    ("log-metric", {"run_id": "RUN", **POINT, "model_id": "m-none"}),
    ("log-parameter", {"run_id": "RUN", "key": "depth", "value": "3"}),
    ("log-parameter", {"run_id": "RUN", "key": "depth", "value": 4}),
    ("log-parameter", {"run_id": "RUN", "key": "size", "value": True}),
    ("set-tag", {"run_id": "RUN", "key": "team", "value": "red"}),
    ("set-tag", {"run_id": "RUN", "key": "", "value": "red"}),
    ("log-batch", {"run_id": "RUN", "metrics": [POINT], "params": [], "tags": None}),
    ("log-batch", {"run_id": "RUN", "metrics": [POINT] * 1_001}),
    ("log-batch", {"run_id": "RUN", "params": [{"key": "a", "value": "1"}] * 2}),
    ("log-batch", {"run_id": "RUN", "metrics": [[1]]}),
    ("log-batch", b"[" * 3_000 + b"]" * 3_000),
]
HEADERS: list[dict[str, str]] = [
    {"content-type": "application/json; charset=utf-8"},
    {"content-type": "APPLICATION/JSON"},
    {"content-type": "text/plain"},
    {},
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("short")
    database = open_database(f"sqlite:///{folder / 'short.db'}")
    with TrackingServer(folder / "artifacts") as running:
        running.store = SqlTrackingStore(database)
        with httpx.Client(base_url=running.address) as client:
            yield client
    database.close()


def ask(client: httpx.Client, call: str, body: bytes, headers: dict[str, str]) -> list[Any]:
    """Send a call to a new run, the short way and then the long one, and return both answers."""
    answers = []
    for query in ("", "?long=1"):
        made = client.post(f"{PREFIX}/create", json={"experiment_id": "0", "run_name": "own"})
        run_id = made.json()["run"]["info"]["run_id"]
        content = body.replace(b"RUN", run_id.encode())
        got = client.post(f"{PREFIX}/{call}{query}", content=content, headers=headers)
        kept = client.get(f"{PREFIX}/get", params={"run_id": run_id}).json()
        told = {name: got.headers.get(name) for name in ("content-type", "retry-after")}
        answers.append((got.status_code, told, plain(got.text), plain(json.dumps(kept))))
    return answers


def plain(text: str) -> str:
    """Return a text without what differs each time: ids, times, names by chance."""
    text = re.sub(r"[0-9a-f]{32}", "<id>", text)
    text = re.sub(r'("(?:start|end)_time": ?)\d{10,}', r"\1<now>", text)
    return re.sub(r"[a-z]+-[a-z]+-\d+", "<name>", text)


@pytest.mark.parametrize(("call", "body"), CALLS)
def test_both_ways_answer_and_keep_the_same(client: httpx.Client, call: str, body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    short, long = ask(client, call, content, {"content-type": JSON})

    assert short == long


@pytest.mark.parametrize("headers", HEADERS)
def test_both_ways_read_the_content_type_alike(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    body = json.dumps({"run_id": "RUN", "key": "team", "value": "red"}).encode()

    short, long = ask(client, "set-tag", body, headers)

    assert short == long


def test_the_comparison_sees_a_difference(client: httpx.Client) -> None:
    first, _ = ask(client, "set-tag", b'{"run_id": "RUN", "key": "a", "value": "1"}', HEADERS[0])
    second, _ = ask(client, "set-tag", b'{"run_id": "RUN", "key": "a", "value": "2"}', HEADERS[0])

    assert first != second


def test_each_short_call_asks_for_the_permission_of_the_long_one() -> None:
    declared = {path: handler.opt["permission"] for handler in HANDLERS for path in handler.paths}

    assert {declared[path.decode()] for path in WRITES} == {Permission.LOG}


def test_a_caller_that_leaves_takes_nothing_back_and_stops_nobody() -> None:
    begun, writing = asyncio.Event(), Future[None]()

    class Store:
        def log_batch_soon(self, _request: Any) -> "Future[None]":
            writing.set_running_or_notify_cancel()
            begun.set()
            return writing

    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"run_id": "r", "key": "a"}'}

    async def send(_message: Any) -> None:
        raise AssertionError("nobody is there")

    async def nobody(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("it goes the short way")

    async def leave() -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "query_string": b"",
            "raw_path": f"{PREFIX}/set-tag".encode(),
            "headers": [(b"content-type", b"application/json")],
        }
        way = ShortWay(nobody, cast("SoonStore", Store()))
        asking = asyncio.ensure_future(way(scope, receive, send))
        await begun.wait()
        asking.cancel()
        writing.set_result(None)
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(leave())

    assert writing.result() is None
