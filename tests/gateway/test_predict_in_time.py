"""Time and room on the predict path: what callers are told, and what their candidate may use."""

import asyncio
import json
import math
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec import Struct

from gateway.auth.policy import LOCAL
from gateway.metrics import SHED
from gateway.predict import Predict
from gateway.queue_metrics import CANCELLED, DEADLINE_EXCEEDED
from gateway.quota_settings import QuotaSettings
from gateway.serving.callers import Caller, Priority
from registry.route import Route
from tests.gateway.patients import SPLIT, candidate, predict_of, stable

BODY = b'{"inputs": [[1.0]]}'
V2 = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}


class Reply(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: Any


def post(
    predict: Predict, body: bytes = BODY, *, path: str = "/models/oak/invocations", **headers: str
) -> Reply:
    return asyncio.run(send_to(predict, body, path, headers))


async def send_to(
    predict: Predict, body: bytes, path: str, headers: Mapping[str, str], *, stays: bool = True
) -> Reply:
    told = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    scope = {
        "method": "POST",
        "raw_path": path.encode(),
        "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in told.items()],
        "state": {"request_id": "r", "principal": LOCAL},
    }
    messages = [{"type": "http.request", "body": body}]
    sent: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        if stays:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await predict(scope, receive, send)
    if not sent:
        return Reply(0, {}, None)
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], answered, json.loads(sent[1]["body"]))


@pytest.mark.parametrize("told", ["0", "-5", "soon", "1.5"])
@pytest.mark.parametrize("route", [Route(production=1), SPLIT])
def test_a_time_that_is_none_is_a_bad_request(told: str, route: Route) -> None:
    predict = predict_of(route, stable(), candidate())

    assert post(predict, stagedoor_timeout_ms=told).status == 400
    assert post(predict).status == 200


def test_a_request_has_the_least_of_what_head_body_and_server_say() -> None:
    asked = stable()
    predict = predict_of(Route(production=1), asked, max_timeout_s=30.0)
    hasty = json.dumps({**V2, "parameters": {"timeout": 5_000_000}}).encode()
    path = "/v2/models/oak/infer"

    statuses = [
        post(predict).status,
        post(predict, stagedoor_timeout_ms="20000").status,
        post(predict, stagedoor_timeout_ms="90000").status,
        post(predict, hasty, path=path, stagedoor_timeout_ms="20000").status,
    ]

    assert statuses == [200] * 4
    assert [math.ceil(left_s / 5) * 5 for left_s in asked.left_s] == [30, 20, 30, 5]


def test_a_time_in_the_body_that_is_none_is_a_bad_request() -> None:
    predict = predict_of(Route(production=1), stable())
    body = json.dumps({**V2, "parameters": {"timeout": "5"}}).encode()

    assert post(predict, body, path="/v2/models/oak/infer").status == 400


@pytest.mark.parametrize(
    ("path", "error"),
    [("/models/oak/invocations", "message"), ("/v2/models/oak/infer", "error"),
     ("/v1/models/oak:predict", "error")],
)  # fmt: skip
def test_who_is_refused_is_told_that_and_when_to_come_back(path: str, error: str) -> None:
    predict = predict_of(Route(production=1), stable(is_full=True))

    reply = post(predict, path=path)

    assert reply.status == 503
    assert int(reply.headers["retry-after"]) in (3, 4)
    assert reply.body["retryable"] is True
    assert reply.body[error] == "too much waits"


def test_a_late_answer_is_a_504_and_is_counted() -> None:
    predict = predict_of(Route(production=1), stable(needs_s=5.0))
    counted = DEADLINE_EXCEEDED.labels("oak", "running")
    before = counted._value.get()  # noqa: SLF001 - the test reads what the page would show

    reply = post(predict, stagedoor_timeout_ms="1000")

    assert (reply.status, reply.body["error_code"]) == (504, "DEADLINE_EXCEEDED")
    assert "retry-after" not in reply.headers
    assert counted._value.get() == before + 1  # noqa: SLF001


def test_stable_answers_for_a_candidate_without_room() -> None:
    predict = predict_of(SPLIT, stable(), candidate(is_full=True))

    reply = post(predict)

    assert (reply.status, reply.body) == (200, {"predictions": [1.0]})
    assert reply.headers["stagedoor-fallback"] == "fallback_overload"


