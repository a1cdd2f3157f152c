"""Requests answered outside of ASGI, over real sockets, and those that are sent the usual way."""

import gc
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.asgi import App, Receive, Scope, Send
from gateway.auth.door import Callers, Door
from gateway.auth.hosts import host_policy
from gateway.auth.policy import Permission
from gateway.dispatch import Dispatch
from gateway.http_server import DoorConfig, DoorServer
from gateway.listening import listen
from gateway.opening import Opening
from gateway.place import Place
from gateway.predict import Predict
from gateway.quota_settings import QuotaSettings
from gateway.routing.table import ModelRoute, RouteTable
from gateway.serving.cost import Cost
from gateway.serving.engine_servable import EngineServable
from gateway.serving.engines.description import Choice, Description, Finish, Linear, Link
from gateway.serving.engines.engine import Engine
from gateway.serving.engines.store import Verdict
from gateway.serving.failure import LoadFailed
from gateway.serving.gathering import Gathering, Limits
from gateway.serving.lazy_runner import LazyRunner
from gateway.serving.lease import Holder, Lease
from gateway.settings import LimitSettings, ServerSettings, ServingSettings, Settings
from registry.route import Route, Split, VersionKey, VersionRecord
from registry.signature import Signature, TensorSpec
from tests.gateway.serving.specimens import until

RECORDS = {
    number: VersionRecord(VersionKey("line", number, f"d{number}"), "", stage)
    for number, stage in ((1, "Production"), (2, "Staging"))
}
SETTINGS = Settings(
    server=ServerSettings(port=0, pre_stop_s=0.0), serving=ServingSettings(drain_timeout_s=1)
)
PATH = "/models/line/invocations"


def no_runner(_progress: object) -> Any:
    raise LoadFailed("There is none in this test.", is_transient=False)


def servable(number: int) -> EngineServable:
    """Answer ``number * x``."""
    finish = Finish(Link.IDENTITY, Choice.NO_CLASS)
    described = Description("x", 1, None, (Linear(),), finish, ("predict",), "predict")
    arrays = {"0.coef": np.array([float(number)]), "0.intercept": np.array([0.0])}
    engine = Engine(described, arrays)
    gathering = Gathering(engine, Cost(call_s=1e-6, row_s=1e-9), Limits(100))
    signature = Signature(inputs=(TensorSpec("float64", (-1, 1)),))
    verdict = Verdict("", signature=signature)
    key = RECORDS[number].key
    return EngineServable(key, verdict, engine, gathering=gathering, runner=LazyRunner(no_runner))


class Shelf:
    """Holds both versions."""

    def __init__(self) -> None:
        self.holders = {
            record.key: Holder(servable(number), lambda _: None)
            for number, record in RECORDS.items()
        }

    def is_ready(self, key: VersionKey) -> bool:
        return key in self.holders

    def lease(self, key: VersionKey) -> Lease:
        return Lease(self.holders[key])


class Counting(Dispatch):
    """Notes what goes the usual way."""

    calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += scope["type"] == "http"
        await super().__call__(scope, receive, send)


class Worker:
    """A real server on a port, with one model."""

    def __init__(
        self,
        *,
        is_limited: bool = False,
        callers: Callers | None = None,
        control: Callable[[App], App] = lambda app: app,
        settings: Settings = SETTINGS,
    ) -> None:
        self.route = Route(production=1)
        self.shelf = Shelf()
        self._table = RouteTable()
        quota = QuotaSettings(models=("line=0.001",) if is_limited else (), burst=3)
        place = Place(worker="w", default=None, load_timeout_s=1.0, quota=quota)
        predict = Predict(self._read_table, self.shelf, self._demand, lambda: "", place)
        self.opening = Opening(predict, patience_s=1.0)
        door = Door(host_policy("127.0.0.1", ()), callers, max_body_bytes=999, max_upload_bytes=999)
        self.app = Counting(
            self.opening,
            control(self._control),
            door,
            permission_of=lambda *_: Permission.LOG,
            worker_id="w",
        )
        self.publish(Route(production=1))
        listening = listen(settings)
        self.address = listening.getsockname()
        self.server = DoorServer(DoorConfig(self.app, settings), on_drain=lambda: None)
        self.thread = threading.Thread(target=self.server.run, args=([listening],))
        self.thread.start()

    def publish(self, route: Route) -> None:
        self._table = RouteTable({"line": ModelRoute("line", 1, route, RECORDS)})

    def close(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join()

    def _read_table(self) -> RouteTable:
        return self._table

    def _demand(self, _record: VersionRecord) -> Any:
        raise AssertionError

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                kind = (await receive())["type"]
                if kind == "lifespan.startup":
                    self.opening.start()
                    self.opening.open()
                await send({"type": f"{kind}.complete"})


@pytest.fixture
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.close()


def request(body: Any, path: str = PATH, *headers: str, method: str = "POST") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def talk(worker: Worker, *parts: bytes, count: int = 1) -> list[tuple[int, dict[str, str], Any]]:
    """Send parts, one packet each, and return so many answers."""
    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb")
        for part in parts:
            connection.sendall(part)
        return [read_answer(file) for _ in range(count)]


def read_answer(file: Any) -> tuple[int, dict[str, str], Any]:
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name] = value.strip()
    return status, headers, json.loads(file.read(int(headers["content-length"])))


