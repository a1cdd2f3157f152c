"""Answers in pieces, by a real process: the pieces, errors, disconnects, and slow readers."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvloop

from gateway.serving.frames import FrameError
from gateway.serving.launch import RunnerLimits
from gateway.serving.runner import Runner
from gateway.serving.talking import CREDIT, Talk
from registry.pieces import plain_piece
from tests.gateway.serving import specimens as sp
from tests.gateway.serving.talkers import Home, document, talking, until
from tracking.errors import (
    DeadlineExceeded,
    ModelFailed,
    ModelNotReady,
    NotImplementedHere,
    StagedoorError,
)


def run(story: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(story)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("talker"))
    yield home
    home.close()


async def pieces_of(talk: Talk) -> list[Any]:
    """Take all; an error at the end is the last."""
    taken: list[Any] = []
    try:
        while True:
            piece = await anext(talk)
            taken.append(piece["at"] if isinstance(piece, dict) else piece)
    except StopAsyncIteration:
        return taken
    except StagedoorError as error:
        return [*taken, error.code]


def test_pieces_come_in_order_of_rows_and_of_documents(home: Home) -> None:
    async def story() -> None:
        runner = home.runner
        many = await runner.talk(document(100), {}, is_stream=True)
        assert await pieces_of(many) == list(range(1, 101))
        rows = await runner.talk(sp.matrix((1.0,), (2.0,)), {}, is_stream=True)
        assert await pieces_of(rows) == [1.0, 2.0]
        none = await runner.talk(document(0), {}, is_stream=True)
        assert await pieces_of(none) == []
        whole = await runner.talk(document(3), {}, is_stream=False)
        assert [piece async for piece in whole] == [{"whole": "hi"}]
        answer = await runner.predict(sp.matrix((4.0,)), {})
        assert answer.arrays[0].tolist() == [8.0]

    home.run(story())


def test_calls_and_talks_wait_for_each_other_and_are_not_mixed_up(home: Home) -> None:
    async def ask(runner: Runner, number: int) -> Any:
        if number % 2:
            return (await runner.predict(sp.matrix((float(number),)), {})).arrays[0].tolist()
        return await pieces_of(await runner.talk(document(number), {}, is_stream=True))

    async def story() -> None:
        runner = home.runner
        asked = (ask(runner, number) for number in range(30))
        answers = await asyncio.gather(*asked)

        assert answers == [
            [number * 2.0] if number % 2 else list(range(1, number + 1)) for number in range(30)
        ]

    home.run(story())


def test_an_error_before_the_first_piece_is_raised_and_later_ends_the_talk(home: Home) -> None:
    failing = "raise ValueError('secret')"

    async def story() -> None:
        runner = home.runner
        with pytest.raises(ModelFailed, match="raised ValueError on this"):
            await runner.talk(document(0, deed=failing), {}, is_stream=True)
        late = await runner.talk(document(2, deed=failing), {}, is_stream=True)
        assert await pieces_of(late) == [1, 2, "MODEL_FAILED"]
        odd = await runner.talk(document(1, odd=True), {}, is_stream=True)
        assert await pieces_of(odd) == [1, "MODEL_FAILED"]
        large = await runner.talk(document(1, prompt="x" * (2 << 20)), {}, is_stream=False)
        assert await pieces_of(large) == []

    with pytest.raises(StagedoorError, match="cannot be sent"):
        home.run(story())


def test_who_reads_slowly_slows_the_model_down(home: Home, tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def story() -> None:
        runner = home.runner
        talk = await runner.talk(document(10_000, log=str(log)), {}, is_stream=True)
        first = [(await anext(talk))["at"] for _ in range(3)]
        talk.close()
        await until(log.exists)
        assert first == [1, 2, 3]
        assert await pieces_of(await runner.talk(document(2), {}, is_stream=True)) == [1, 2]

    home.run(story())
    assert int(log.read_text(encoding="utf-8")) <= 3 + CREDIT


def test_a_caller_who_leaves_before_the_first_piece_stops_the_model(
    home: Home, tmp_path: Path
) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    waiting = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)"

    async def story() -> None:
        runner = home.runner
        slow = document(0, deed=waiting, log=str(log))
        leaver = asyncio.create_task(runner.talk(slow, {}, is_stream=True))
        queued = asyncio.create_task(runner.talk(document(1), {}, is_stream=True))
        await asyncio.sleep(0)
        leaver.cancel()
        queued.cancel()
        go.touch()
        await until(log.exists)
        assert await pieces_of(await runner.talk(document(1), {}, is_stream=True)) == [1]

    home.run(story())


def test_a_process_that_dies_or_hangs_in_a_talk_ends_it(tmp_path: Path) -> None:
    limits = RunnerLimits(load_timeout_s=30.0, predict_timeout_s=1.0, warm_calls=1)
    ends = {}

    async def story() -> None:
        for name, deed in (("dies", "os._exit(3)"), ("hangs", "time.sleep(99)")):
            async with talking(tmp_path / name, limits=limits) as runner:
                asked = document(1, deed=f"import os, time; {deed}")
                talk = await runner.talk(asked, {}, is_stream=True)
                ends[name] = await pieces_of(talk)
                with pytest.raises(ModelNotReady):
                    await runner.talk(document(1), {}, is_stream=True)

    for name in ("dies", "hangs"):
        (tmp_path / name).mkdir()
    run(story())
    assert ends == {"dies": [1, ModelFailed.code], "hangs": [1, DeadlineExceeded.code]}


def test_a_model_that_hangs_when_it_is_stopped_is_killed(tmp_path: Path) -> None:
    limits = RunnerLimits(load_timeout_s=30.0, predict_timeout_s=1.0, warm_calls=1)

    async def story() -> None:
        async with talking(tmp_path, limits=limits) as runner:
            asked = document(CREDIT * 2, last="import time; time.sleep(99)")
            talk = await runner.talk(asked, {}, is_stream=True)
            talk.close()
            with pytest.raises(ModelNotReady):
                await runner.talk(document(1), {}, is_stream=True)

    run(story())


def test_a_model_that_does_not_talk_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with talking(tmp_path, sp.Affine(2.0)) as runner:
            assert (runner.can_talk, runner.takes_documents) == (False, False)
            with pytest.raises(NotImplementedHere, match="no predict_stream"):
                await runner.talk(document(1), {}, is_stream=True)

    run(story())


def test_pieces_beyond_the_credit_are_a_lie() -> None:
    talk = Talk(None, is_stream=True)
    for at in range(CREDIT):
        talk.put(at)

    with pytest.raises(FrameError, match="no credit"):
        talk.put(CREDIT)


@pytest.mark.parametrize(
    ("piece", "plain"),
    [
        ("text", "text"),
        ({"a": (1, None, True)}, {"a": [1, None, True]}),
        (float("nan"), None),
        (sp.matrix((1.0, 2.0)).arrays[0], [[1.0, 2.0]]),
        (sp.matrix((1.5,)).arrays[0][0][0], 1.5),
        (pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
        (pd.Timestamp("2026-01-02"), "2026-01-02T00:00:00"),
    ],
)
def test_a_piece_is_what_json_has(piece: Any, plain: Any) -> None:
    assert plain_piece(piece) == plain


@pytest.mark.parametrize("piece", [object(), {1, 2}, os])
def test_what_json_has_not_is_a_failure_of_the_model(piece: Any) -> None:
    with pytest.raises(ModelFailed, match="JSON cannot hold"):
        plain_piece(piece)


def test_a_piece_in_itself_is_a_failure_of_the_model() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(ModelFailed, match="nests deeper"):
        plain_piece(endless)
