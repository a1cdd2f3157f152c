"""Time, room and metadata over gRPC: a real server and a real client, in one process."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import grpc

from gateway.auth.door import Door
from gateway.auth.hosts import host_policy
from gateway.grpc_server import GrpcServer
from gateway.predict import Predict
from gateway.protocols.v2_messages import message
from gateway.queue_metrics import CANCELLED
from gateway.serving.callers import Caller, Priority
from registry.route import Route, Split
from tests.gateway.patients import SPLIT, candidate, predict_of, stable
from tests.gateway.serving.specimens import eventually
from tests.interop.client import free_port

ROUTE = Route(production=1)
ROW = {"name": "x", "datatype": "FP64", "shape": [1], "contents": {"fp64_contents": [1.0]}}

Call = Callable[..., Any]


def tell(predict: Predict, story: Callable[[Call], Coroutine[Any, Any, Any]]) -> Any:
    """Tell a story about a server that answers by ``predict``; it gets what makes a call."""
    door = Door(host_policy("127.0.0.1", ()), None, max_body_bytes=999, max_upload_bytes=999)

    async def main() -> Any:
        address = f"127.0.0.1:{free_port()}"
        server = GrpcServer(predict, door, address, max_body_bytes=99_999)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                return await story(
                    channel.unary_unary(
                        "/inference.GRPCInferenceService/ModelInfer",
                        request_serializer=message("ModelInferRequest").SerializeToString,
                        response_deserializer=message("ModelInferResponse").FromString,
                    )
                )
        finally:
            await server.stop(1.0)

    return asyncio.run(main())


def request(timeout_us: int = 0) -> Any:
    asked = message("ModelInferRequest")(model_name="oak", inputs=[ROW])
    asked.parameters["timeout"].int64_param = timeout_us
    return asked


async def refused(call: Any) -> tuple[Any, dict[str, str]]:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), dict(error.trailing_metadata())
    raise AssertionError


def test_who_is_refused_is_told_when_to_come_back() -> None:
    predict = predict_of(ROUTE, stable(is_full=True))

    code, trailers = tell(predict, lambda call: refused(call(request())))

    assert code is grpc.StatusCode.UNAVAILABLE
    assert 2500 <= int(trailers["retry-after-ms"]) <= 3751


def test_the_deadline_of_a_call_and_the_time_in_its_body_are_kept() -> None:
    asked = stable()
    predict = predict_of(ROUTE, asked)

    async def story(call: Call) -> None:
        await call(request())
        await call(request(), timeout=19.0)
        await call(request(5_000_000), timeout=19.0)

    tell(predict, story)

    assert [math.ceil(left_s / 5) * 5 for left_s in asked.left_s] == [60, 20, 5]


def test_a_late_answer_and_a_bad_time_have_their_status() -> None:
    predict = predict_of(ROUTE, stable(needs_s=9.0))

    async def story(call: Call) -> list[Any]:
        return [(await refused(call(request(us))))[0] for us in (1_000_000, -1)]

    assert tell(predict, story) == [
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INVALID_ARGUMENT,
    ]


def test_who_cancels_is_not_waited_for_and_is_counted() -> None:
    predict = predict_of(ROUTE, stable(needs_s=math.inf), max_timeout_s=math.inf)
    counted = CANCELLED.labels("oak", "cancelled")
    before = counted._value.get()  # noqa: SLF001 - the test reads what the page would show

    async def story(call: Call) -> bool:
        made = call(request())
        assert await eventually(lambda: predict.intake.requests == 1)
        made.cancel()
        return await eventually(lambda: predict.intake.requests == 0)

    assert tell(predict, story)
    assert counted._value.get() == before + 1  # noqa: SLF001


async def trailers_of(call: Any) -> dict[str, str]:
    await call
    return dict(await call.trailing_metadata())


def test_who_answered_is_told_as_over_http() -> None:
    answered = tell(predict_of(ROUTE, stable()), lambda call: trailers_of(call(request())))
    failed = tell(predict_of(ROUTE, stable(is_full=True)), lambda call: refused(call(request())))[1]

    identity = {
        "stagedoor-model": "oak",
        "stagedoor-version": "1",
        "stagedoor-stage": "Production",
        "stagedoor-variant": "stable",
        "stagedoor-epoch": "1",
        "stagedoor-worker": "w",
    }
    assert answered.pop("stagedoor-request-id")
    assert answered == identity
    assert failed.items() >= identity.items()
    assert failed["stagedoor-code"] == "TEMPORARILY_UNAVAILABLE"


def test_stable_in_the_candidates_place_says_why() -> None:
    predict = predict_of(SPLIT, stable(), candidate(needs_s=9e9))

    told = tell(predict, lambda call: trailers_of(call(request())))

    assert (told["stagedoor-fallback"], told["stagedoor-version"]) == ("fallback_error", "1")


def test_a_callers_metadata_is_read_as_headers_are() -> None:
    """The time, the priority and the key; the owner of a key is a client, as over HTTP."""
    asked = stable()
    head = {"stagedoor-timeout-ms": "5000", "stagedoor-priority": "batch", "stagedoor-key": "k"}

    async def story(call: Call) -> list[Any]:
        await call(request(), metadata=tuple(head.items()))
        bad = [("stagedoor-timeout-ms", "soon"), ("stagedoor-priority", "now")]
        bad.append(("stagedoor-key", "k" * 600))
        return [(await refused(call(request(), metadata=(each,))))[0] for each in bad]

    codes = tell(predict_of(ROUTE, asked), story)

    [left_s] = asked.left_s
    assert 0 < left_s <= 5
    assert asked.callers == [Caller("key k", Priority.BATCH)]
    assert codes == [grpc.StatusCode.INVALID_ARGUMENT] * 3


def test_a_key_in_the_metadata_routes_like_one_in_the_body_and_goes_before_it() -> None:
    half = Route(production=1, staging=2, split=Split("s", "Staging", 5_000))
    keys = [f"user-{number}" for number in range(20)]

    async def versions(call: Call, *, in_body: bool) -> list[str]:
        told = []
        for key in keys:
            asked = request()
            asked.parameters["routing_key"].string_param = key if in_body else "other"
            head = () if in_body else (("stagedoor-key", key),)
            told.append((await trailers_of(call(asked, metadata=head)))["stagedoor-version"])
        return told

    predict = predict_of(half, stable(), candidate())
    by_body = tell(predict, partial(versions, in_body=True))
    by_head = tell(predict, partial(versions, in_body=False))

    assert by_body == by_head
    assert set(by_body) == {"1", "2"}
