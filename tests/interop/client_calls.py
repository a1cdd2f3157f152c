"""Calls of the real client beyond the tutorial, whose answers are compared between two servers.

Called as ``client_calls.py <answers.json>``; the server's URI is in the environment.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

MODEL = "Ünï Modell"


def nested_runs() -> Any:
    """Log a parent and its children, and find them again by their tag."""
    mlflow.set_experiment("nested — 実験")
    with mlflow.start_run(run_name="parent") as parent:
        for depth in (1, 2):
            with mlflow.start_run(run_name=f"child {depth}", nested=True):
                mlflow.log_param("depth", depth)
                mlflow.log_metric("loss", 1 / depth)
    found = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
        order_by=["metrics.loss ASC"],
        output_format="list",
    )
    return [[run.info.run_name, run.data.params, run.data.metrics] for run in found]


def autolog() -> Any:
    """Train under autologging, and tell what it logged."""
    mlflow.set_experiment("autologged")
    mlflow.sklearn.autolog(log_models=False, silent=True)
    features, labels = load_iris(return_X_y=True, as_frame=True)
    with mlflow.start_run(run_name="auto") as run:
        LogisticRegression(max_iter=200).fit(features, labels)
    mlflow.sklearn.autolog(disable=True)
    client = MlflowClient()
    seen = client.get_run(run.info.run_id)
    return {
        "params": seen.data.params,
        "metrics": {name: round(value, 6) for name, value in seen.data.metrics.items()},
        "tags": sorted(tag for tag in seen.data.tags if "git" not in tag),
        "inputs": [
            [entry.dataset.name, entry.dataset.digest, entry.dataset.schema]
            for entry in seen.inputs.dataset_inputs
        ],
        "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
    }


def odd_artifacts() -> Any:
    """Keep files of no bytes and of odd names, and read them again."""
    client = MlflowClient()
    with mlflow.start_run(run_name="files") as run:
        mlflow.log_text("", "empty.txt")
        mlflow.log_text("größe", "ordner ü/datei 1.txt")
        mlflow.log_dict({"a": [1, 2]}, "deep/er/still.json")
        mlflow.log_table({"x": [1, 2]}, "table.json")
    root = Path(client.download_artifacts(run.info.run_id, ""))
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        "content": {path.relative_to(root).as_posix(): path.read_text() for path in files},
        "folder": [[f.path, f.is_dir] for f in client.list_artifacts(run.info.run_id, "deep")],
        "table": mlflow.load_table("table.json", run_ids=[run.info.run_id])["x"].tolist(),
    }


def parallel_writers() -> Any:
    """Log to one run from many threads, and count what is there."""
    client = MlflowClient()
    run_id = client.create_run("0", run_name="crowd").info.run_id

    def write(number: int) -> None:
        for step in range(10):
            client.log_metric(run_id, f"m{number}", step, step=step)
        client.log_param(run_id, f"p{number}", number)
        client.set_tag(run_id, f"t{number}", number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    seen = client.get_run(run_id).data
    points = sum(len(client.get_metric_history(run_id, f"m{number}")) for number in range(8))
    return [sorted(seen.params), seen.metrics, sorted(seen.tags), points]


def prompts() -> Any:
    """Register a prompt twice, and load it by version and alias."""
    mlflow.genai.register_prompt("greeting", "Hello {{name}}", commit_message="first")
    second = mlflow.genai.register_prompt("greeting", "Hi {{name}}", tags={"tone": "warm"})
    mlflow.genai.set_prompt_alias("greeting", "live", second.version)
    found = mlflow.genai.load_prompt("prompts:/greeting@live")
    return {
        "live": [found.version, found.template, found.tags.get("tone")],
        "first": mlflow.genai.load_prompt("prompts:/greeting/1").format(name="Ann"),
        "models": [model.name for model in MlflowClient().search_registered_models()],
        "prompts": [prompt.name for prompt in mlflow.genai.search_prompts()],
    }


def registry() -> Any:
    """Move versions through stages and aliases, and page through what is there."""
    client = MlflowClient()
    client.create_registered_model(MODEL, tags={"a b": "ü"}, description="«x»")
    for number in range(5):
        client.create_model_version(MODEL, f"s3://bucket/{number}", tags={"n": str(number)})
    client.transition_model_version_stage(MODEL, "1", "Production")
    client.transition_model_version_stage(MODEL, "2", "Production", archive_existing_versions=True)
    client.set_registered_model_alias(MODEL, "best", "3")
    client.set_registered_model_alias(MODEL, "best", "4")
    client.delete_model_version(MODEL, "5")
    pages, token = [], None
    while True:
        page = client.search_model_versions(
            f"name = '{MODEL}'", max_results=2, order_by=["version_number ASC"], page_token=token
        )
        pages.append([[v.version, v.current_stage, v.tags] for v in page])
        token = page.token
        if not token:
            break
    model = client.get_registered_model(MODEL)
    return {
        "pages": pages,
        "latest": sorted([v.version, v.current_stage] for v in model.latest_versions),
        "aliases": model.aliases,
        "best": client.get_model_version_by_alias(MODEL, "best").version,
        "tags": model.tags,
        "description": model.description,
    }


def refusals() -> Any:
    """Collect the codes of what the client is refused."""
    client = MlflowClient()
    run_id = client.create_run("0", run_name="refused").info.run_id
    client.log_param(run_id, "a", 1)
    tries: dict[str, Callable[[], Any]] = {
        "param": lambda: client.log_param(run_id, "a", 2),
        "run": lambda: client.get_run("f" * 32),
        "experiment": lambda: client.create_experiment("Default"),
        "model": lambda: client.get_registered_model("Nobody"),
        "version": lambda: client.get_model_version(MODEL, "99"),
        "stage": lambda: client.transition_model_version_stage(MODEL, "1", "Heaven"),
        "alias": lambda: client.get_model_version_by_alias(MODEL, "never"),
        "filter": lambda: client.search_runs(["0"], "metrics.a >"),
        "order": lambda: client.search_runs(["0"], order_by=["nothing"]),
        "artifact": lambda: client.download_artifacts(run_id, "nothing"),
        "name": lambda: client.create_registered_model("a/b"),
    }
    return {name: _code(refused) for name, refused in tries.items()}


def frames() -> Any:
    """Read runs as the table that notebooks show."""
    found = mlflow.search_runs(search_all_experiments=True, filter_string="metrics.loss > 0.4")
    assert isinstance(found, pd.DataFrame)
    return [sorted(found.columns), len(found)]


def _code(refused: Callable[[], Any]) -> str:
    try:
        refused()
    except mlflow.exceptions.MlflowException as error:
        return str(error.error_code)
    return "nothing"


CALLS = [
    nested_runs, autolog, odd_artifacts, parallel_writers, registry, prompts, refusals, frames,
]  # fmt: skip


def main(answers: Path) -> None:
    """Do all of it and write what was answered."""
    told = {call.__name__: call() for call in CALLS}
    answers.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
