"""Large bodies are read in a thread, and others have their turns meanwhile."""

import asyncio
import json
import math
import time

import numpy as np
import pytest

from gateway.decoding import Decoding, least_large
from gateway.lines import Asked
from gateway.protocols.call import ProtocolName, parse_call
from gateway.protocols.wires import BodyHead
from gateway.serving.admission import Shed
from gateway.serving.failure import Overloaded
from registry.route import Route
from tests.gateway.patients import predict_of, stable
from tests.gateway.test_predict_in_time import send_to
from tracking.errors import InvalidRequest

PATH = b"/models/oak/invocations"
CSV = "text/csv"
ROWS = 20_000
LARGE_JSON = json.dumps({"inputs": [[float(n), 1.0] for n in range(ROWS)]}).encode()
LARGE_CSV = b"a,b\n" + b"\n".join(b"%d.5,1.0" % n for n in range(ROWS))


def asked(content_type: str) -> Asked:
    return Asked(parse_call("POST", PATH), BodyHead(content_type), b"", "r")


async def turns_while(body: bytes, content_type: str) -> tuple[int, int]:
    """Read a body; return how many rows it has, and how many turns the loop had meanwhile."""
    reading = asyncio.ensure_future(Decoding().read(asked(content_type), body, None, math.inf))
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    return (await reading).batch.rows, turns


@pytest.mark.parametrize(
    ("body", "content_type"), [(LARGE_JSON, "application/json"), (LARGE_CSV, CSV)]
)
def test_the_loop_turns_while_a_large_body_is_read(body: bytes, content_type: str) -> None:
    rows, turns = asyncio.run(turns_while(body, content_type))

    assert rows == ROWS
    assert turns > 5


def test_a_small_body_is_read_at_once() -> None:
    assert asyncio.run(turns_while(b'{"inputs": [[1.0]]}', "application/json")) == (1, 1)


@pytest.mark.parametrize(
    ("protocol", "content_type", "is_json"),
    [
        (ProtocolName.MLFLOW, "application/json; charset=utf-8", True),
        (ProtocolName.MLFLOW, None, True),
        (ProtocolName.MLFLOW, "text/csv", False),
        (ProtocolName.MLFLOW, "application/vnd.apache.parquet", False),
        (ProtocolName.V2, "application/octet-stream", True),
        (ProtocolName.V2_GRPC, None, True),
    ],
)
def test_tables_are_large_before_json_is(
    protocol: ProtocolName, content_type: str | None, *, is_json: bool
) -> None:
    least = least_large(protocol, content_type)

    assert least == (least_large(ProtocolName.V2, None) if is_json else 16 << 10)


def test_whose_time_is_over_before_its_body_was_read_is_refused() -> None:
    async def story() -> int:
        decoding = Decoding()
        with pytest.raises(Overloaded) as refused:
            await decoding.read(asked(CSV), LARGE_CSV, None, time.monotonic())
        assert refused.value.shed is Shed.LATE
        return (await decoding.read(asked(CSV), LARGE_CSV, None, math.inf)).batch.rows

    assert asyncio.run(story()) == ROWS


def test_who_leaves_is_not_read_to_the_end() -> None:
    async def story() -> int:
        decoding = Decoding()
        leaving = asyncio.ensure_future(decoding.read(asked(CSV), LARGE_CSV, None, math.inf))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await asyncio.gather(leaving, return_exceptions=True))[0] is not None
        return (await decoding.read(asked(CSV), LARGE_CSV, None, math.inf)).batch.rows

    assert asyncio.run(story()) == ROWS


def test_a_large_body_that_cannot_be_read_is_a_bad_request() -> None:
    with pytest.raises(InvalidRequest):
        asyncio.run(Decoding().read(asked("application/json"), b"[" * (1 << 20), None, math.inf))


def test_large_bodies_get_answers_like_small_ones() -> None:
    predict = predict_of(Route(production=1), stable(), max_bytes=1 << 30)
    single = json.dumps({"inputs": [[float(n)] for n in range(40_000)]}).encode()

    reply = asyncio.run(send_to(predict, single, PATH.decode(), {}))
    late = asyncio.run(send_to(predict, single, PATH.decode(), {"stagedoor_timeout_ms": "1"}))

    assert np.array_equal(reply.body["predictions"], np.arange(40_000.0))
    assert (late.status, late.body["retryable"]) == (503, True)
