"""What every tracking store tells of many runs at once: points, samples of curves, datasets."""

import itertools
import math
from collections.abc import Iterator

import pytest

from tests.contracts.test_tracking_store import KINDS, opened
from tracking.errors import InvalidRequest
from tracking.store import TrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    Dataset,
    DatasetInput,
    DatasetSummary,
    LogBatch,
    LogInputs,
    Metric,
    SearchRuns,
    Tag,
)

UNKNOWN = "f" * 32
MANY = 1_000


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Iterator[TrackingStore]:
    with opened(request, "tracking_server") as store:
        yield store


def start(store: TrackingStore, *values: float | str) -> str:
    """Start a run that logged these values, one a step."""
    run_id = store.create_run(CreateRun()).info.run_id
    points = [
        Metric(key="loss", value=value, timestamp=1, step=step) for step, value in enumerate(values)
    ]
    if points:
        store.log_batch(LogBatch(run_id=run_id, metrics=points))
    return run_id


def sampled(store: TrackingStore, run_id: str, max_results: int) -> dict[int, float]:
    points = store.sample_history([run_id], "loss", max_results=max_results)
    assert [p.step for p in points] == sorted(p.step or 0 for p in points)
    return {p.step or 0: float(p.value) for p in points}


def test_points_of_many_runs_come_by_run_and_time(store: TrackingStore) -> None:
    first, second = sorted([start(store, 3.0, 1.0), start(store, 2.0, "NaN")])

    points = store.bulk_history([second, first, UNKNOWN], "loss")

    assert [(p.run_id, p.step) for p in points] == [
        (first, 0), (first, 1), (second, 0), (second, 1),
    ]  # fmt: skip
    assert store.bulk_history([second, first], "loss", max_results=3) == points[:3]
    assert store.bulk_history([UNKNOWN], "loss") == []


@pytest.mark.parametrize("count", [0, 101])
def test_a_number_of_runs_out_of_range_is_refused(store: TrackingStore, count: int) -> None:
    for ask in (store.bulk_history, store.sample_history):
        with pytest.raises(InvalidRequest):
            ask([UNKNOWN] * count, "loss")


def test_a_short_curve_is_told_whole(store: TrackingStore) -> None:
    short, other = start(store, 1.0, "NaN", 3.0), start(store, 5.0)

    points = store.sample_history([other, short], "loss", max_results=3)

    assert [(p.run_id, p.step, p.value) for p in points] == [
        (other, 0, 5.0), (short, 0, 1.0), (short, 1, "NaN"), (short, 2, 3.0),
    ]  # fmt: skip


@pytest.mark.parametrize("most", [4, 10, 99, 100, 999])
@pytest.mark.parametrize("spike", [1, 500, 998])
def test_a_long_curve_keeps_its_ends_and_its_spikes(
    store: TrackingStore, most: int, spike: int
) -> None:
    values = [math.sin(step / 50) for step in range(MANY)]
    values[spike], values[MANY - 1 - spike] = 1_000.0, -1_000.0
    run_id = start(store, *values)

    points = sampled(store, run_id, most)

    assert {0, spike, MANY - 1 - spike, MANY - 1} <= points.keys()
    assert len(points) == most
    assert all(values[step] == value for step, value in points.items())


def test_a_sample_is_spread_over_the_curve(store: TrackingStore) -> None:
    run_id = start(store, *map(float, range(MANY)))

    steps = sorted(sampled(store, run_id, 102))

    gaps = [after - before for before, after in itertools.pairwise(steps)]
    assert len(steps) == 102
    assert max(gaps) <= 20


def test_nan_is_neither_low_nor_high_in_a_sample(store: TrackingStore) -> None:
    run_id = start(store, *["NaN" if step % 3 != 1 else float(step % 7) for step in range(MANY)])

    points = store.sample_history([run_id], "loss", max_results=4)

    assert [p.value for p in points] == ["NaN", 0.0, 6.0, "NaN"]


@pytest.mark.parametrize(
    ("most", "steps"), [(1, [6]), (2, [0, 6]), (3, [0, 2, 5, 6]), (4, [0, 2, 5, 6])]
)
def test_small_samples_are_the_ends_and_the_extremes(
    store: TrackingStore, most: int, steps: list[int]
) -> None:
    run_id = start(store, 0.5, 0.5, 1.0, 0.5, 0.5, 0.0, 0.5)

    assert sorted(sampled(store, run_id, most)) == steps


