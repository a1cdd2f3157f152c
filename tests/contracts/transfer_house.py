"""A database of ours with its artifacts, filled, written out and brought into."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from registry.sql_store import SqlRegistryStore
from registry.transfer.exporter import export_to
from registry.transfer.importer import import_into
from registry.transfer.opening import open_source
from registry.transfer.own_database import OwnDatabase
from registry.transfer.places import Places
from registry.transfer.selection import Selection
from registry.transfer.tally import Tally
from registry.transfer.target import FileTarget, Target
from registry.wire import CreateModel, CreateVersion, SetAlias, TransitionStage
from tests.registry.transfer.rows import rows_of
from tracking.artifacts import ArtifactStore, open_artifacts
from tracking.database import Database, open_database
from tracking.sql_store import SqlTrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    Dataset,
    DatasetInput,
    LogBatch,
    LogInputs,
    LogOutputs,
    Metric,
    ModelOutput,
    Param,
    Tag,
    UpdateRun,
)
from tracking.wire_models import CreateLoggedModel

IS_PROMPT = Tag(key="mlflow.prompt.is_prompt", value="true")

IRIS = Dataset(name="iris", digest="abc", source_type="local", source="{}", schema="s", profile="p")


class Nobody:
    """Looks on, and does nothing about it."""

    def begin(self, what: str, total: int | None) -> None:
        """Be told."""

    def advance(self, count: int) -> None:
        """Be told."""


class House:
    """A database with artifacts."""

    def __init__(self, uri: str, artifacts: Path | str) -> None:
        self.database: Database = open_database(uri)
        self.artifacts: ArtifactStore = open_artifacts(str(artifacts))
        self.tracking = SqlTrackingStore(self.database)
        self.registry = SqlRegistryStore(self.database, seal=lambda _m, _v: None, actor="ann")

    def bring(self, origin: str | Path, *roots: str, **options: Any) -> Tally:
        """Import from somewhere."""
        source, places = open_source(str(origin), roots)
        selection = options.pop("selection", Selection())
        target = Target(self.database, FileTarget(self.artifacts, **options))
        with closing(source):
            return import_into(target, source, places, selection, Nobody())

    def write_out(self, folder: Path, selection: Selection | None = None) -> Tally:
        """Export everything."""
        source = OwnDatabase(self.database)
        places = Places([], self.artifacts)
        return export_to(folder, source, places, selection or Selection(), Nobody())

    def rows(self) -> dict[str, list[Any]]:
        return rows_of(self.database)

    def files(self) -> dict[str, bytes]:
        return {file.path: self.artifacts.get_bytes(file.path) for file in self.artifacts.walk()}


def furnish(house: House) -> str:
    """Put something of everything into a house, and return its run."""
    experiment = house.tracking.create_experiment(
        CreateExperiment(name="irises ü", tags=[Tag(key="team", value="x")])
    )
    run_id = house.tracking.create_run(CreateRun(experiment_id=experiment)).info.run_id
    values: tuple[float | str, ...] = (1.5, "NaN")
    points = [Metric(key="a/b", value=v, timestamp=1, step=s) for s, v in enumerate(values)]
    house.tracking.log_batch(
        LogBatch(
            run_id=run_id,
            metrics=points,
            params=[Param(key="p", value="1\n2")],
            tags=[Tag(key="t", value="")],
        )
    )
    house.tracking.log_inputs(LogInputs(run_id=run_id, datasets=[DatasetInput(dataset=IRIS)]))
    model = house.tracking.create_logged_model(
        CreateLoggedModel(experiment_id=experiment, name="m", source_run_id=run_id)
    ).info
    point = Metric(key="acc", value=1.0, timestamp=1, step=0, model_id=model.model_id)
    house.tracking.log_batch(LogBatch(run_id=run_id, metrics=[point]))
    house.tracking.log_outputs(
        LogOutputs(run_id=run_id, models=[ModelOutput(model_id=model.model_id, step=2)])
    )
    house.artifacts.put(f"{experiment}/{run_id}/artifacts/a/b.txt", b"b")
    house.artifacts.put(f"{experiment}/models/{model.model_id}/artifacts/MLmodel", b"x")
    register(house, run_id, model.model_id)
    house.tracking.update_run(UpdateRun(run_id=run_id, status="FINISHED", end_time=9))
    deleted = house.tracking.create_run(CreateRun(experiment_id=experiment)).info.run_id
    house.tracking.delete_run(deleted)
    return run_id


def register(house: House, run_id: str, model_id: str) -> None:
    """Register four versions and delete two of them, the last one too."""
    house.registry.create_model(CreateModel(name="A b", tags=[Tag(key="k", value="v")]))
    sources = (f"models:/{model_id}", f"runs:/{run_id}/a", "s3://bucket/m", "dummy-source")
    for source in sources:
        request = CreateVersion(
            name="A b",
            source=source,
            run_id=run_id if source.startswith("runs:") else None,
            model_id=model_id if source.startswith("models:") else None,
            tags=[IS_PROMPT] if source == "dummy-source" else [],
        )
        house.registry.create_version(request)
    house.registry.delete_version("A b", "2")
    house.registry.delete_version("A b", "4")
    house.registry.transition_stage(TransitionStage(name="A b", version="1", stage="Production"))
    house.registry.set_alias(SetAlias(name="A b", alias="best", version="3"))


def reasons(tally: Tally) -> list[str]:
    return [f"{problem.what}: {problem.why}" for problem in tally.problems]


def mlflow_tables(uri: str, *, is_old: bool = False) -> None:
    """Make the tables of MLflow's that an import cannot do without, with a run in them."""
    later = "" if is_old else ", creation_time BIGINT, last_update_time BIGINT"
    run = "a" * 32
    statements = f"""
        CREATE TABLE experiments (experiment_id INTEGER, name TEXT, artifact_location TEXT,
            lifecycle_stage TEXT{later});
        CREATE TABLE runs (run_uuid TEXT, name TEXT, user_id TEXT, status TEXT, start_time BIGINT,
            end_time BIGINT, lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);
        CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT,
            is_nan BOOLEAN);
        CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
        INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)
            VALUES (5, 'old', '', 'active');
        INSERT INTO runs VALUES ('{run}', NULL, NULL, 'FINISHED', 1, 2, 'active', '', 5);
        INSERT INTO tags VALUES ('mlflow.runName', 'named by its tag', '{run}');
        INSERT INTO metrics VALUES ('m', 1.5, 7, '{run}', 0, false);
        INSERT INTO metrics VALUES ('m', 0, 8, '{run}', 1, true)
    """
    engine = create_engine(uri.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for statement in statements.split(";"):
            connection.execute(text(statement))
    engine.dispose()


def odd_tables(path: Path) -> None:
    """Make the same, with what MLflow accepts and nobody here does, each beside something sound."""
    mlflow_tables(f"sqlite:///{path}")
    run, long = "a" * 32, "n" * 300
    sources = (
        f"runs:/{run}/a",
        f"runs:/{run}//a",
        f"runs:/{run}/a%2525b",
        "s3://[bad/m",
        "models:/Later/1",
    )
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            """
            UPDATE runs SET start_time = -5;
            INSERT INTO tags SELECT 'a//b', 'lost', run_uuid FROM runs;
            INSERT INTO tags SELECT 'nul', 'x' || char(0) || 'y', run_uuid FROM runs;
            INSERT INTO metrics SELECT 'm//n', 1, 7, run_uuid, 0, false FROM runs;
            CREATE TABLE datasets (dataset_uuid TEXT, name TEXT, digest TEXT,
                dataset_source_type TEXT, dataset_source TEXT);
            CREATE TABLE inputs (input_uuid TEXT, source_type TEXT, source_id TEXT,
                destination_type TEXT, destination_id TEXT);
            INSERT INTO datasets VALUES ('1', 'iris', 'abc', 's', '{}'), ('2', '', '', 's', '{}');
            INSERT INTO inputs SELECT 'i' || dataset_uuid, 'DATASET', dataset_uuid, 'RUN', run_uuid
                FROM runs, datasets;
            CREATE TABLE registered_models (name TEXT, creation_time BIGINT, description TEXT);
            CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER);
            CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT,
                description TEXT, current_stage TEXT, source TEXT, storage_location TEXT,
                run_id TEXT);
            """
        )
        for name in ("M", long):
            database.execute("INSERT INTO registered_models VALUES (?, 1, ?)", (name, "a\0b"))
            for number, source in enumerate(sources, 1):
                stage = "Production" if number == 1 else "None"
                location = sources[0] if source.startswith("models:") else source
                values = (name, number, -1, None, stage, source, location)
                database.execute(
                    "INSERT INTO model_versions VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", values
                )
            for alias, number in (("best", 2), ("odd", 4)):
                database.execute(
                    "INSERT INTO registered_model_aliases VALUES (?, ?, ?)", (name, alias, number)
                )