def test_a_candidate_gives_up_while_stable_still_has_its_time() -> None:
    asked, slow = stable(), candidate(needs_s=99.0)
    predict = predict_of(SPLIT, asked, slow)
    predict._slices.note("oak", 4.0)  # noqa: SLF001 - as if stable had taken so long before

    reply = post(predict, stagedoor_timeout_ms="10000")

    assert reply.headers["stagedoor-fallback"] == "fallback_error"
    assert 5.0 < slow.left_s[0] <= 6.0
    assert 8.0 < asked.left_s[0] <= 10.0


def test_nobody_falls_back_when_the_time_is_over() -> None:
    asked, slow = stable(), candidate(needs_s=99.0)
    predict = predict_of(SPLIT, asked, slow, max_timeout_s=1e-6)

    reply = post(predict)

    assert reply.status == 504
    assert asked.left_s == []


def test_bodies_that_do_not_fit_are_refused_before_they_are_read() -> None:
    predict = predict_of(Route(production=1), stable(), max_bytes=100)

    reply = post(predict, content_length="101")

    assert (reply.status, reply.body["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert post(predict).status == 200


@pytest.mark.parametrize("route", [Route(production=1), SPLIT])
def test_who_has_asked_as_often_as_it_may_is_told_to_wait(route: Route) -> None:
    quota = QuotaSettings(requests_per_s=0.001, burst=2)
    predict = predict_of(route, stable(is_full=True), candidate(is_full=True), quota=quota)
    before = SHED.labels("oak", "quota")._value.get()  # noqa: SLF001

    statuses = [post(predict, stagedoor_timeout_ms=told).status for told in ("0", "9", "0")]
    reply = post(predict)
    other = post(predict, stagedoor_key="somebody else")
    unknown = post(predict, path="/models/elm/invocations")

    assert statuses == [400, 503, 429]  # before the deadline is looked at, and before the queue
    assert (reply.status, reply.body["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert reply.body["retryable"] is True
    assert int(reply.headers["retry-after"]) >= 900
    assert (other.status, unknown.status) == (503, 404)
    assert SHED.labels("oak", "quota")._value.get() == before + 2  # noqa: SLF001


def test_a_request_that_takes_the_long_way_counts_once() -> None:
    quota = QuotaSettings(requests_per_s=0.001, burst=2)
    predict = predict_of(Route(production=1), stable(), quota=quota)
    keyed = json.dumps({"inputs": [[1.0]], "params": {"routing_key": "k"}}).encode()

    statuses = [post(predict, keyed).status for _ in range(3)]

    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("told", ["urgent", 9, True])
def test_a_priority_in_the_body_that_is_none_is_a_bad_request(told: object) -> None:
    predict = predict_of(Route(production=1), stable())
    body = json.dumps({**V2, "parameters": {"priority": told}}).encode()

    assert post(predict, body, path="/v2/models/oak/infer").status == 400


def test_the_priority_and_the_client_of_a_request_are_known_where_it_waits() -> None:
    asked = stable()
    predict = predict_of(Route(production=1), asked)
    hasty = json.dumps({**V2, "parameters": {"priority": 1}}).encode()

    post(predict)
    post(predict, stagedoor_priority="batch", stagedoor_key="mine")
    post(predict, hasty, path="/v2/models/oak/infer", stagedoor_priority="batch")

    assert asked.callers == [
        Caller(),
        Caller("key mine", Priority.BATCH),
        Caller("", Priority.CRITICAL),
    ]


def test_who_leaves_is_not_waited_for_and_is_counted() -> None:
    predict = predict_of(Route(production=1), stable(needs_s=math.inf), max_timeout_s=math.inf)
    counted = CANCELLED.labels("oak", "disconnected")
    before = counted._value.get()  # noqa: SLF001

    reply = asyncio.run(send_to(predict, BODY, "/models/oak/invocations", {}, stays=False))

    assert reply.status == 0
    assert counted._value.get() == before + 1  # noqa: SLF001
    assert predict.intake.requests == 0
