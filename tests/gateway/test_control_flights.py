"""Writes of runs answered outside of ASGI: as the usual way answers them, and each of them once."""

import io
import json
import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.api.mlflow.short_way import ShortWay
from gateway.auth.policy import Permission
from gateway.logs import JsonFormatter
from tests.gateway.api.mlflow.test_short_way import CALLS, PREFIX, plain
from tests.gateway.test_flights import Worker, read_answer, request, talk
from tests.gateway.test_guarded_flights import Tokens
from tracking.database import open_database
from tracking.errors import Unavailable
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateRun, LogBatch, Run, RunInfo, UpdateRun

TOLD = ("content-type", "stagedoor-worker", "x-content-type-options", "x-frame-options")
SOME_RUN = {"experiment_id": "0", "run_name": "own"}


class Counted:
    """A real store, and how often it was asked."""

    def __init__(self, path: Path) -> None:
        self.database = open_database(f"sqlite:///{path}")
        self.store = SqlTrackingStore(self.database)
        self.asked = 0
        self.fails: BaseException | None = None

    def create_run_soon(self, asked: CreateRun) -> "Future[Run]":
        return self._count(self.store.create_run_soon, asked)

    def update_run_soon(self, asked: UpdateRun) -> "Future[RunInfo]":
        return self._count(self.store.update_run_soon, asked)

    def log_batch_soon(self, asked: LogBatch) -> "Future[None]":
        return self._count(self.store.log_batch_soon, asked)

    def _count(self, soon: Callable[[Any], "Future[Any]"], asked: Any) -> "Future[Any]":
        self.asked += 1
        if self.fails is None:
            return soon(asked)
        failed = Future[Any]()
        failed.set_exception(self.fails)
        return failed


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    made = Counted(tmp_path_factory.mktemp("flights") / "runs.db")
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def worker(store: Counted) -> Iterator[Worker]:
    started = Worker(control=lambda app: ShortWay(app, store))
    yield started
    started.close()


def new_run(worker: Worker) -> str:
    _, _, made = talk(worker, request(SOME_RUN, f"{PREFIX}/create"))[0]
    return str(made["run"]["info"]["run_id"])


@pytest.mark.parametrize(("call", "body"), [(c, b) for c, b in CALLS if b != b""])
def test_both_ways_answer_the_same(worker: Worker, call: str, body: Any) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    quick, usual = (
        request(content.replace(b"RUN", new_run(worker).encode()), f"{PREFIX}/{call}")
        for _ in range(2)
    )
    calls = worker.app.calls
    first = talk(worker, quick)[0]
    went = worker.app.calls - calls
    second = talk(worker, usual.replace(b"HTTP/1.1", b"HTTP/1.0"))[0]

    assert first[0] == second[0]
    assert plain(json.dumps(first[2])) == plain(json.dumps(second[2]))
    assert first[1].keys() == second[1].keys() - {"connection"}
    assert [first[1][name] for name in TOLD] == [second[1][name] for name in TOLD]
    assert (first[0] != 200 or went == 0, worker.app.calls) == (True, calls + went + 1)


def test_head_and_body_may_come_one_after_the_other(worker: Worker, store: Counted) -> None:
    whole = request(SOME_RUN, f"{PREFIX}/create")
    at = whole.index(b"{")
    calls, asked = worker.app.calls, store.asked
    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb")
        answers = []
        for _ in range(3):
            connection.sendall(whole[:at])
            connection.sendall(whole[at:])
            answers.append(read_answer(file))

    assert [status for status, *_ in answers] == [200] * 3
    assert (worker.app.calls, store.asked) == (calls, asked + 3)
    assert len({told["run"]["info"]["run_id"] for *_, told in answers}) == 3


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unavailable("Later."), 503, "TEMPORARILY_UNAVAILABLE"),
        (ZeroDivisionError("a fault"), 500, "INTERNAL_ERROR"),
    ],
)
def test_what_fails_was_asked_for_once(
    worker: Worker, store: Counted, error: BaseException, status: int, code: str
) -> None:
    """Nobody knows what became of it: to ask again is for the caller to decide."""
    asked, store.fails = store.asked, error
    try:
        told = talk(worker, request(SOME_RUN, f"{PREFIX}/create"))[0]
    finally:
        store.fails = None

    assert (told[0], told[2]["error_code"]) == (status, code)
    assert ("retry-after" in told[1]) == (status == 503)
    assert store.asked == asked + 1
    assert "a fault" not in json.dumps(told)


def test_each_is_told_in_the_log_with_its_id(worker: Worker) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("stagedoor.requests")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    missing = {"run_id": "0" * 32, "key": "a", "value": "b"}
    try:
        sent = [request(SOME_RUN, f"{PREFIX}/create"), request(missing, f"{PREFIX}/set-tag")]
        calls = worker.app.calls
        answers = [talk(worker, one)[0] for one in sent]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert worker.app.calls == calls
    assert [line["message"] for line in told] == [
        f"POST {PREFIX}/create 200",
        f"POST {PREFIX}/set-tag 404",
    ]
    ids = [headers["stagedoor-request-id"] for _, headers, _ in answers]
    assert [line["request_id"] for line in told] == ids
    assert all(line["duration_ms"] >= 0 for line in told)


def test_a_token_is_looked_up_for_each_request(tmp_path: Path, store: Counted) -> None:
    tokens = Tokens(tmp_path)
    worker = Worker(callers=tokens.book, control=lambda app: ShortWay(app, store))
    writer, reader = (
        tokens.make(name, frozenset({permission}))
        for name, permission in (("writer", Permission.LOG), ("reader", Permission.READ))
    )
    try:
        with closing(socket.create_connection(worker.address, timeout=20)) as connection:
            file = connection.makefile("rb")

            def ask(*headers: str) -> int:
                connection.sendall(request(SOME_RUN, f"{PREFIX}/create", *headers))
                return read_answer(file)[0]

            first = [ask(), ask(f"Authorization: {reader}"), ask(f"Authorization: {writer}")]
            calls, asked = worker.app.calls, store.asked
            again = [ask(f"Authorization: {writer}") for _ in range(3)]
            at_once = worker.app.calls - calls, store.asked - asked
            tokens.revoke(writer)
            last = ask(f"Authorization: {writer}")
    finally:
        worker.close()
        tokens.database.close()

    assert first == [401, 403, 200]
    assert (again, at_once, last) == ([200] * 3, (0, 3), 401)