def test_a_whole_request_is_answered_outside_of_asgi(worker: Worker) -> None:
    status, headers, body = talk(worker, request({"inputs": [[2.0], [3.0]]}))[0]

    assert (status, body) == (200, {"predictions": [2.0, 3.0]})
    assert worker.app.calls == 0
    told = {name: headers[name] for name in headers if name.startswith("stagedoor")}
    assert told.pop("stagedoor-request-id")[14] == "7"
    assert told == {
        "stagedoor-model": "line",
        "stagedoor-version": "1",
        "stagedoor-stage": "Production",
        "stagedoor-variant": "stable",
        "stagedoor-epoch": "1",
        "stagedoor-worker": "w",
    }
    assert {holder.leases for holder in worker.shelf.holders.values()} == {0}


def test_both_ways_answer_with_the_same_headers(worker: Worker) -> None:
    """A body of untold length cannot be awaited."""
    whole = request({"inputs": [[2.0]]})
    at_once = talk(worker, whole)[0]

    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        head, *pieces = in_chunks(whole)
        connection.sendall(head)
        assert until(lambda: worker.app.calls == 1)
        connection.sendall(b"".join(pieces))
        usual = read_answer(connection.makefile("rb"))

    assert worker.app.calls == 1
    assert usual[0] == at_once[0]
    assert usual[2] == at_once[2]
    assert usual[1].keys() == at_once[1].keys()


def in_chunks(whole: bytes) -> list[bytes]:
    """Return a request as one of untold length: its head, its body, its end."""
    head, body = whole.split(b"\r\n\r\n", 1)
    kept = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    head = b"\r\n".join([*kept, b"Transfer-Encoding: chunked", b"", b""])
    return [head, b"%x\r\n%b\r\n" % (len(body), body) if body else b"", b"0\r\n\r\n"]


def test_a_small_body_is_awaited(worker: Worker) -> None:
    """Many clients send head and body one after the other."""
    whole = request({"inputs": [[2.0]]})
    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb")
        for size in (1, 4, len(json.dumps({"inputs": [[2.0]]}))):
            connection.sendall(whole[:-size])
            assert until(lambda: boarding(worker) == 1)
            connection.sendall(whole[-size:])
            assert read_answer(file)[2] == {"predictions": [2.0]}
            assert boarding(worker) == 0

    assert worker.app.calls == 0


def boarding(worker: Worker) -> int:
    connections = list(worker.server.server_state.connections)
    return sum(getattr(connection, "_boarding", None) is not None for connection in connections)


def test_a_caller_who_leaves_before_the_body_leaves_nothing(worker: Worker) -> None:
    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        connection.sendall(request({"inputs": [[2.0]]})[:-1])
        assert until(lambda: boarding(worker) == 1)

    assert until(lambda: not worker.server.server_state.connections)
    assert worker.app.calls == 0


def test_a_worker_that_ends_still_answers_what_came_in_part(worker: Worker) -> None:
    whole = request({"inputs": [[2.0]]})
    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        connection.sendall(whole[:-1])
        assert until(lambda: boarding(worker) == 1)
        worker.server.should_exit = True
        assert until(lambda: worker.app.calls == 1)
        connection.sendall(whole[-1:])
        file = connection.makefile("rb")

        assert read_answer(file)[2] == {"predictions": [2.0]}
        assert file.read() == b""


