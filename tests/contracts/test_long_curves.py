"""A sample of a long curve is what a look at all of its points allows, however they came."""

import itertools
import math
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.contracts.test_tracking_store import opened
from tracking.sql_buckets import LONG
from tracking.store import TrackingStore
from tracking.wire import CreateRun, LogBatch, Metric

MANY = LONG + 1_100
BATCH = 1_000
SOME = 3

Point = tuple[int, int, float]
"""Step, timestamp, value; NaN is a number here that is unequal to itself."""


def walk(number: int) -> float:
    return math.sin(number / 300) + (50.0 if number % 1_811 == 7 else 0.0)


def in_order(_: Random) -> list[Point]:
    return [(number, number // 2, walk(number)) for number in range(MANY)]


def at_random(chance: Random) -> list[Point]:
    points = [(number - MANY // 2, 5 * number, walk(number)) for number in range(MANY)]
    chance.shuffle(points)
    return points


def without_steps(_: Random) -> list[Point]:
    return [(0, number, walk(number)) for number in range(MANY)]


def at_one_moment(_: Random) -> list[Point]:
    return [(1_000 * number, 9, walk(number)) for number in range(MANY)]


def with_holes(_: Random) -> list[Point]:
    holes = (range(500), range(2_000, 4_000))
    return [
        (number, number, math.nan if any(number in hole for hole in holes) else walk(number))
        for number in range(MANY)
    ]


def of_holes(_: Random) -> list[Point]:
    return [(number, number, math.nan) for number in range(MANY)]


def from_two_writers(_: Random) -> list[Point]:
    return [(number // 2, number, -walk(number) if number % 2 else 1e300) for number in range(MANY)]


def backwards(_: Random) -> list[Point]:
    return [(-number, number, math.inf if number == 77 else walk(number)) for number in range(MANY)]


CURVES: list[Callable[[Random], list[Point]]] = [
    in_order, at_random, with_holes, without_steps, at_one_moment, of_holes, from_two_writers,
    backwards,
]  # fmt: skip


class Logged(Struct, frozen=True):
    """A run with all curves, and the points of each in its order."""

    store: TrackingStore
    run_id: str
    curves: dict[str, list[Point]]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def logged(request: pytest.FixtureRequest) -> Iterator[Logged]:
    with opened(request, "searched_server") as store:
        run_id, chance = store.create_run(CreateRun()).info.run_id, Random(3)
        curves = {}
        made = CURVES if request.param == "sqlite" else CURVES[:SOME]
        for make in made:
            points = make(chance)
            log_with_retries(store, run_id, make.__name__, points)
            curves[make.__name__] = sorted((s, t, kept(v)) for s, t, v in points)
        yield Logged(store, run_id, curves)


def kept(value: float) -> float:
    return math.copysign(1.7976931348623157e308, value) if math.isinf(value) else value


def log_with_retries(store: TrackingStore, run_id: str, key: str, points: list[Point]) -> None:
    """Log all points, some batches twice, and some that overlap the one before."""
    for start in range(0, len(points), BATCH):
        batches = [points[start : start + BATCH]]
        if start % (2 * BATCH) == 0:
            batches += [batches[0], points[max(0, start - 100) : start + BATCH - 100]]
        for batch in batches:
            metrics = [
                Metric(key=key, value="NaN" if math.isnan(v) else v, timestamp=t, step=s)
                for s, t, v in batch
            ]
            store.log_batch(LogBatch(run_id=run_id, metrics=metrics))


def is_number(point: Point) -> bool:
    return not math.isnan(point[2])


def identity(point: Point) -> tuple[int, int, str]:
    return point[0], point[1], repr(point[2])


def sampled(logged: Logged, name: str, most: int, steps: tuple[int, int] | None) -> list[Point]:
    start, end = steps or (None, None)
    points = logged.store.sample_history(
        [logged.run_id], name, max_results=most, start_step=start, end_step=end
    )
    return [(p.step or 0, p.timestamp, float(p.value)) for p in points]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    number=st.integers(0, len(CURVES) - 1),
    most=st.sampled_from([1, 2, 3, 4, 5, 7, 16, 40, 100, 320, 2_500]),
    shares=st.none() | st.tuples(st.floats(-0.1, 1.1), st.floats(-0.1, 1.1)),
)
def test_a_sample_has_the_ends_and_the_extremes_and_nothing_else(
    logged: Logged,
    number: int,
    most: int,
    shares: tuple[float, float] | None,
) -> None:
    name = list(logged.curves)[number % len(logged.curves)]
    everything = logged.curves[name]
    low, high = everything[0][0], everything[-1][0]
    steps = None
    if shares is not None:
        start, end = sorted(low + int(share * (high - low)) for share in shares)
        steps = start, end
    there = [p for p in everything if steps is None or steps[0] <= p[0] <= steps[1]]

    found = sampled(logged, name, most, steps)

    places = {identity(point): place for place, point in enumerate(there)}
    shown = [places.get(identity(point)) for point in found]
    assert None not in shown, "a point that was never logged, or lies elsewhere"
    assert shown == sorted({place for place in shown if place is not None})
    assert len(found) <= (4 if most == 3 else most)
    if len(there) <= most:
        assert len(found) == len(there)
    elif most <= 2:
        assert shown == [0, len(there) - 1][-most:]
    else:
        numbers = [point[2] for point in there if is_number(point)]
        told = [point[2] for point in found if is_number(point)]
        assert {0, len(there) - 1} <= set(shown)
        assert not numbers or (min(numbers), max(numbers)) == (min(told), max(told))
        assert len(found) >= 0.5 * most


@pytest.mark.parametrize("most", [100, 320])
def test_a_sample_is_spread_over_a_long_curve(logged: Logged, most: int) -> None:
    for name in logged.curves.keys() - {at_random.__name__, of_holes.__name__}:
        everything = logged.curves[name]
        places = {identity(point): place for place, point in enumerate(everything)}

        shown = [places[identity(point)] for point in sampled(logged, name, most, None)]

        gaps = [after - before for before, after in itertools.pairwise(shown)]
        assert len(shown) == most
        assert max(gaps) < 16 * len(everything) / most


@pytest.mark.parametrize("most", [4, 5, 7, 40])
def test_a_few_points_of_a_long_curve_are_told_whole(logged: Logged, most: int) -> None:
    everything = logged.curves[in_order.__name__]

    found = sampled(logged, in_order.__name__, most, (1_001, 1_000 + most))

    assert found == everything[1_001 : 1_001 + most]


def test_all_points_are_told_once(logged: Logged) -> None:
    for name, everything in logged.curves.items():
        found: list[Point] = []
        token: str | None = None
        while True:
            page = logged.store.metric_history(logged.run_id, name, page_token=token)
            found += [(p.step or 0, p.timestamp, float(p.value)) for p in page.metrics]
            token = page.next_page_token
            if token is None:
                break

        assert sorted(map(identity, found)) == sorted(map(identity, everything))
