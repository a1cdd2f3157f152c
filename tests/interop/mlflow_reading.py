"""What the real MLflow client reads from a store, as plain values that can be compared.

Ids that a store gives are replaced by names, so that two stores with the same in them read alike.
"""

import hashlib
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import ViewType


def describe(client: MlflowClient) -> dict[str, Any]:
    """Return all experiments with runs and logged models, and all registered models."""
    found = client.search_experiments(view_type=ViewType.ALL)
    names = {experiment.experiment_id: experiment.name for experiment in found}
    return {
        "experiments": {
            e.name: {
                "lifecycle": e.lifecycle_stage,
                "tags": dict(e.tags),
                "created": e.creation_time,
                "updated": e.last_update_time,
            }
            for e in found
        },
        "runs": {
            # A search of MLflow's leaves out which models a run reads.
            run.info.run_id: describe_run(client, client.get_run(run.info.run_id), names)
            for run in client.search_runs(list(names), run_view_type=ViewType.ALL)
        },
        "logged_models": {
            model.model_id: describe_logged_model(model, names)
            for model in client.search_logged_models(list(names))
        },
        "models": {
            model.name: describe_model(client, model) for model in client.search_registered_models()
        },
    }


def describe_run(client: MlflowClient, run: Any, names: dict[str, str]) -> dict[str, Any]:
    """Return everything of a run; of its metrics every point; of its files their digests."""
    info, inputs, outputs = run.info, run.inputs, run.outputs
    return {
        "experiment": names[info.experiment_id],
        "info": [info.run_name, info.user_id, info.status, info.lifecycle_stage],
        "times": [info.start_time, info.end_time],
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {key: clamp(value) for key, value in run.data.metrics.items()},
        "points": {
            key: sorted(
                (m.timestamp, m.step, clamp(m.value))
                for m in client.get_metric_history(info.run_id, key)
            )
            for key in run.data.metrics
        },
        "datasets": sorted(
            (
                dict(d.dataset) | {"tags": [(tag.key, tag.value) for tag in d.tags]}
                for d in inputs.dataset_inputs
            ),
            key=str,
        ),
        "reads": sorted(model.model_id for model in inputs.model_inputs),
        "makes": sorted((model.model_id, model.step) for model in outputs.model_outputs),
        "files": files_at(f"runs:/{info.run_id}/") if client.list_artifacts(info.run_id) else {},
    }


def describe_logged_model(model: Any, names: dict[str, str]) -> dict[str, Any]:
    """Return everything of a logged model."""
    return {
        "experiment": names[model.experiment_id],
        "name": model.name,
        "status": model.status.value,
        "type": model.model_type or None,
        "source_run": model.source_run_id,
        "times": [model.creation_timestamp, model.last_updated_timestamp],
        "params": model.params,
        "tags": model.tags,
        "metrics": sorted(
            (m.key, m.timestamp, m.step, clamp(m.value), m.run_id) for m in model.metrics or []
        ),
        "files": files_at(f"models:/{model.model_id}"),
    }


def describe_model(client: MlflowClient, model: Any) -> dict[str, Any]:
    """Return a registered model with its versions and what their files are."""
    quoted = model.name.replace("'", "\\'")
    versions = client.search_model_versions(f"name = '{quoted}'")
    return {
        "description": model.description or None,
        "times": [model.creation_timestamp, model.last_updated_timestamp],
        "tags": model.tags,
        "aliases": {alias: str(number) for alias, number in model.aliases.items()},
        "versions": {
            str(v.version): {
                "description": v.description,
                "stage": v.current_stage,
                "run": v.run_id,
                "source": v.source,
                "status": v.status,
                "tags": v.tags,
                "times": [v.creation_timestamp, v.last_updated_timestamp],
                "files": files_at(f"models:/{model.name}/{v.version}"),
            }
            for v in versions
        },
    }


def files_at(uri: str) -> dict[str, str]:
    """Download what is at a URI, and return the digest of each file by its path."""
    with TemporaryDirectory() as folder:
        root = Path(download_artifacts(artifact_uri=uri, dst_path=folder))
        return {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def clamp(value: float) -> float | str:
    """Return a value as servers keep it: infinities as the largest floats, NaN as a text."""
    if math.isnan(value):
        return "NaN"
    largest = sys.float_info.max
    return max(-largest, min(largest, value)) + 0.0
