"""The hot path: head and body in, the answer of the right version out, over ASGI."""

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import Struct

from gateway.auth.policy import LOCAL, Permission, Principal
from gateway.place import Place
from gateway.predict import Predict
from gateway.routing.table import ModelRoute, RouteTable
from gateway.serving.lease import Holder, Lease
from registry.references import ByStage, ModelUri
from registry.route import Route, Split, VersionKey, VersionRecord
from registry.signature import Signature
from registry.stages import Stage
from registry.tensors import Batch, Prediction
from tracking.errors import ModelFailed, ModelNotReady

STAGES = {1: "Production", 2: "Staging", 3: "None", 4: "None"}
RECORDS = {
    number: VersionRecord(VersionKey("iris", number, f"d{number}"), "x", stage)
    for number, stage in STAGES.items()
}
EVERYONE = Split(split_id="s", candidate="Staging", weight_bp=10_000)
BODY = b'{"inputs": [[1.0], [2.0]]}'


class Times:
    """Answers rows times its version; a broken one fails."""

    def __init__(self, key: VersionKey, *, is_broken: bool) -> None:
        self.key = key
        self.signature: Signature | None = None
        self._is_broken = is_broken

    async def attach(self, on_death: object) -> None:
        """Need nothing."""

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        del params, deadline_s
        if self._is_broken:
            raise ModelFailed("the model raised on these rows")
        return Prediction(names=("output",), arrays=(batch.arrays[0][:, 0] * self.key.version,))

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let everybody in."""

    def close(self) -> None:
        """Hold nothing."""


class Shelf:
    """Holds some versions, and loads others when they are asked for."""

    def __init__(self, ready: set[int], broken: set[int]) -> None:
        self.ready = ready
        self._broken = broken

    def is_ready(self, key: VersionKey) -> bool:
        return key.version in self.ready

    def lease(self, key: VersionKey) -> Lease:
        if key.version not in self.ready:
            raise ModelNotReady(f"version {key.version} is not loaded")
        servable = Times(key, is_broken=key.version in self._broken)
        return Lease(Holder(servable, lambda _holder: None))

    def demand(self, record: VersionRecord) -> "asyncio.Future[None]":
        future = asyncio.get_running_loop().create_future()
        if record.key.version == 3:
            self.ready.add(3)
            future.set_result(None)
        return future


class Reply(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: Any


class Worker:
    """A predict application over a shelf and a table."""

    def __init__(
        self,
        route: Route,
        *,
        ready: tuple[int, ...] = (1, 2),
        broken: tuple[int, ...] = (),
        default: ModelUri | None = None,
    ) -> None:
        shelf = Shelf(set(ready), set(broken))
        table = RouteTable().with_model(ModelRoute("iris", 7, route, RECORDS))
        place = Place(worker="w0", default=default, load_timeout_s=0.2)
        self._predict = Predict(lambda: table, shelf, shelf.demand, lambda: "", place)

    def post(
        self,
        path: str,
        body: bytes = BODY,
        *,
        key: str = "",
        method: str = "POST",
        principal: Principal | None = LOCAL,
        model: bytes | None = None,
    ) -> Reply:
        headers = [(b"content-type", b"application/json"), (b"stagedoor-key", key.encode())]
        headers += [] if model is None else [(b"stagedoor-model", model)]
        return asyncio.run(self._call(path, body, headers, method, principal))

    async def _call(
        self,
        path: str,
        body: bytes,
        headers: list[tuple[bytes, bytes]],
        method: str,
        principal: Principal | None,
    ) -> Reply:
        scope = {
            "method": method,
            "raw_path": path.encode(),
            "headers": headers,
            "state": {"request_id": "0190-abc", "principal": principal},
        }
        half = len(body) // 2
        pieces = [
            {"type": "http.request", "body": body[:half], "more_body": True},
            {"type": "http.request", "body": body[half:]},
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return pieces.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await self._predict(scope, receive, send)
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        content = sent[1]["body"]
        return Reply(sent[0]["status"], told, json.loads(content) if content.strip() else content)


def test_production_answers_and_the_headers_say_who_did() -> None:
    reply = Worker(Route(production=1)).post("/models/iris/invocations")

    assert (reply.status, reply.body) == (200, {"predictions": [1.0, 2.0]})
    assert {name: reply.headers[name] for name in reply.headers if name != "content-length"} == {
        "stagedoor-model": "iris",
        "stagedoor-version": "1",
        "stagedoor-stage": "Production",
        "stagedoor-variant": "stable",
        "stagedoor-epoch": "7",
        "stagedoor-request-id": "0190-abc",
        "stagedoor-worker": "w0",
        "content-type": "application/json",
        "x-content-type-options": "nosniff",
    }


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/models/iris/2/invocations", "2"),
        ("/models/iris/STAGING/invocations", "2"),
        ("/models/iris@old/invocations", "1"),
        ("/models/iris/3/invocations", "3"),
    ],
)
def test_a_named_version_answers_loaded_or_not(path: str, version: str) -> None:
    route = Route(production=1, staging=2, aliases={"old": 1})

    reply = Worker(route).post(path)

    assert (reply.status, reply.headers["stagedoor-version"]) == (200, version)


def test_the_candidate_answers_its_share() -> None:
    reply = Worker(Route(production=1, staging=2, split=EVERYONE)).post("/models/iris/invocations")

    assert reply.headers["stagedoor-variant"] == "candidate"
    assert reply.body == {"predictions": [2.0, 4.0]}


def test_a_failing_candidate_never_fails_a_caller() -> None:
    worker = Worker(Route(production=1, staging=2, split=EVERYONE), broken=(2,))

    reply = worker.post("/models/iris/invocations")

    assert (reply.status, reply.body) == (200, {"predictions": [1.0, 2.0]})
    assert reply.headers["stagedoor-fallback"] == "fallback_error"
    assert reply.headers["stagedoor-version"] == "1"


@pytest.mark.parametrize("route", [Route(production=1, split=EVERYONE), Route(1, 2, {}, EVERYONE)])
def test_an_absent_candidate_never_fails_a_caller(route: Route) -> None:
    reply = Worker(route, ready=(1,)).post("/models/iris/invocations")

    assert (reply.status, reply.headers["stagedoor-version"]) == (200, "1")


def test_a_failing_stable_is_an_error_of_the_model() -> None:
    reply = Worker(Route(production=1), broken=(1,)).post("/models/iris/invocations")

    assert (reply.status, reply.body["error_code"]) == (500, "MODEL_FAILED")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/models/iris/1/invocations", b"{}", 400),
        ("/v2/models/iris/versions/1/infer", b"{}", 400),
        ("/models/iris/1/invocations", BODY, 500),
        ("/models/iris/4/invocations", BODY, 503),
    ],
)
def test_a_refusal_says_who_was_to_answer(path: str, body: bytes, status: int) -> None:
    reply = Worker(Route(production=1), broken=(1,)).post(path, body)

    told = [reply.headers.get(f"stagedoor-{name}") for name in ("model", "version", "epoch")]
    assert (reply.status, told) == (status, ["iris", "4" if status == 503 else "1", "7"])
    assert reply.headers["stagedoor-request-id"] == "0190-abc"
    assert reply.headers["stagedoor-worker"] == "w0"


def test_a_key_in_the_body_routes_like_one_in_the_head() -> None:
    half = Split(split_id="s", candidate="Staging", weight_bp=5_000)
    worker = Worker(Route(production=1, staging=2, split=half))
    keys = [f"user-{number}" for number in range(40)]

    by_body = [
        worker.post(
            "/models/iris/invocations",
            json.dumps({"inputs": [[1.0]], "params": {"routing_key": key}}).encode(),
        ).headers["stagedoor-version"]
        for key in keys
    ]

    by_head = [
        worker.post("/models/iris/invocations", key=key).headers["stagedoor-version"]
        for key in keys
    ]
    assert by_body == by_head
    assert set(by_body) == {"1", "2"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/models/nobody/invocations", 404),
        ("/models/iris/9/invocations", 404),
        ("/models/iris@nobody/invocations", 404),
        ("/models/iris/champion/invocations", 400),
        ("/models/iris/4/invocations", 503),
        ("/models/iris/archived/invocations", 404),
        ("/invocations", 400),
        ("/models/iris", 404),
    ],
)
def test_what_cannot_be_answered_is_refused(path: str, status: int) -> None:
    reply = Worker(Route(production=1)).post(path)

    assert reply.status == status
    assert reply.body.keys() - {"retryable"} == {"error_code", "message"}
    assert reply.body.get("retryable", False) is (status == 503)
    assert ("retry-after" in reply.headers) == (status == 503)


def test_the_default_model_answers_invocations() -> None:
    default = ModelUri("iris", ByStage(Stage.STAGING))

    reply = Worker(Route(production=1, staging=2), default=default).post("/invocations")

    assert reply.headers["stagedoor-version"] == "2"


@pytest.mark.parametrize("default", [None, ModelUri("iris", ByStage(Stage.STAGING))])
@pytest.mark.parametrize(
    ("model", "told"),
    [
        (b"iris", "1"),
        (b"models:/iris/Production", "1"),
        (b"models:/iris/2", "2"),
        (b"models:/ir%69s/latest", "4"),
        (b"other", 404),
        (b"models:/iris/9", 404),
        (b"models:/iris@nobody", 404),
        (b"models:/iris/9/9", 400),
        (b"a/b", 400),
        (b"", 400),
        (b"%ff", 400),
        (b"%00", 400),
    ],
)
def test_a_header_names_the_model_of_invocations(
    model: bytes, told: str | int, default: ModelUri | None
) -> None:
    """It wins over the default, also after that was answered by its line."""
    worker = Worker(Route(production=1, staging=2), ready=(1, 2, 4), default=default)
    worker.post("/invocations")

    reply = worker.post("/invocations", model=model)

    assert told in (reply.status, reply.headers.get("stagedoor-version"))
    assert (
        worker.post("/models/iris/2/invocations", model=model).headers["stagedoor-version"] == "2"
    )


def test_a_caller_without_the_permission_is_refused() -> None:
    nobody = Principal("nobody", frozenset())

    reply = Worker(Route(production=1)).post("/models/iris/invocations", principal=nobody)

    assert (reply.status, reply.body["error_code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("path", ["index", "models/iris/load", "models/iris/unload"])
def test_the_repository_is_refused_to_who_may_only_predict(path: str) -> None:
    caller = Principal("caller", frozenset({Permission.PREDICT}))

    reply = Worker(Route(production=1)).post(f"/v2/repository/{path}", principal=caller)

    assert (reply.status, reply.body["code"]) == (403, "PERMISSION_DENIED")


def test_the_other_protocol_is_answered_in_its_own_shape() -> None:
    tensor = {"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1.0, 2.0]}
    worker = Worker(Route(production=1))

    good = worker.post(
        "/v2/models/iris/infer", json.dumps({"id": "7", "inputs": [tensor]}).encode()
    )
    bad = worker.post("/v2/models/nobody/infer")

    assert (good.body["model_version"], good.body["id"]) == ("1", "7")
    assert good.body["outputs"][0]["data"] == [1.0, 2.0]
    assert (bad.status, bad.body["code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/ping", b"\n"),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True, "live": True}),
        ("/v2/models/iris/ready", {"name": "iris", "ready": True}),
    ],
)
def test_questions_without_rows_are_answered(path: str, body: object) -> None:
    reply = Worker(Route(production=1)).post(path, b"", method="GET")

    assert (reply.status, reply.body) == (200, body)


def test_a_version_that_is_not_loaded_is_not_ready() -> None:
    reply = Worker(Route(production=1), ready=()).post("/v2/models/iris/ready", b"", method="GET")

    assert (reply.status, reply.body["code"]) == (503, "MODEL_NOT_READY")
