"""What a run reads and makes is written in few statements, however much it is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, event

from tests.contracts.test_tracking_store import opened
from tracking.store import TrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    Dataset,
    DatasetInput,
    LogInputs,
    LogOutputs,
    ModelInput,
    ModelOutput,
    Tag,
)

MANY = 900


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[TrackingStore]:
    with opened(request, "tracking_server") as store:
        yield store


@contextmanager
def counted() -> Iterator[list[str]]:
    """Collect the statements that go through SQLAlchemy, row by row where they go so."""
    told: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def outputs(store: TrackingStore, run_id: str, number: int) -> None:
    models = [ModelOutput(model_id=f"m-{place}", step=place) for place in range(number)]
    store.log_outputs(LogOutputs(run_id=run_id, models=models))


def inputs(store: TrackingStore, run_id: str, number: int) -> None:
    models = [ModelInput(model_id=f"m-{place}") for place in range(number)]
    store.log_inputs(LogInputs(run_id=run_id, models=models))


def datasets(store: TrackingStore, run_id: str, number: int) -> None:
    read = [DatasetInput(dataset=Dataset(name=f"d{n}", digest="1")) for n in range(number)]
    store.log_inputs(LogInputs(run_id=run_id, datasets=read))


def experiment_tags(store: TrackingStore, run_id: str, number: int) -> None:
    tags = [Tag(key=f"t{place}", value="v") for place in range(number)]
    store.create_experiment(CreateExperiment(name=f"{run_id} {uuid4()}", tags=tags))


@pytest.mark.parametrize("log", [outputs, inputs, datasets, experiment_tags])
def test_a_long_list_takes_no_more_statements_than_a_short_one(
    store: TrackingStore, log: Callable[[TrackingStore, str, int], None]
) -> None:
    run_id = store.create_run(CreateRun()).info.run_id

    with counted() as for_few:
        log(store, run_id, 3)
    with counted() as for_many:
        log(store, run_id, MANY)

    assert len(for_many) == len(for_few)


def test_of_what_is_named_twice_the_last_step_and_the_first_dataset_count(
    store: TrackingStore,
) -> None:
    run_id = store.create_run(CreateRun()).info.run_id
    made = [ModelOutput(model_id="m-1", step=step) for step in (3, 1)]
    first, again = (Dataset(name="d", digest="1", source_type=kind) for kind in ("a", "b"))
    other = Dataset(name="d", digest="2")
    read = [
        DatasetInput(dataset=first, tags=[Tag(key="k", value="1")]),
        DatasetInput(dataset=other),
        DatasetInput(dataset=again, tags=[Tag(key="k", value="2")]),
    ]

    store.log_outputs(LogOutputs(run_id=run_id, models=made))
    store.log_inputs(LogInputs(run_id=run_id, datasets=read))

    run = store.run(run_id)
    assert run.outputs is not None
    assert run.inputs is not None
    assert run.outputs.model_outputs == [ModelOutput(model_id="m-1", step=1)]
    assert run.inputs.dataset_inputs == read[:2]