def test_a_body_that_is_awaited_may_not_come_too_slowly() -> None:
    limits = LimitSettings(min_body_rate_bytes_s=1_000, body_window_s=0.1)
    worker = Worker(settings=msgspec.structs.replace(SETTINGS, limits=limits))
    try:
        answer = talk(worker, request({"inputs": [[2.0]]})[:-1])[0]
    finally:
        worker.close()

    assert (answer[0], answer[2]["error_code"]) == (408, "DEADLINE_EXCEEDED")
    assert worker.app.calls == 0


def test_requests_in_one_packet_are_answered_in_order(worker: Worker) -> None:
    parts = [request({"inputs": [[float(n)]]}) for n in range(6)]
    parts[2] = request({"inputs": [["no number"]]})

    answers = talk(worker, b"".join(parts), count=6)

    assert [status for status, *_ in answers] == [200, 200, 400, 200, 200, 200]
    assert [body.get("predictions") for *_, body in answers] == [
        [0.0], [1.0], None, [3.0], [4.0], [5.0],
    ]  # fmt: skip


REFUSED = {
    "no JSON": (request(b"{"), 400),
    "another signature": (request({"inputs": [[1.0, 2.0]]}), 400),
    "no number": (request({"inputs": [[1e400]]}), 400),
    "an empty body": (request(b""), 400),
    "no such model": (request({"inputs": [[1.0]]}, "/models/none/invocations"), 404),
    "no such path": (request({"inputs": [[1.0]]}, "/models/line/nothing"), 404),
    "another method": (request(b"", method="GET"), 405),
    "another host": (request({"inputs": [[1.0]]}).replace(b"127.0.0.1", b"evil.example"), 403),
    "too large": (request(b" " * 1000), 413),
    "another type": (request({"inputs": [[1.0]]}).replace(b"/json", b"/text"), 415),
    "a long key": (request({"inputs": [[1.0]]}, PATH, "Stagedoor-Key: " + "k" * 600), 400),
    "no such priority": (
        request({"inputs": [[1.0]]}, PATH, "Stagedoor-Priority: urgent"),
        400,
    ),
    "no such method of the model": (
        request({"inputs": [[1.0]], "params": {"predict_method": "transform"}}),
        503,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_the_usual_way(case: str, worker: Worker) -> None:
    sent, status = REFUSED[case]

    answer = talk(worker, sent)[0]

    assert answer[0] == status
    assert worker.app.calls == 1
    assert {holder.leases for holder in worker.shelf.holders.values()} == {0}


def test_a_client_is_answered_at_once_until_it_has_asked_often_enough() -> None:
    worker = Worker(is_limited=True)
    try:
        sent = request({"inputs": [[1.0]]})
        other = request({"inputs": [[1.0]]}, PATH, "Stagedoor-Key: other")

        answers = [talk(worker, sent)[0] for _ in range(5)]

        assert [status for status, *_ in answers] == [200, 200, 200, 429, 429]
        assert worker.app.calls == 2
        assert answers[-1][2]["retryable"] is True
        assert talk(worker, other)[0][0] == 200
    finally:
        worker.close()


def test_both_protocols_are_answered_at_once(worker: Worker) -> None:
    tensor = {"name": "input", "shape": [1, 1], "datatype": "FP64", "data": [2.5]}
    body = {"inputs": [tensor]}

    pinned = talk(worker, request(body, "/v2/models/line/versions/1/infer"))[0]
    live = talk(worker, request(body, "/v2/models/line/infer"))[0]

    for answer in (pinned, live):
        assert answer[0] == 200
        assert answer[2]["outputs"][0]["data"] == [2.5]
        assert answer[2]["model_version"] == "1"
    assert (pinned[1]["stagedoor-variant"], live[1]["stagedoor-variant"]) == ("", "stable")
    assert worker.app.calls == 0


def test_a_split_and_a_key_in_the_body_go_the_usual_way(worker: Worker) -> None:
    worker.publish(Route(production=1, staging=2, split=Split("s", "Staging", 10_000)))
    split = talk(worker, request({"inputs": [[2.0]]}))[0]
    worker.publish(Route(production=2))
    keyed = talk(worker, request({"inputs": [[2.0]], "params": {"routing_key": "ann"}}))[0]

    assert (split[2], split[1]["stagedoor-variant"]) == ({"predictions": [4.0]}, "candidate")
    assert (keyed[2], keyed[1]["stagedoor-version"]) == ({"predictions": [4.0]}, "2")
    assert worker.app.calls == 2


def test_a_new_route_is_seen_by_the_next_request(worker: Worker) -> None:
    answers = []
    for number in (1, 2, 1, 2):
        worker.publish(Route(production=number))
        answers.append(talk(worker, request({"inputs": [[2.0]]}))[0][2]["predictions"])

    assert answers == [[2.0], [4.0], [2.0], [4.0]]
    assert worker.app.calls == 0


def test_callers_who_leave_give_the_version_back(worker: Worker) -> None:
    for _ in range(20):
        with closing(socket.create_connection(worker.address, timeout=20)) as connection:
            connection.sendall(request({"inputs": [[2.0]]}))
    talk(worker, request({"inputs": [[2.0]]}))

    assert {holder.leases for holder in worker.shelf.holders.values()} == {0}


def test_a_connection_that_repeats_its_head_is_still_looked_at(worker: Worker) -> None:
    """The head is read once; a path, a host, a key or a length that differ are read again."""
    fine = request({"inputs": [[2.0]]})
    asked = {
        "as before": (fine, 200),
        "longer": (request({"inputs": [[2.0], [3.0]]}), 200),
        "another host": (fine.replace(b"127.0.0.1", b"evil.example"), 403),
        "as it was": (fine, 200),
        "another type": (fine.replace(b"/json", b"/text"), 415),
        "a foreign origin": (
            request({"inputs": [[2.0]]}, PATH, "Origin: http://evil.example"),
            403,
        ),
        "a long key": (request({"inputs": [[2.0]]}, PATH, "Stagedoor-Key: " + "k" * 600), 400),
        "compressed": (request({"inputs": [[2.0]]}, PATH, "Content-Encoding: gzip"), 415),
        "another path": (request({"inputs": [[2.0]]}, "/models/none/invocations"), 404),
        "at last": (fine, 200),
    }

    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        file = connection.makefile("rb")
        statuses = {}
        for name, (sent, _) in asked.items():
            connection.sendall(sent)
            statuses[name] = read_answer(file)[0]

    assert statuses == {name: status for name, (_, status) in asked.items()}


def test_a_body_that_is_too_large_is_refused_also_where_the_head_was_read(worker: Worker) -> None:
    chunked = [
        "POST /models/line/invocations HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    ]
    head = "\r\n".join(chunked).encode() + b"\r\n\r\n"
    small = head + b"11\r\n" + b'{"inputs": [[2]]}' + b"\r\n0\r\n\r\n"
    large = head + b"400\r\n" + b" " * 1024 + b"\r\n0\r\n\r\n"

    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        file = connection.makefile("rb")
        statuses = []
        for sent in (small, small, large):
            connection.sendall(sent)
            statuses.append(read_answer(file)[0])

    assert statuses == [200, 200, 413]


@pytest.mark.parametrize("after", [1, 3])
def test_a_caller_who_wants_the_connection_closed_gets_that(after: int, worker: Worker) -> None:
    parts = [request({"inputs": [[2.0]]})] * after
    parts.append(request({"inputs": [[3.0]]}, PATH, "Connection: close"))

    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        connection.sendall(b"".join(parts))
        file = connection.makefile("rb")
        answers = [read_answer(file) for _ in parts]
        rest = file.read()

    assert [body["predictions"] for *_, body in answers] == [*[[2.0]] * after, [3.0]]
    assert "connection" not in answers[0][1]
    assert answers[-1][1]["connection"] == "close"
    assert rest == b""


def test_a_head_in_pieces_is_answered_as_one(worker: Worker) -> None:
    whole = request({"inputs": [[2.0]]}, PATH, "X-Padding: " + "p" * 300)

    with closing(socket.create_connection(worker.address, timeout=20)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb")
        for at in range(0, len(whole), 50):
            connection.sendall(whole[at : at + 50])
        first = read_answer(file)
        connection.sendall(whole)
        second = read_answer(file)

    assert (first[2], second[2]) == ({"predictions": [2.0]}, {"predictions": [2.0]})


@pytest.mark.parametrize("method", ["at once", "the usual way"])
def test_a_request_leaves_nothing_to_the_garbage_collector(method: str, worker: Worker) -> None:
    """A circle of objects for each request costs a tenth of all time, and stalls all others."""
    count = 200
    one = request({"inputs": [[2.0]]})
    if method == "the usual way":
        worker.publish(Route(production=1, staging=2, split=Split("s", "Staging", 10_000)))
    talk(worker, one)
    gc.collect()
    gc.disable()
    try:
        talk(worker, *([one] * count), count=count)
        found = gc.collect()
    finally:
        gc.enable()

    assert found < count
