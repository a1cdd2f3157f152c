"""Stores made by the real MLflow client, to be imported: one of each kind, with the same in both.

Called as ``mlflow_sources.py <answers.json>`` in a folder: makes ``mlflow.db`` with its files in
``files``, and ``mlruns``; answers what the client reads from each. Then it waits for lines
on standard input, each the URI of another store, and answers what the client reads from that.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    Metric,
    Param,
    RunTag,
)
from sklearn.linear_model import LogisticRegression

from tests.interop.mlflow_reading import describe

HARD = "Ünïcode / экс 🎉 %41"
ROWS = np.array([[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.9, 0.1]])


def make(client: MlflowClient, location: str | None) -> None:
    """Fill a store with something of everything."""
    hard = client.create_experiment(
        HARD, artifact_location=location and f"{location}/hard", tags={"team": "gärten", "a/b": ""}
    )
    parent = make_hard_run(client, hard)
    make_other_runs(client, hard, parent)
    make_models(client, train(location, client), hard)
    gone = client.create_experiment("gone", artifact_location=location and f"{location}/gone")
    client.create_run(gone, run_name="in a deleted experiment")
    client.delete_experiment(gone)
    client.create_run("0", run_name="of Default")


def make_hard_run(client: MlflowClient, experiment: str) -> str:
    """Make a run with values of every kind, and files."""
    made = client.create_run(experiment, start_time=1_600_000_000_000, run_name="hard 🎉")
    run_id: str = made.info.run_id
    values = [0.1, float("nan"), float("inf"), float("-inf"), 1e-300, -0.0, 5e-324]
    points = [Metric("odd/values", value, 1000 + at, at) for at, value in enumerate(values)]
    points += [Metric("loss", 1 / (step + 1), 2000 + step, step) for step in range(300)]
    points += [Metric("back in time", 3.0, 9000, 5), Metric("back in time", 4.0, 8000, -7)]
    client.log_batch(
        run_id,
        metrics=points,
        params=[Param("lr", "0.1"), Param("words", "a\nb 'c' \"d\" é"), Param("nested/one", "")],
        tags=[RunTag("note", "x" * 4000), RunTag("with space", "1"), RunTag("emoji", "🎉")],
    )
    dataset = Dataset("irises", "d1", "local", '{"uri": "x"}', '{"columns": []}', '{"rows": 3}')
    client.log_inputs(
        run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
    )
    client.log_text(run_id, "", "empty.txt")
    client.log_text(run_id, "ä" * 1000, "deep/er/ünï code.txt")
    client.set_terminated(run_id, "FINISHED", end_time=1_600_000_001_234)
    return run_id


def make_other_runs(client: MlflowClient, experiment: str, parent: str) -> None:
    """Make runs in every state."""
    for status in ("FAILED", "KILLED"):
        run_id = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id
        client.log_metric(run_id, "loss", 1.0, step=3)
        client.set_terminated(run_id, status)
    client.create_run(experiment, run_name="running")
    client.delete_run(client.create_run(experiment, run_name="deleted").info.run_id)


def train(location: str | None, client: MlflowClient) -> str:
    """Log a real model, in an experiment of its own, and return its logged model's id."""
    client.create_experiment("training", artifact_location=location and f"{location}/training")
    mlflow.set_experiment("training")
    with mlflow.start_run(run_name="trained"):
        logged = mlflow.sklearn.log_model(
            LogisticRegression().fit(ROWS, [0, 1, 0, 1]),
            name="classifier",
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
            params={"C": 1.0},
        )
        mlflow.log_metric("accuracy", 0.9, step=1, model_id=logged.model_id)
    model_id: str = logged.model_id
    return model_id


def make_models(client: MlflowClient, trained: str, experiment: str) -> None:
    """Register versions in every stage, with gaps, aliases and words."""
    made = client.get_logged_model(trained)
    client.set_logged_model_tags(trained, {"kind": "wörter"})
    client.create_registered_model("Iris RF", tags={"owner": "ann"}, description="sörts irises")
    sources = [f"models:/{trained}", made.artifact_location, f"models:/{trained}"]
    sources += [f"models:/{trained}", f"models:/{trained}", "models:/Iris RF/1"]
    for number, source in enumerate(sources, 1):
        client.create_model_version(
            "Iris RF",
            source,
            run_id=made.source_run_id,
            tags={"n": str(number)},
            description=f"v{number}",
        )
    stages = {"1": "Production", "2": "Production", "3": "Staging", "5": "Archived"}
    for version, stage in stages.items():
        client.transition_model_version_stage("Iris RF", version, stage)
    client.delete_model_version("Iris RF", "4")
    client.set_registered_model_alias("Iris RF", "champion", "2")
    client.set_registered_model_alias("Iris RF", "next_one", "3")
    client.create_registered_model("ohne Versionen", description="")
    reader = client.create_run(experiment, run_name="reads a model").info.run_id
    client.log_inputs(reader, models=[LoggedModelInput(trained)])
    client.set_terminated(reader)


@contextlib.contextmanager
def store(uri: str) -> Iterator[MlflowClient]:
    """Let the client of this process work on a store, for the block."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    yield MlflowClient()


def read(uri: str) -> dict[str, Any]:
    """Return what the client reads from a store."""
    with store(uri) as client:
        return describe(client)


def main() -> None:
    """Make both stores, tell what is in them, and then what is in others."""
    folder = Path.cwd()
    origins = {"sqlite": f"sqlite:///{folder}/mlflow.db", "folder": f"file://{folder}/mlruns"}
    for kind, uri in origins.items():
        with store(uri) as client:
            make(client, f"file://{folder}/files" if kind == "sqlite" else None)
    answer(Path(sys.argv[1]), {kind: read(uri) for kind, uri in origins.items()})
    for line in sys.stdin:
        where, uri = line.strip().split(" ", 1)
        answer(Path(where), read(uri))


def answer(path: Path, told: dict[str, Any]) -> None:
    """Write a file, whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(told), encoding="utf-8")
    unfinished.rename(path)


if __name__ == "__main__":
    main()
