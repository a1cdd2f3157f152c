"""Answers in pieces over gRPC: a real model's process, a real server and a real client."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvloop

from gateway.auth.door import Door
from gateway.auth.hosts import host_policy
from gateway.auth.policy import Permission
from gateway.grpc_server import GrpcServer
from gateway.lines import Asked
from gateway.metrics import REQUESTS
from gateway.predict import Predict
from gateway.protocols.call import Action, Call, ProtocolName
from gateway.protocols.v2_messages import message
from gateway.protocols.wires import BodyHead
from gateway.queue_metrics import CANCELLED
from gateway.talks import Told
from gateway.turns import IN_FLIGHT, Stream, Turn
from registry.references import Live
from registry.route import Route
from registry.tensors import Batch, Prediction
from tests.gateway.patients import RECORDS, SPLIT, Patient, predict_of
from tests.gateway.serving.talkers import talking, until
from tests.interop.client import free_port
from tracking.errors import DeadlineExceeded

PATIENCE_S = 30.0
GRACE_S = 0.2
TALKER, CLERK = "1", "2"
"""The versions: one talks, one answers whole."""
PIECES = {"stream": True}
WITH_END = {"triton_enable_empty_final_response": True}
ENDLESS = 1 << 40
FIELDS = {bool: "bool_param", int: "int64_param", str: "string_param"}


class Clerk(Patient):
    """Answers at once, or when it may where the row is not above 0."""

    def __init__(self) -> None:
        super().__init__(RECORDS[2].key)
        self.may = asyncio.Event()

    async def predict(
        self, batch: Batch, params: Mapping[str, Any], deadline_s: float = math.inf
    ) -> Prediction:
        if batch.arrays[0].reshape(-1)[0] <= 0:
            await self.may.wait()
        return await super().predict(batch, params, deadline_s)


class Home:
    """A loop, and on it the two versions, a server and a channel."""

    def __init__(self, folder: Path) -> None:
        self.loop = uvloop.new_event_loop()
        self.stack = AsyncExitStack()
        self.run(self._open(folder))

    async def _open(self, folder: Path) -> None:
        self.runner = await self.stack.enter_async_context(talking(folder))
        self.runner.key = RECORDS[1].key
        self.clerk = Clerk()
        held: list[Any] = [self.runner, self.clerk]
        self.predict = predict_of(
            Route(production=1, staging=2), *held, max_bytes=1 << 20, max_timeout_s=600.0
        )
        self.channel = await self.stack.enter_async_context(served(self.predict))

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(story, PATIENCE_S))

    async def _close(self) -> None:
        own = asyncio.all_tasks()
        await self.stack.aclose()
        await until(lambda: asyncio.all_tasks() <= own)  # the process has been seen off

    def close(self) -> None:
        self.run(self._close())
        self.loop.close()


@asynccontextmanager
async def served(predict: Predict, **options: Any) -> AsyncIterator[Any]:
    """Serve, and yield a channel to it."""
    door = Door(host_policy("127.0.0.1", ()), None, max_body_bytes=999, max_upload_bytes=999)
    address = f"127.0.0.1:{free_port()}"
    server = GrpcServer(predict, door, address, max_body_bytes=99_999, **options)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            yield channel
        finally:
            await server.stop(GRACE_S)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("talker"))
    yield home
    home.close()


def tensor(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        contents: dict[str, Any] = {"bytes_contents": [value.encode()]}
        return {"name": name, "datatype": "BYTES", "shape": [1, 1], "contents": contents}
    if isinstance(value, int):
        contents = {"int64_contents": [value]}
        return {"name": name, "datatype": "INT64", "shape": [1], "contents": contents}
    contents = {"fp64_contents": value}
    return {"name": name, "datatype": "FP64", "shape": [len(value), 1], "contents": contents}


def request(version: str, inputs: Mapping[str, Any], **parameters: Any) -> Any:
    request_id = parameters.pop("request_id", "r")
    tensors = [tensor(name, value) for name, value in inputs.items()]
    asked = message("ModelInferRequest")(
        model_name="oak", model_version=version, id=request_id, inputs=tensors
    )
    for name, value in parameters.items():
        setattr(asked.parameters[name], FIELDS[type(value)], value)
    return asked


def talk(pieces: int, request_id: str = "r", /, **more: Any) -> Any:
    """Ask for pieces; by the parameter of ours if no other is named."""
    parameters = {name: more.pop(name) for name in ("timeout", *WITH_END) if name in more}
    wish = parameters if WITH_END.keys() & parameters.keys() else parameters | PIECES
    inputs = {"prompt": "hi", "pieces": pieces, **more}
    return request(TALKER, inputs, request_id=request_id, **wish)


def whole(value: float, request_id: str = "w") -> Any:
    return request(CLERK, {"x": [value]}, request_id=request_id)


def open_stream(channel: Any, timeout: float | None = None) -> Any:
    return channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=message("ModelInferRequest").SerializeToString,
        response_deserializer=message("ModelStreamInferResponse").FromString,
    )(timeout=timeout)


def told(response: Any) -> tuple[Any, ...]:
    """Return a response's id, what it holds, and whether it is the last of its request."""
    inferred = response.infer_response
    is_last = inferred.parameters["triton_final_response"].bool_param
    if response.error_message:
        return inferred.id, response.error_message, is_last
    values = {
        output.name: (list(output.shape), [*output.contents.ListFields()[0][1]])
        for output in inferred.outputs
    }
    return inferred.id, values, is_last


