"""What runs read and made, from SQL: datasets and logged models, for many runs at once.

Called by ``tracking.sql_run_contents`` and ``sql_store``, inside their snapshot or transaction.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import CompoundSelect, Connection, Row, select, union

from tracking.chunks import chunks
from tracking.errors import InvalidRequest
from tracking.schema import datasets, run_datasets, run_model_inputs, run_outputs
from tracking.sql_experiments import find_number
from tracking.sql_lists import is_among, listed
from tracking.sql_reading import fetch
from tracking.wire import (
    Dataset,
    DatasetInput,
    DatasetSummary,
    ModelInput,
    ModelOutput,
    RunInputs,
    RunOutputs,
    Tag,
)

CONTEXT_TAG = "mlflow.data.context"
_MOST_EXPERIMENTS = 20
_MOST_SUMMARIES = 1_000


def find_linked(connection: Connection, run_ids: Sequence[str]) -> list[str]:
    """Return which of these runs read or made anything: most did not, and need no more asking."""
    statement = _linked(connection.dialect.name)
    return [run_id for (run_id,) in fetch(connection, statement, listed(connection, run_ids))]


def read_inputs(connection: Connection, run_ids: Sequence[str]) -> dict[str, RunInputs]:
    """Return what each of these runs read; runs that read nothing are left out."""
    read: dict[str, RunInputs] = {}
    for run_id, dataset in _datasets(connection, run_ids):
        read.setdefault(run_id, RunInputs(dataset_inputs=[], model_inputs=[]))
        read[run_id].dataset_inputs.append(dataset)
    for run_id, model in _models(connection, run_ids):
        read.setdefault(run_id, RunInputs(dataset_inputs=[], model_inputs=[]))
        read[run_id].model_inputs.append(model)
    return read


def read_outputs(connection: Connection, run_ids: Sequence[str]) -> dict[str, RunOutputs]:
    """Return what each of these runs made; runs that made nothing are left out."""
    made: dict[str, RunOutputs] = {}
    table = run_outputs.c
    for chunk in chunks(run_ids):
        statement = select(run_outputs).where(table.run_id.in_(chunk))
        for row in connection.execute(statement.order_by(table.step, table.model_id)):
            outputs = made.setdefault(row.run_id, RunOutputs(model_outputs=[]))
            outputs.model_outputs.append(ModelOutput(model_id=row.model_id, step=row.step))
    return made


def summarize_datasets(
    connection: Connection, experiment_ids: Sequence[str]
) -> list[DatasetSummary]:
    """Return what runs of these experiments read, once for each context.

    Raises:
        InvalidRequest: No experiment is named, or too many are.
    """
    numbers = [find_number(experiment_id) for experiment_id in _checked(experiment_ids)]
    statement = (
        select(datasets.c.experiment_id, datasets.c.name, datasets.c.digest, run_datasets.c.context)
        .join(run_datasets, datasets.c.dataset_id == run_datasets.c.dataset_id)
        .where(datasets.c.experiment_id.in_([number for number in numbers if number is not None]))
        .distinct()
        .order_by(datasets.c.experiment_id, datasets.c.name, datasets.c.digest)
        .limit(_MOST_SUMMARIES)
    )
    return [
        DatasetSummary(
            experiment_id=str(row.experiment_id),
            name=row.name,
            digest=row.digest,
            context=row.context,
        )
        for row in connection.execute(statement)
    ]


@cache
def _linked(dialect: str) -> CompoundSelect[Any]:
    return union(
        *(
            select(table.c.run_id).where(is_among(dialect, table.c.run_id))
            for table in (run_datasets, run_model_inputs, run_outputs)
        )
    )


def _checked(experiment_ids: Sequence[str]) -> Sequence[str]:
    if not 1 <= len(experiment_ids) <= _MOST_EXPERIMENTS:
        raise InvalidRequest(
            f"SearchDatasets takes 1 to {_MOST_EXPERIMENTS} experiment_ids, not"
            f" {len(experiment_ids)}. Name them."
        )
    return experiment_ids


def _datasets(connection: Connection, run_ids: Sequence[str]) -> list[tuple[str, DatasetInput]]:
    joined = select(run_datasets.c.run_id, run_datasets.c.tags, datasets).join(
        datasets, datasets.c.dataset_id == run_datasets.c.dataset_id
    )
    return [
        (row.run_id, _to_input(row))
        for chunk in chunks(run_ids)
        for row in connection.execute(
            joined.where(run_datasets.c.run_id.in_(chunk)).order_by(datasets.c.dataset_id)
        )
    ]


def _models(connection: Connection, run_ids: Sequence[str]) -> list[tuple[str, ModelInput]]:
    table = run_model_inputs.c
    return [
        (row.run_id, ModelInput(model_id=row.model_id))
        for chunk in chunks(run_ids)
        for row in connection.execute(
            select(run_model_inputs).where(table.run_id.in_(chunk)).order_by(table.model_id)
        )
    ]


def _to_input(row: Row[Any]) -> DatasetInput:
    tags: dict[str, str] = msgspec.json.decode(row.tags, type=dict[str, str])
    return DatasetInput(
        dataset=Dataset(
            name=row.name,
            digest=row.digest,
            source_type=row.source_type,
            source=row.source,
            schema=row.schema,
            profile=row.profile,
        ),
        tags=[Tag(key=key, value=value) for key, value in tags.items()],
    )
