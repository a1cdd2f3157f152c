"""Who waits for a model's process: a real slow model, which writes down whom it was asked for."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from prometheus_client import Gauge

from gateway.overload_settings import OverloadSettings
from gateway.queue_metrics import CONCURRENCY_LIMIT, QUEUE_AGE, QUEUE_DEPTH
from gateway.serving.admission import Bounds, Shed
from gateway.serving.callers import CALLER, Caller, Priority
from gateway.serving.concurrency import adaptive, fixed
from gateway.serving.failure import Overloaded
from gateway.serving.launch import Ground, RunnerLimits
from gateway.serving.pacing import Pacing, QueueLimits, queue_limits
from gateway.serving.progress import Progress
from gateway.serving.runner import Runner, start_runner
from registry.route import VersionKey
from registry.tensors import Prediction
from tests.gateway.serving import specimens as sp
from tracking.errors import DeadlineExceeded, StagedoorError

EXAMPLE = np.array([[-1.0]])
PATIENT = Bounds(max_waiting=1000, max_queue_s=60.0, standing_s=60.0)
SOON_S = 0.2

Asked = asyncio.Task[Prediction]
Told = TypeVar("Told")


@asynccontextmanager
async def serving(
    tmp_path: Path, queue: QueueLimits, *, call_s: float = 0.0, row_s: float = 0.0
) -> AsyncIterator[tuple[Runner, sp.Diary]]:
    """Start a runner with a ``Diarist``; give it and the diary."""
    diary = sp.Diary(tmp_path / "diary")
    model = sp.Diarist(diary.path, call_s=call_s, row_s=row_s)
    folder = sp.save(tmp_path / "model", model, example=EXAMPLE)
    limits = RunnerLimits(load_timeout_s=60.0, predict_timeout_s=60.0, warm_calls=1, queue=queue)
    key = VersionKey(tmp_path.name, 1, "")

    def start() -> Runner:
        return start_runner(
            key, folder, limits=limits, ground=Ground(tmp_path), progress=Progress()
        )

    runner = await asyncio.to_thread(start)
    await runner.attach(lambda _: None)
    try:
        yield runner, diary
    finally:
        await asyncio.to_thread(runner.close)


class Stage:
    """One runner for several stories, on an event loop that goes on between them."""

    def __init__(self, folder: Path, queue: QueueLimits, *, row_s: float = 0.0) -> None:
        self.model = folder.name
        self.loop = asyncio.new_event_loop()
        self._serving = serving(folder, queue, row_s=row_s)
        self.runner, self.diary = self.play(self._serving.__aenter__())

    def play(self, story: Coroutine[Any, Any, Told]) -> Told:
        return self.loop.run_until_complete(story)

    def close(self) -> None:
        self.play(self._serving.__aexit__(None, None, None))
        self.loop.close()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everybody may wait, however long."""
    stage = Stage(tmp_path_factory.mktemp("patient"), QueueLimits(PATIENT))
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Nobody may wait for long; a row takes 50 ms."""
    bounds = Bounds(max_waiting=1000, max_queue_s=0.3, standing_s=0.1)
    folder = tmp_path_factory.mktemp("strict")
    stage = Stage(folder, QueueLimits(bounds, target_s=0.05), row_s=0.05)
    yield stage
    stage.close()


def ask_as(caller: Caller, runner: Runner, row: float) -> Asked:
    token = CALLER.set(caller)
    try:
        return ask(runner, row)
    finally:
        CALLER.reset(token)


def ask(runner: Runner, row: float, *, within_s: float = math.inf) -> Asked:
    deadline_s = time.monotonic() + within_s
    return asyncio.ensure_future(runner.predict(sp.matrix((row,)), {}, deadline_s))


async def occupy(runner: Runner, diary: sp.Diary, row: float) -> Asked:
    """Have a row in a call that does not end before the diary is opened."""
    diary.shut()
    asked = ask(runner, row)
    assert await sp.eventually(lambda: row in diary.rows())
    return asked


async def outcomes(asked: list[Asked]) -> list[object]:
    """Return numbers; of refusals the reason, of errors the code."""
    found: list[object] = []
    for one in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(one, Overloaded):
            found.append(one.shed)
        elif isinstance(one, StagedoorError):
            found.append(one.code)
        else:
            found.append(one if isinstance(one, BaseException) else one.arrays[0].tolist())
    return found


def value_of(gauge: Gauge, model: str) -> float:
    return sum(
        sample.value
        for metric in gauge.collect()
        for sample in metric.samples
        if sample.labels["model"] == model
    )


def test_the_queue_goes_by_priority_and_by_turns(patient: Stage) -> None:
    noisy, quiet = Caller("noisy"), Caller("quiet")
    batch, critical = Caller("noisy", Priority.BATCH), Caller("noisy", Priority.CRITICAL)

    async def story() -> list[object]:
        first = await occupy(patient.runner, patient.diary, 300.0)
        callers = [batch, noisy, noisy, noisy, quiet, critical]
        waiting = [ask_as(one, patient.runner, 301.0 + n) for n, one in enumerate(callers)]
        await asyncio.sleep(0)
        patient.diary.open()
        return await outcomes([first, *waiting])

    answers = patient.play(story())

    assert len(answers) == 7
    asked = [row for call in patient.diary.calls() for row in call if 300 < row < 310]
    assert asked == [306.0, 302.0, 305.0, 303.0, 304.0, 301.0]


def test_whose_time_ends_in_the_queue_is_told_so_then_and_is_never_executed(
    patient: Stage,
) -> None:
    async def story() -> list[object]:
        first = await occupy(patient.runner, patient.diary, 10.0)
        late = [ask(patient.runner, 11.0 + n, within_s=SOON_S) for n in range(3)]
        gone = await outcomes([*late, ask(patient.runner, 14.0, within_s=-1.0)])
        assert not first.done()
        patient.diary.open()
        return gone + await outcomes([first, ask(patient.runner, 15.0)])

    answers = patient.play(story())

    assert answers == [Shed.LATE] * 4 + [[20.0], [30.0]]
    assert [row for row in patient.diary.rows() if 10 <= row < 20] == [10.0, 15.0]


def test_whose_time_ends_in_a_call_is_told_so_and_the_others_get_their_answers(
    patient: Stage,
) -> None:
    async def story() -> list[object]:
        first = await occupy(patient.runner, patient.diary, 20.0)
        patient.diary.open()
        await outcomes([first])
        patient.diary.shut()
        hasty, calm = ask(patient.runner, 21.0, within_s=0.5), ask(patient.runner, 22.0)
        late = await outcomes([hasty])
        patient.diary.open()
        return late + await outcomes([calm, ask(patient.runner, 23.0)])

    assert patient.play(story()) == [DeadlineExceeded.code, [44.0], [46.0]]


def test_who_leaves_the_queue_is_never_executed(patient: Stage) -> None:
    def waiting(count: int) -> Callable[[], bool]:
        return lambda: value_of(QUEUE_DEPTH, patient.model) == count

    async def story() -> list[object]:
        first = await occupy(patient.runner, patient.diary, 30.0)
        leaving, staying = ask(patient.runner, 31.0), ask(patient.runner, 32.0)
        assert await sp.eventually(waiting(2))
        leaving.cancel()
        assert await sp.eventually(waiting(1))
        patient.diary.open()
        return await outcomes([first, staying])

    answers = patient.play(story())

    assert answers == [[60.0], [64.0]]
    assert [row for row in patient.diary.rows() if 30 <= row < 40] == [30.0, 32.0]
    assert value_of(CONCURRENCY_LIMIT, patient.model) == 1024


def test_who_would_wait_too_long_is_refused_at_once_and_told_when_to_come_back(
    strict: Stage,
) -> None:
    async def story() -> tuple[list[Overloaded], list[object]]:
        first = await occupy(strict.runner, strict.diary, 1.0)
        asked = [ask(strict.runner, 2.0) for _ in range(20)]
        await asyncio.sleep(0)
        # Nothing can have been answered yet.
        refused = [one.exception() for one in asked if one.done()]
        strict.diary.open()
        await outcomes(asked)
        later = await outcomes([first, ask(strict.runner, 3.0)])
        return [one for one in refused if isinstance(one, Overloaded)], later

    refused, later = strict.play(story())

    assert len(refused) >= 13
    assert {one.shed for one in refused} == {Shed.WAIT}
    assert min(one.retry_after_s for one in refused) > 0.05
    assert later == [[2.0], [6.0]]


def test_who_has_waited_longer_than_foreseen_is_let_go(strict: Stage) -> None:
    async def story() -> list[object]:
        first = await occupy(strict.runner, strict.diary, 10.0)
        waiting = ask(strict.runner, 11.0)
        assert await sp.eventually(lambda: value_of(QUEUE_AGE, strict.model) > 0.0)
        gone = await outcomes([waiting])
        strict.diary.open()
        told = gone + await outcomes([first])
        assert await sp.eventually(lambda: value_of(QUEUE_AGE, strict.model) == 0.0)
        return told

    answers = strict.play(story())

    assert answers == [Shed.WAITED, [20.0]]
    assert [row for row in strict.diary.rows() if 10 <= row < 20] == [10.0]
    assert value_of(QUEUE_DEPTH, strict.model) == 0.0


@pytest.mark.parametrize(
    ("call_s", "row_s", "least", "most"),
    [(0.0, 0.02, 1, 10), (0.03, 0.0, 10, 60)],
    ids=["each row costs", "each call costs"],
)
def test_as_many_rows_go_together_as_the_model_takes_well(
    tmp_path: Path, call_s: float, row_s: float, least: int, most: int
) -> None:
    async def main() -> int:
        queue = QueueLimits(PATIENT, target_s=0.1)
        async with serving(tmp_path, queue, call_s=call_s, row_s=row_s) as (runner, diary):
            answers = await outcomes([ask(runner, float(n)) for n in range(60)])
            assert answers == [[2.0 * n] for n in range(60)]
            return max(map(len, diary.calls()))

    assert least <= asyncio.run(main()) <= most


def test_the_limit_of_requests_in_a_call_finds_itself() -> None:
    pacing = Pacing(QueueLimits(PATIENT, concurrency=adaptive(50)), max_rows=1000)
    before = pacing.max_requests

    for _ in range(3):
        pacing.begin(1)
        pacing.end()

    assert before < pacing.max_requests <= 50


def test_queues_are_held_by_the_settings() -> None:
    overload = OverloadSettings(max_queue_ms=500, standing_ms=50, max_waiting=7, max_call_ms=20)

    limits = queue_limits(overload)

    assert limits == QueueLimits(Bounds(7, 0.5, 0.05), 0.02, fixed(1024))
    assert queue_limits(OverloadSettings(concurrency="adaptive")).concurrency == adaptive(1024)
