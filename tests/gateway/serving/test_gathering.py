"""Rows that come together go together, and a bad one fails alone."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.serving.admission import Bounds, Shed
from gateway.serving.callers import CALLER, Caller
from gateway.serving.cost import Cost
from gateway.serving.engines.description import Choice, Description, Finish, Linear, Link
from gateway.serving.engines.engine import Engine
from gateway.serving.engines.refusal import Refused
from gateway.serving.failure import Overloaded
from gateway.serving.gathering import Gathering, Limits, measure
from tracking.errors import DeadlineExceeded, ModelFailed, Unavailable

CHEAP = Cost(call_s=1e-6, row_s=1e-8)
LIMITS = Limits(max_rows=1000, bounds=Bounds(4, 10.0, 10.0))


class Counting(Engine):
    """Doubles one column; notes how many rows each call had, and in which thread."""

    def __init__(self) -> None:
        finish = Finish(Link.IDENTITY, Choice.NO_CLASS)
        described = Description(
            "doubling", 1, None, (Linear(),), finish, ("predict",), default_method="predict"
        )
        arrays = {"0.coef": np.array([2.0]), "0.intercept": np.array([0.0])}
        super().__init__(described, arrays)
        self.calls: list[int] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()

    def answer(self, rows: NDArray[Any], method: str) -> NDArray[Any]:
        self.calls.append(len(rows))
        self.threads.add(threading.get_ident())
        self.gate.wait(20)
        if (rows == -1.0).any():
            raise IndexError
        return super().answer(rows, method)


def rows(*values: float) -> NDArray[np.float64]:
    return np.array(values).reshape(-1, 1)


def tell(story: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(story())


async def outcomes(asked: list[Any]) -> list[Any]:
    found = await asyncio.gather(*asked, return_exceptions=True)
    return [one if isinstance(one, BaseException) else one.arrays[0].tolist() for one in found]


def test_rows_of_one_turn_go_in_one_call() -> None:
    engine = Counting()

    async def story() -> list[Any]:
        gathering = Gathering(engine, CHEAP, LIMITS)
        return await outcomes([gathering.ask(rows(n, n + 0.5), "predict") for n in range(5)])

    answers = tell(story)

    assert answers == [[2.0 * n, 2.0 * n + 1] for n in range(5)]
    assert engine.calls == [10]


def test_types_are_not_mixed_and_calls_are_capped() -> None:
    engine = Counting()

    async def story() -> list[Any]:
        gathering = Gathering(engine, CHEAP, Limits(max_rows=3))
        narrow = rows(9.0).astype(np.float32)
        asked: list[Any] = [rows(1.0), narrow, rows(2.0), rows(3.0), rows(4.0), rows(*range(5))]
        return await outcomes([gathering.ask(one, "predict") for one in asked])

    answers = tell(story)

    assert answers == [[2.0], [18.0], [4.0], [6.0], [8.0], [0.0, 2.0, 4.0, 6.0, 8.0]]
    assert engine.calls == [3, 1, 1, 5]


@pytest.mark.parametrize("cost", [CHEAP, Cost(call_s=1.0, row_s=1.0)])
def test_only_bad_rows_fail(cost: Cost) -> None:
    engine = Counting()

    async def story() -> list[Any]:
        gathering = Gathering(engine, cost, Limits(max_rows=1000))
        values = [1.0, np.nan, 2.0, 3.0, np.inf, 4.0]
        found = await outcomes([gathering.ask(rows(v, v), "predict") for v in values])
        gathering.close()
        return [one.message if isinstance(one, ModelFailed) else one for one in found]

    answers = tell(story)

    refused = "The model raised ValueError in 'predict' on these 2 rows."
    assert answers == [[2.0, 2.0], refused, [4.0, 4.0], [6.0, 6.0], refused, [8.0, 8.0]]


def test_an_engine_that_breaks_fails_its_call_and_no_other() -> None:
    engine = Counting()

    async def story() -> list[Any]:
        gathering = Gathering(engine, CHEAP, LIMITS)
        first = await outcomes([gathering.ask(rows(-1.0), "predict")])
        return first + await outcomes([gathering.ask(rows(1.0), "predict")])

    broken, whole = tell(story)

    assert (broken.code, broken.message) == (
        ModelFailed.code,
        "The engine of doubling failed on these rows.",
    )
    assert whole == [2.0]


def test_dear_calls_go_to_a_thread_and_what_comes_meanwhile_goes_together() -> None:
    engine = Counting()
    engine.gate.clear()

    async def story() -> tuple[list[Any], Any]:
        gathering = Gathering(engine, Cost(call_s=0.0, row_s=1e-3), LIMITS)
        asked = [gathering.ask(rows(n, n), "predict") for n in range(5)]
        with pytest.raises(Unavailable, match="4 large requests wait"):
            gathering.ask(rows(0.0, 0.0), "predict")
        engine.gate.set()
        answers = await outcomes(asked)
        gathering.close()
        return answers, threading.get_ident()

    answers, loop_thread = tell(story)

    assert answers == [[2.0 * n, 2.0 * n] for n in range(5)]
    assert engine.calls == [2, 8]
    assert loop_thread not in engine.threads


def test_one_who_fills_the_queue_for_the_thread_makes_room_for_another() -> None:
    engine = Counting()
    engine.gate.clear()

    async def story() -> list[Any]:
        gathering = Gathering(engine, Cost(call_s=0.0, row_s=1e-3), LIMITS)
        CALLER.set(Caller("noisy"))
        asked = [gathering.ask(rows(n, n), "predict") for n in range(5)]
        CALLER.set(Caller("quiet"))
        asked.append(gathering.ask(rows(5.0, 5.0), "predict"))
        engine.gate.set()
        found = await outcomes(asked)
        gathering.close()
        return [one.shed if isinstance(one, Overloaded) else one[0] for one in found]

    assert tell(story) == [0.0, 2.0, 4.0, 6.0, Shed.DISPLACED, 10.0]


def test_who_has_left_is_not_answered() -> None:
    engine = Counting()

    async def story() -> list[Any]:
        gathering = Gathering(engine, CHEAP, LIMITS)
        asked = [gathering.ask(rows(n), "predict") for n in range(3)]
        asked[1].cancel()
        return await outcomes([asked[0], asked[2]])

    assert tell(story) == [[0.0], [4.0]]
    assert engine.calls == [2]


def test_whose_time_ends_while_it_waits_for_the_thread_is_never_answered() -> None:
    engine = Counting()
    engine.gate.clear()

    async def story() -> list[Any]:
        gathering = Gathering(engine, Cost(call_s=0.0, row_s=1e-3), LIMITS)
        hour_s = time.monotonic() + 3600
        first = gathering.ask(rows(1.0, 1.0), "predict", hour_s)
        waiting = gathering.ask(rows(*[5.0] * 7), "predict", time.monotonic() + 0.3)
        gone = await outcomes([waiting])
        assert not first.done()
        engine.gate.set()
        kept = await outcomes([first, gathering.ask(rows(2.0, 2.0), "predict", hour_s)])
        gathering.close()
        return [one.shed for one in gone] + kept

    assert tell(story) == [Shed.LATE, [2.0, 2.0], [4.0, 4.0]]
    assert engine.calls == [2, 2]


def test_whose_time_ends_in_the_thread_is_told_so() -> None:
    engine = Counting()
    engine.gate.clear()

    async def story() -> list[Any]:
        gathering = Gathering(engine, Cost(call_s=0.0, row_s=1e-3), LIMITS)
        late = await outcomes([gathering.ask(rows(1, 1), "predict", time.monotonic() + 0.1)])
        engine.gate.set()
        gathering.close()
        return [type(one) for one in late]

    assert tell(story) == [DeadlineExceeded]


def test_no_more_rows_wait_for_their_turn_than_the_time_allows() -> None:
    engine = Counting()

    async def story() -> tuple[list[Any], Overloaded, list[Any]]:
        bounds = Bounds(max_waiting=1000, max_queue_s=0.01, standing_s=0.01)
        gathering = Gathering(engine, Cost(call_s=0.0, row_s=1e-3), Limits(1000, bounds))
        asked = [gathering.ask(rows(n), "predict") for n in range(11)]
        with pytest.raises(Overloaded) as refused:
            gathering.ask(rows(11.0), "predict")
        before = await outcomes(asked)
        return before, refused.value, await outcomes([gathering.ask(rows(12.0), "predict")])

    before, refused, after = tell(story)

    assert before == [[2.0 * n] for n in range(11)]
    assert (refused.shed, refused.retry_after_s) == (Shed.WAIT, 0.1)
    assert after == [[24.0]]


def test_an_engine_that_refuses_zeros_is_measured_all_the_same() -> None:
    class Refusing(Counting):
        def answer(self, rows: NDArray[Any], method: str) -> NDArray[Any]:
            raise Refused(f"{len(rows)} {method}")

    cost = measure(Refusing())

    assert cost.call_s >= 0
    assert cost.row_s >= 0
