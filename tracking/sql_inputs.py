"""What runs read and made, from SQL: datasets and logged models, for many runs at once.

Called by ``tracking.sql_runs``, inside its snapshot or transaction.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from tracking.chunks import chunks
from tracking.schema import datasets, run_datasets, run_model_inputs, run_outputs
from tracking.wire import (
    Dataset,
    DatasetInput,
    ModelInput,
    ModelOutput,
    RunInputs,
    RunOutputs,
    Tag,
)


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
