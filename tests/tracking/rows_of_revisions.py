"""What a database holds at each revision of its schema: the rows of the tables that were new.

A revision that makes tables gets an entry here; ``test_upgrades.py`` takes it from there to the
head and looks for every row again.
"""

from typing import Any

_RUN = "a" * 32
_POINT = {"run_id": _RUN, "key": "loss", "timestamp": 5, "step": 1, "value": 0.25, "is_nan": False}
_TEXT = {"key": "k", "value": "é 'quoted' 層"}
_LOGGED = "m-" + "b" * 32
_VERSION = {"model": "Iris", "version": 1}
_WEBHOOK = "c" * 36

ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "0001": {
        "experiments": {
            "experiment_id": 1,
            "name": "exp",
            "artifact_location": "mlflow-artifacts:/1",
            "is_deleted": False,
            "creation_time": 1,
            "last_update_time": 2,
        },
        "experiment_tags": {"experiment_id": 1, **_TEXT},
        "runs": {
            "run_id": _RUN,
            "experiment_id": 1,
            "run_name": "first",
            "user_id": "me",
            "status": "FINISHED",
            "start_time": 3,
            "end_time": 4,
            "artifact_uri": f"mlflow-artifacts:/1/{_RUN}/artifacts",
            "is_deleted": True,
            "is_deleted_with_experiment": False,
        },
        "params": {"run_id": _RUN, **_TEXT},
        "tags": {"run_id": _RUN, **_TEXT},
        "metrics": _POINT,
        "latest_metrics": _POINT,
    },
    "0002": {
        "registered_model": {
            "name": "Iris",
            "description": "sorts",
            "user_id": "me",
            "created_at": 1,
            "updated_at": 2,
            "last_version": 1,
        },
        "registered_model_tag": {"model": "Iris", **_TEXT},
        "model_version": {
            **_VERSION,
            "stage": "Production",
            "production_of": "Iris",
            "source": f"runs:/{_RUN}/model",
            "run_id": _RUN,
            "digest": "d" * 64,
            "manifest": "{}",
            "created_at": 1,
            "updated_at": 2,
        },
        "model_version_tag": {**_VERSION, **_TEXT},
        "model_alias": {**_VERSION, "alias": "champion"},
        "transition": {
            "id": 1,
            **_VERSION,
            "from_stage": "None",
            "to_stage": "Production",
            "actor": "me",
            "reason": "better",
            "at": 3,
        },
        "change": {"seq": 1, "kind": "route", "model": "Iris", "at": 3, "detail": "{}"},
        "route": {
            "model": "Iris",
            "committed_epoch": 1,
            "committed": "{}",
            "desired": "{}",
            "updated_at": 3,
        },
        "switch": {
            "seq": 1,
            "model": "Iris",
            "epoch": 1,
            "state": "COMMITTED",
            "lane": "strict",
            "route": "{}",
            "actor": "me",
            "reason": "better",
            "opened_at": 3,
            "deadline_at": 4,
        },
        "prepared": {"switch": 1, "worker": "w", "ok": 1, "at": 3},
        "worker": {
            "id": "w",
            "host": "h",
            "idx": 0,
            "pid": 1,
            "state": "serving",
            "started_at": 1,
            "heartbeat_at": 2,
        },
        "active": {"worker": "w", "model": "Iris", "epoch": 1},
    },
    "0003": {
        "token": {
            "id": "t",
            "name": "admin",
            "salt": b"\x00\xff",
            "hash": b"\x01",
            "permissions": "[]",
            "created_at": 1,
        },
        "secret": {"name": "signing", "value": b"\x00secret"},
    },
    "0004": {
        "logged_models": {
            "model_id": _LOGGED,
            "experiment_id": 1,
            "name": "forest",
            "model_type": "",
            "source_run_id": _RUN,
            "artifact_uri": f"mlflow-artifacts:/1/models/{_LOGGED}/artifacts",
            "status": "LOGGED_MODEL_READY",
            "is_deleted": False,
            "creation_time": 1,
            "last_update_time": 2,
        },
        "logged_model_params": {"model_id": _LOGGED, **_TEXT},
        "logged_model_tags": {"model_id": _LOGGED, **_TEXT},
        "logged_model_metrics": {
            "model_id": _LOGGED,
            **_POINT,
            "dataset_name": "iris",
            "dataset_digest": "1",
        },
        "run_outputs": {"run_id": _RUN, "model_id": _LOGGED, "step": 0},
        "run_model_inputs": {"run_id": _RUN, "model_id": _LOGGED},
        "datasets": {
            "dataset_id": 1,
            "experiment_id": 1,
            "name": "iris",
            "digest": "1",
            "source_type": "local",
            "source": "{}",
            "schema": "{}",
            "profile": "{}",
        },
        "run_datasets": {
            "run_id": _RUN,
            "dataset_id": 1,
            "tags": '{"mlflow.data.context":"train"}',
        },
    },
    "0006": {
        "garbage": {"folder": "1/x", "at": 1},
        "webhook": {
            "id": _WEBHOOK,
            "name": "hook",
            "url": "https://example.com",
            "events": "[]",
            "status": "ACTIVE",
            "last_seq": 1,
            "dropped": 0,
            "created_at": 1,
            "updated_at": 2,
        },
        "delivery": {
            "webhook": _WEBHOOK,
            "seq": 1,
            "id": "e" * 36,
            "model": "Iris",
            "body": "{}",
            "at": 1,
            "attempts": 0,
            "next_at": 1,
            "claimed_until": 0,
        },
    },
    "0008": {
        "metric_buckets": {
            "run_id": _RUN,
            "key": _POINT["key"],
            "level": 0,
            "number": 0,
            "first_step": 0,
            "last_step": 0,
            "content": b"x",
        },
    },
}