@pytest.mark.parametrize("most", [5, 100, 101, 320, 999])
def test_a_curve_with_few_spikes_is_filled_up(store: TrackingStore, most: int) -> None:
    run_id = start(store, *[1.0] * MANY)

    steps = sorted(sampled(store, run_id, most))

    assert len(steps) == most
    assert max(b - a for a, b in itertools.pairwise(steps)) <= 3 * MANY / most


def test_a_sample_looks_at_the_steps_it_is_asked_for(store: TrackingStore) -> None:
    run_id = start(store, *map(float, range(20)))

    points = store.sample_history([run_id], "loss", start_step=5, end_step=8)

    assert [p.step for p in points] == [5, 6, 7, 8]


@pytest.mark.parametrize(
    "asked",
    [
        {"max_results": 0},
        {"max_results": 2_501},
        {"start_step": 1},
        {"end_step": 1},
        {"start_step": 2, "end_step": 1},
    ],
)
def test_a_sample_that_cannot_be_taken_is_refused(
    store: TrackingStore, asked: dict[str, int]
) -> None:
    run_id = start(store, 1.0)

    with pytest.raises(InvalidRequest):
        store.sample_history([run_id], "loss", **asked)


def read(store: TrackingStore, experiment_id: str, name: str, context: str | None) -> str:
    run_id = store.create_run(CreateRun(experiment_id=experiment_id)).info.run_id
    tags = [Tag(key="mlflow.data.context", value=context)] if context else []
    dataset = Dataset(name=name, digest="d", source_type="local", source="{}")
    given = DatasetInput(dataset=dataset, tags=tags)
    store.log_inputs(LogInputs(run_id=run_id, datasets=[given]))
    return run_id


def test_datasets_are_summed_up_by_experiment_and_context(store: TrackingStore) -> None:
    other = store.create_experiment(CreateExperiment(name="other"))
    for context in ("train", "train", "test", None):
        read(store, "0", "iris", context)
    read(store, other, "wine", "train")

    found = store.search_datasets(["0", "17", "x"])
    everything = store.search_datasets(["0", other])

    iris = {DatasetSummary(experiment_id="0", name="iris", digest="d", context=context)
            for context in ("train", "test", None)}  # fmt: skip
    wine = DatasetSummary(experiment_id=other, name="wine", digest="d", context="train")
    assert (set(found), len(found)) == (iris, 3)
    assert set(everything) == {*iris, wine}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("datasets.name = 'iris'", ["train", "test", "none"]),
        ("dataset.context = 'train'", ["train"]),
        ("datasets.context != 'train'", ["test"]),
        ("datasets.name LIKE 'w%' AND dataset.digest = 'd'", ["wine"]),
        ("datasets.name IN ('wine', 'rice')", ["wine"]),
        ("datasets.name ILIKE 'IR%' AND datasets.context ILIKE 'TE%'", ["test"]),
        ("datasets.name = 'rice'", []),
    ],
)
def test_runs_are_searched_by_what_they_read(
    store: TrackingStore, wanted: str, found: list[str]
) -> None:
    runs = {
        read(store, "0", "iris", "train"): "train",
        read(store, "0", "iris", "test"): "test",
        read(store, "0", "iris", None): "none",
        read(store, "0", "wine", None): "wine",
    }

    page = store.search_runs(SearchRuns(experiment_ids=["0"], filter=wanted))

    assert {runs[run.info.run_id] for run in page.runs} == set(found)


@pytest.mark.parametrize(
    "wanted", ["datasets.size = 'x'", "datasets.name = 5", "datasets.name > 'a'"]
)
def test_a_filter_that_no_dataset_fits_is_refused(store: TrackingStore, wanted: str) -> None:
    with pytest.raises(InvalidRequest):
        store.search_runs(SearchRuns(experiment_ids=["0"], filter=wanted))


@pytest.mark.parametrize("count", [0, 21])
def test_a_number_of_experiments_out_of_range_is_refused(store: TrackingStore, count: int) -> None:
    with pytest.raises(InvalidRequest):
        store.search_datasets(["0"] * count)
