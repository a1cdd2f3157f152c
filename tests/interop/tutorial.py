"""The tutorial of MLflow's users, run by the real client in an environment of its own.

Called as ``tutorial.py <answers.json>``; the server's URI is in the environment, as users have it.
Clients of 2.x know no logged models: a model is a folder of its run, and nothing else differs.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException
from requests import HTTPError
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

HAS_LOGGED_MODELS = not mlflow.__version__.startswith("2.")
MODEL = "IrisRF" if HAS_LOGGED_MODELS else "IrisRF2"
NAME = "random_forest_model"
FEATURES, TARGETS = load_iris(return_X_y=True)
ROWS = FEATURES[::30]
SERVED_WITHIN_S = 60.0


def train(folder: Path) -> tuple[str, str, list[int]]:
    """Log and register a model; return the run, the logged model, and what it should answer.

    The logged model is an empty text where the client has none.
    """
    report = folder / "report.txt"
    report.write_text("good", encoding="utf-8")
    mlflow.set_experiment("demo_experiment")
    with mlflow.start_run(run_name="first forest") as run:
        forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(FEATURES, TARGETS)
        mlflow.log_params({"n_estimators": 5, "random_state": 0})
        mlflow.log_metrics({"accuracy": forest.score(FEATURES, TARGETS)})
        for step in range(3):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.set_tag("team", "garden")
        mlflow.log_dict({"classes": [0, 1, 2]}, "classes.json")
        mlflow.log_artifact(str(report))
        mlflow.log_input(mlflow.data.from_numpy(FEATURES, name="iris"), context="training")
        named = {"name": NAME} if HAS_LOGGED_MODELS else {"artifact_path": NAME}
        # The default format of 3.x refuses trees with the skops that comes with it.
        logged = mlflow.sklearn.log_model(
            forest,
            **named,
            input_example=FEATURES[:2],
            pip_requirements=["scikit-learn"],
            registered_model_name=MODEL,
            serialization_format="cloudpickle",
        )
    model_id = logged.model_id if HAS_LOGGED_MODELS else ""
    return run.info.run_id, model_id, forest.predict(ROWS).tolist()


def register(client: MlflowClient, run_id: str) -> None:
    """Make a second version from the run's URI; give both stages, aliases, words."""
    source = f"runs:/{run_id}/{NAME}"
    client.create_model_version(MODEL, source=source, run_id=run_id)
    client.transition_model_version_stage(MODEL, "1", "Production")
    client.transition_model_version_stage(MODEL, "2", "Staging")
    client.transition_model_version_stage(MODEL, "2", "Production", archive_existing_versions=True)
    client.set_registered_model_alias(MODEL, "champion", "2")
    client.update_registered_model(MODEL, description="sorts irises")
    client.update_model_version(MODEL, "2", description="from a run's URI")
    client.set_model_version_tag(MODEL, "2", "validated", "yes")


def look(client: MlflowClient, run_id: str) -> dict[str, Any]:
    """Return what the client is told of everything that was made."""
    run = client.get_run(run_id)
    second = client.get_model_version(MODEL, "2")
    [read] = run.inputs.dataset_inputs
    return {
        "status": run.info.status,
        "params": run.data.params,
        "losses": [point.value for point in client.get_metric_history(run_id, "loss")],
        "artifacts": sorted(file.path for file in client.list_artifacts(run_id)),
        "dataset": [read.dataset.name, read.tags[0].value],
        "first_source": client.get_model_version(MODEL, "1").source,
        "second": [second.source, second.description, second.tags, list(second.aliases)],
        "stages": {
            version.version: version.current_stage
            for version in client.search_model_versions(f"name = '{MODEL}'")
        },
        "models": [
            model.description for model in client.search_registered_models(f"name = '{MODEL}'")
        ],
        "latest": [v.version for v in client.get_latest_versions(MODEL, stages=["Production"])],
    }


def look_at_logged_model(client: MlflowClient, run_id: str, model_id: str) -> dict[str, Any]:
    """Return what the client is told of the logged model."""
    logged = client.get_logged_model(model_id)
    return {
        "outputs": [model.model_id for model in client.get_run(run_id).outputs.model_outputs],
        "logged": [logged.name, logged.status.value, logged.source_run_id],
        "logged_params": logged.params,
        "logged_metrics": sorted((metric.key, metric.step) for metric in logged.metrics),
        "logged_versions": json.loads(logged.tags["mlflow.modelVersions"]),
        "found": [
            model.model_id
            for model in mlflow.search_logged_models(
                filter_string=f"name = '{NAME}' AND metrics.accuracy > 0.5",
                output_format="list",
            )
        ],
    }


def load(run_id: str, model_id: str) -> dict[str, list[int]]:
    """Return what each URI's model answers."""
    uris = [
        f"models:/{MODEL}/Production",
        f"models:/{MODEL}/1",
        f"models:/{MODEL}/2",
        f"models:/{MODEL}@champion",
        f"runs:/{run_id}/{NAME}",
    ]
    if model_id:
        uris.append(f"models:/{model_id}")
    return {uri: mlflow.pyfunc.load_model(uri).predict(ROWS).tolist() for uri in uris}


def fail(client: MlflowClient, run_id: str) -> dict[str, Any]:
    """Return what the client says where the tutorial's troubleshooting begins."""
    told: dict[str, Any] = {"staged": client.get_latest_versions(MODEL, stages=["Staging"])}
    source = f"runs:/{run_id}/{NAME}"
    attempts: dict[str, Callable[[], Any]] = {
        "load": lambda: mlflow.pyfunc.load_model(f"models:/{MODEL}/Staging"),
        "create": lambda: client.create_model_version("Nobody", source=source, run_id=run_id),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except MlflowException as error:
            told[name] = [error.error_code, error.message]
    return told


def deploy() -> list[int]:
    """Ask by the client of deployments, once the model that was promoted is served."""
    client = get_deploy_client(mlflow.get_tracking_uri())
    ends_at = time.monotonic() + SERVED_WITHIN_S
    while True:
        try:
            answer = client.predict(endpoint=MODEL, inputs={"inputs": ROWS.tolist()})
        except HTTPError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.1)
        else:
            return list(answer["predictions"])


def main(answers: Path) -> None:
    """Do all of it and write what was answered."""
    client = MlflowClient()
    run_id, model_id, expected = train(answers.parent)
    register(client, run_id)
    told = {
        "model": MODEL,
        "run_id": run_id,
        "model_id": model_id,
        "rows": ROWS.tolist(),
        "expected": expected,
        "artifacts": client.get_run(run_id).info.artifact_uri,
        "seen": look(client, run_id),
        "logged": look_at_logged_model(client, run_id, model_id) if model_id else {},
        "predictions": load(run_id, model_id),
        "failed": fail(client, run_id),
        "deployed": deploy(),
    }
    answers.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