async def answers(channel: Any, *requests: Any) -> list[tuple[Any, ...]]:
    """Ask over one stream, and return all that was answered."""
    stream = open_stream(channel)
    for asked in requests:
        await stream.write(asked)
    await stream.done_writing()
    return [told(response) async for response in stream]


def ats(told: list[tuple[Any, ...]], request_id: str = "r") -> list[Any]:
    """Return the numbers of a talk's pieces, in the order in which they came."""
    return [values["at"][1][0] for of, values, _ in told if of == request_id and "at" in values]


def piece(at: int) -> dict[str, Any]:
    return {"text": ([1], [b"hi"]), "at": ([1], [at])}


def counted(code: str) -> float:
    value: float = REQUESTS.labels("oak", "1", "", "grpc-oip", code)._value.get()  # noqa: SLF001
    return value


def test_pieces_have_the_id_and_the_last_says_so(home: Home) -> None:
    assert home.run(answers(home.channel, talk(3, "a"))) == [
        ("a", piece(1), False),
        ("a", piece(2), False),
        ("a", piece(3), True),
    ]
    assert home.run(answers(home.channel, talk(0))) == [("r", {}, True)]
    assert ats(home.run(answers(home.channel, talk(200)))) == [*range(1, 201)]


def test_an_empty_response_is_the_last_where_it_is_asked_for(home: Home) -> None:
    assert home.run(answers(home.channel, talk(1, "a", **WITH_END))) == [
        ("a", piece(1), False),
        ("a", {}, True),
    ]
    assert home.run(answers(home.channel, talk(0, **WITH_END))) == [("r", {}, True)]


def test_a_piece_does_not_wait_for_the_next_where_an_empty_one_is_the_last(
    home: Home, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"

    async def story() -> list[Any]:
        stream = open_stream(home.channel)
        await stream.write(talk(1, deed=waits, **WITH_END))
        first = told(await stream.read())
        go.touch()
        return [first, told(await stream.read())]

    assert home.run(story()) == [("r", piece(1), False), ("r", {}, True)]


def test_rows_are_answered_row_by_row_or_whole_if_nothing_is_asked(home: Home) -> None:
    rows = {"x": [4.0, 5.0]}

    assert home.run(answers(home.channel, request(TALKER, rows, **PIECES))) == [
        ("r", {"output": ([1], [4.0])}, False),
        ("r", {"output": ([1], [5.0])}, True),
    ]
    assert home.run(answers(home.channel, request(TALKER, rows))) == [
        ("r", {"output": ([2], [8.0, 10.0])}, True)
    ]


def test_whole_answers_keep_their_order_and_talks_do_not_hold_them_up(home: Home) -> None:
    """The first waits until the talk has begun, and the talk never ends by itself."""
    home.clerk.may.clear()

    async def story() -> tuple[list[Any], list[Any]]:
        stream = open_stream(home.channel)
        for asked in (whole(0.0, "1"), whole(5.0, "2"), talk(ENDLESS, "3"), whole(6.0, "4")):
            await stream.write(asked)
        early = [told(await stream.read())[0] for _ in range(3)]
        home.clerk.may.set()
        wholes: list[Any] = []
        while len(wholes) < 3:
            response = told(await stream.read())
            wholes += [response] if response[0] != "3" else []
        stream.cancel()
        return early, wholes

    early, wholes = home.run(story())

    assert early == ["3", "3", "3"]
    assert [(of, values["output"][1]) for of, values, _ in wholes] == [
        ("1", [0.0]),
        ("2", [10.0]),
        ("4", [12.0]),
    ]
    assert all(is_last for _, _, is_last in wholes)


def test_more_requests_than_are_answered_at_a_time_all_are(home: Home) -> None:
    count = IN_FLIGHT * 3
    asked = [whole(n + 1.0, str(n)) if n % 2 else talk(2, str(n)) for n in range(count)]

    got = home.run(answers(home.channel, *asked))

    assert [of for of, _, _ in got if int(of) % 2] == [str(n) for n in range(1, count, 2)]
    assert [ats(got, str(n)) for n in range(0, count, 2)] == [[1, 2]] * (count // 2)


def test_an_error_ends_its_talk_and_not_the_stream(home: Home) -> None:
    failing = "raise ValueError('secret')"
    before = counted("200"), counted("500")

    asked = (talk(2, "late", deed=failing), talk(0, "early", deed=failing), talk(1, "good"))
    got = home.run(answers(home.channel, *asked))

    raised = "The model raised ValueError on this."
    late = [("late", piece(1), False), ("late", piece(2), False), ("late", raised, True)]
    assert [each for each in got if each[0] == "late"] == late
    assert [each for each in got if each[0] == "early"] == [("early", raised, True)]
    assert [each for each in got if each[0] == "good"] == [("good", piece(1), True)]
    assert (counted("200"), counted("500")) == (before[0] + 1, before[1] + 2)


def test_what_is_wrong_is_refused_and_the_stream_goes_on(home: Home) -> None:
    odd = talk(1, "odd", triton_enable_empty_final_response=1)
    nobody = request("9", {"x": [1.0]}, request_id="nobody", **PIECES)
    late = talk(1, "late", timeout=-1)
    none = message("ModelInferRequest")(model_name="oak", id="none")
    none.parameters["stream"].bool_param = True

    got = home.run(answers(home.channel, odd, nobody, late, none, talk(1, "good")))

    by_id = {of: said for of, said, _ in got}
    assert len(by_id) == len(got)
    assert all(is_last for _, _, is_last in got)
    assert "is no bool" in by_id["odd"]
    assert "has no version 9" in by_id["nobody"]
    assert "no whole number of microseconds" in by_id["late"]
    assert "rows" in by_id["none"]
    assert by_id["good"] == piece(1)


def test_a_talk_ends_when_its_time_is_over_and_the_stream_goes_on(
    home: Home, tmp_path: Path
) -> None:
    """The model gives pieces as fast as they are taken, for ever; or none at all."""
    log, go = tmp_path / "log", tmp_path / "go"
    waits = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"

    async def story() -> list[Any]:
        stream = open_stream(home.channel)
        await stream.write(talk(ENDLESS, "fast", timeout=100_000, log=str(log), **WITH_END))
        fast = await until_last(stream, "fast")
        await stream.write(talk(0, "mute", timeout=50_000, deed=waits))
        mute = await until_last(stream, "mute")
        go.touch()
        await stream.write(talk(1, "good"))
        return [fast, mute, await until_last(stream, "good")]

    fast, mute, good = home.run(story())
    home.run(until(log.exists))

    assert "time for this request was over" in fast[1]
    assert "time for this request was over" in mute[1]
    assert good == ("good", piece(1), True)


def test_a_talk_ends_in_time_also_for_who_reads_slowly(home: Home) -> None:
    """The next piece is always there already when the last one has been taken."""
    call = Call(ProtocolName.V2_GRPC, Action.INFER, Permission.PREDICT, "oak", Live())
    asked = Asked(call, BodyHead(), b"", "id")
    ends: list[Told | None] = []

    async def take_slowly(_response: bytes) -> None:
        await asyncio.sleep(0.004)

    async def answer(turn: Turn, body: bytes) -> None:
        turn.read(body)
        tell = partial(home.predict.grpc_talks.answer, asked=asked, body=body, turn=turn)
        ends.append(await home.predict.talk(asked, math.inf, tell))

    async def requests() -> AsyncIterator[bytes]:
        yield talk(ENDLESS, timeout=100_000).SerializeToString()

    async def story() -> None:
        await Stream(take_slowly, PATIENCE_S).serve(requests(), answer)

    home.run(story())

    [told] = ends
    assert told is not None
    assert (told.status, told.code) == (504, DeadlineExceeded.code)


async def until_last(stream: Any, request_id: str) -> tuple[Any, ...]:
    while True:
        response = told(await stream.read())
        if response[0] == request_id and response[2]:
            return response


@pytest.mark.parametrize("ends_by", ["cancel", "deadline"])
def test_a_caller_who_leaves_stops_the_model_and_is_counted(
    home: Home, tmp_path: Path, ends_by: str
) -> None:
    """At the call's deadline, either end may be the first to see that the time is over."""
    log = tmp_path / "log"
    left = CANCELLED.labels("oak", "cancelled")

    def ended() -> float:
        value: float = left._value.get()  # noqa: SLF001 - the test reads what the page would show
        return value + (counted("504") if ends_by == "deadline" else 0)

    before = ended()

    async def leave() -> None:
        stream = open_stream(home.channel)
        await stream.write(talk(ENDLESS, log=str(log)))
        await stream.read()
        stream.cancel()

    async def run_out_of_time() -> None:
        """Have less than a second, or more where that is not enough for a beginning."""
        for exponent in range(-1, 5):
            stream, pieces = open_stream(home.channel, timeout=2.0**exponent), 0
            with suppress(grpc.aio.AioRpcError):
                await stream.write(talk(ENDLESS, log=str(log)))
                while True:
                    await stream.read()
                    pieces += 1
            if pieces:
                return

    async def story() -> None:
        await (leave() if ends_by == "cancel" else run_out_of_time())
        await until(log.exists)
        await until(lambda: home.predict.intake.requests == 0)

    home.run(story())
    assert ended() > before
    assert ats(home.run(answers(home.channel, talk(2)))) == [1, 2]


def test_who_takes_nothing_is_held_for_gone(home: Home, tmp_path: Path) -> None:
    """What was sent and not taken fills the buffers between the two; then the model waits."""
    log = tmp_path / "log"

    async def story() -> tuple[Any, str]:
        async with served(home.predict, stalled_s=0.2) as channel:
            stream = open_stream(channel)
            await stream.write(talk(ENDLESS, prompt="x" * 100_000, log=str(log)))
            await until(log.exists)
            await until(lambda: home.predict.intake.requests == 0)
            with suppress(grpc.aio.AioRpcError):
                while True:
                    await stream.read()
            return await stream.code(), await stream.details()

    assert home.run(story()) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "No answer was taken for 0.2 s.",
    )
    assert ats(home.run(answers(home.channel, talk(2)))) == [1, 2]


def test_a_server_that_stops_ends_a_talk_after_its_grace(home: Home, tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def story() -> Any:
        async with served(home.predict) as channel:
            stream = open_stream(channel)
            await stream.write(talk(ENDLESS, log=str(log)))
            await stream.read()
        await until(log.exists)
        await until(lambda: home.predict.intake.requests == 0)
        return await stream.code()

    assert home.run(story()) in {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


def test_stable_answers_for_a_candidate_whose_process_was_killed(
    home: Home, tmp_path: Path
) -> None:
    """In mid-talk it is an error; afterwards the candidate refuses, and nothing was told yet."""

    async def story() -> list[Any]:
        async with talking(tmp_path) as killed:
            killed.key = RECORDS[2].key
            held: list[Any] = [home.runner, killed]
            async with served(predict_of(SPLIT, *held)) as channel:
                stream = open_stream(channel)
                asked = talk(1, "a", deed="import os; os.kill(os.getpid(), 9)")
                asked.model_version = ""
                await stream.write(asked)
                first = [await stream.read(), await stream.read()]
                asked = talk(1, "b")
                asked.model_version = ""
                await stream.write(asked)
                return [*first, await stream.read()]

    piece_of_2, error, piece_of_1 = home.run(story())

    assert piece_of_2.infer_response.model_version == "2"
    assert "The process of 'oak' version 2 ended" in error.error_message
    assert told(error)[0] == "a"
    assert told(piece_of_1) == ("b", piece(1), True)
    assert piece_of_1.infer_response.model_version == "1"


def test_who_finds_no_room_is_told_and_the_stream_goes_on(home: Home) -> None:
    """A stream is held to what all requests are held to: here, to bytes."""
    held: list[Any] = [home.runner, home.clerk]
    predict = predict_of(Route(production=1, staging=2), *held, max_bytes=1000)

    async def story() -> list[Any]:
        async with served(predict) as channel:
            return await answers(channel, talk(1, "large", prompt="x" * 2000), talk(1, "small"))

    got = {of: said for of, said, _ in home.run(story())}

    assert "bytes of requests are held here" in got["large"]
    assert got["small"] == piece(1)
