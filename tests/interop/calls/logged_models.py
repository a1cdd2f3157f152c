"""Logged models: made, finished, tagged, measured, searched, deleted."""

from typing import Any

from tests.interop.calls.recorder import Recorder

PATH = "logged-models"
NAMES = {"slash": "a/b", "colon": "a:b", "dot": "a.b", "percent": "a%b", "quote": "a'b", "double": 'a"b',
         "empty": "", "unicode": "Modell ä", "spaces": "a b"}  # fmt: skip
FILTERS = [
    "", "name = 'forest'", "name != 'forest'", "name LIKE 'for%'", "name ILIKE 'FOR%'", "model_type = 'agent'",
    "status = 'READY'", "status = 'PENDING'", "source_run_id = 'nobody'", "creation_timestamp > 0",
    "last_updated_timestamp > 0", "attributes.name = 'forest'", "metrics.acc > 0.5", "metrics.acc < 0.5",
    "metrics.acc = 0.9", "metrics.acc != 0.9", "params.depth = '5'", "params.depth != '5'", "params.depth LIKE '5%'",
    "tags.team = 'red'", "tags.team != 'red'", "tags.`odd key` = 'x'", "name IN ('forest', 'x')",
    "name NOT IN ('forest')", "name = 'forest' AND metrics.acc > 0.5", "nothing = 'x'", "name > 'a'", "name = 5",
    "metrics.acc > 'x'", "params.depth > 5", "name = 'a' OR name = 'b'", "name", "metrics.acc", "experiment_id = '0'",
    "creation_timestamp = 'x'", "metrics.nothing > 0", "params.nothing = 'x'", "model_id = 'x'", "tags.team IN ('red')",
    "params.depth IN ('5')", "status IN ('READY')", "creation_timestamp_ms > 0", "creation_time > 0",
    "status != 'READY'", "metrics.acc IN (1)", "name IS NULL",
]  # fmt: skip
ORDERS: list[list[dict[str, Any]]] = [
    [{"field_name": "name"}], [{"field_name": "name", "ascending": False}], [{"field_name": "metrics.acc"}],
    [{"field_name": "metrics.acc", "ascending": False}], [{"field_name": "creation_timestamp"}],
    [{"field_name": "model_type"}, {"field_name": "name"}], [{"field_name": "nothing"}], [{"field_name": "params.depth"}],
    [{"field_name": "metrics.acc", "dataset_name": "iris"}], [{"field_name": "tags.team"}], [{}],
    [{"field_name": "last_updated_timestamp", "ascending": True}, {"field_name": "name"}], [{"field_name": "metrics.nothing"}],
]  # fmt: skip
DATASETS = [[{"dataset_name": "iris"}], [{"dataset_name": "iris", "dataset_digest": "d0"}],
            [{"dataset_name": "none"}], [{}], [{"dataset_digest": "d0"}]]  # fmt: skip


def call_all(server: Recorder) -> None:
    """Fill an experiment of its own, and call everything."""
    experiment = server.post("an experiment of models", "experiments/create", {"name": "models"})[
        "experiment_id"
    ]
    run = server.post("a run of models", "runs/create",
                      {"experiment_id": experiment, "run_name": "m", "start_time": 1})["run"]["info"]["run_id"]  # fmt: skip
    models = [_make(server, experiment, run, number) for number in range(4)]
    _refuse(server, models[0])
    _change(server, run, models)
    for number, wanted in enumerate(FILTERS):
        _search(
            server,
            experiment,
            f"models {number} where {wanted}",
            filter=wanted,
            order_by=[{"field_name": "name"}],
        )
    for order in ORDERS:
        _search(server, experiment, f"logged models by {order}", order_by=order)
    for datasets in DATASETS:
        _search(
            server,
            experiment,
            f"logged models of {datasets}",
            datasets=datasets,
            order_by=[{"field_name": "name"}],
        )
        _search(
            server,
            experiment,
            f"good logged models of {datasets}",
            datasets=datasets,
            filter="metrics.acc > 0.5",
        )
    _page(server, experiment)
    server.call("deleting a logged model", "DELETE", f"{PATH}/{models[0]}")
    server.call("deleting a logged model twice", "DELETE", f"{PATH}/{models[0]}")
    server.get("a deleted logged model", f"{PATH}/{models[0]}")
    _search(server, experiment, "logged models after that", order_by=[{"field_name": "name"}])


def _make(server: Recorder, experiment: str, run: str, number: int) -> str:
    body = {
        "experiment_id": experiment, "name": ["forest", "tree", "bush", "grass"][number],
        "model_type": "agent" if number % 2 else "", "source_run_id": run if number < 2 else "",
        "params": [{"key": "depth", "value": str(number + 4)}] if number < 3 else [],
        "tags": [{"key": "team", "value": "red"}, {"key": "odd key", "value": "x"}] if number else [],
    }  # fmt: skip
    made = server.post(f"logged model {number}", PATH, body)
    model: str = made["model"]["info"]["model_id"]
    points = [
        {"key": "acc", "value": [0.9, 0.4, 0.6][number % 3], "timestamp": 1, "step": step, "model_id": model,
         "dataset_name": "iris" if number else "", "dataset_digest": f"d{step}" if number else ""}
        for step in range(2 if number < 3 else 0)
    ]  # fmt: skip
    server.post(
        f"metrics of logged model {number}", "runs/log-batch", {"run_id": run, "metrics": points}
    )
    return model


def _refuse(server: Recorder, model: str) -> None:
    for said, name in NAMES.items():
        server.post(f"a logged model's name: {said}", PATH, {"experiment_id": "0", "name": name})
    server.post("a logged model without experiment", PATH, {"name": "x"})
    server.post("a logged model of no experiment", PATH, {"experiment_id": "999", "name": "x"})
    server.get("no logged model", f"{PATH}/m-{'0' * 32}")
    server.get("what is no logged model's id", f"{PATH}/x")
    for status in ("LOGGED_MODEL_PENDING", "NONSENSE", "READY", "", None):
        server.call(
            f"a logged model that is {status}",
            "PATCH",
            f"{PATH}/{model}",
            json={"model_id": model, "status": status},
        )
    server.call(
        "the end of no logged model",
        "PATCH",
        f"{PATH}/m-{'0' * 32}",
        json={"model_id": "m-" + "0" * 32, "status": "LOGGED_MODEL_READY"},
    )
    server.post(
        "params of no logged model",
        f"{PATH}/m-{'0' * 32}/params",
        {"model_id": "m-" + "0" * 32, "params": [{"key": "a", "value": "b"}]},
    )
    for path in ("delete", "tags"):
        server.call(
            f"logged model: {path} of none",
            "DELETE",
            f"{PATH}/m-{'0' * 32}" + ("/tags/a" if path == "tags" else ""),
        )


def _change(server: Recorder, run: str, models: list[str]) -> None:
    one = f"{PATH}/{models[0]}"
    server.call(
        "a logged model that failed",
        "PATCH",
        f"{PATH}/{models[1]}",
        json={"model_id": models[1], "status": "LOGGED_MODEL_UPLOAD_FAILED"},
    )
    server.call(
        "a finished logged model",
        "PATCH",
        one,
        json={"model_id": models[0], "status": "LOGGED_MODEL_READY"},
    )
    server.post(
        "more params",
        f"{one}/params",
        {"model_id": models[0], "params": [{"key": "more", "value": "1"}]},
    )
    server.post(
        "a param that is there",
        f"{one}/params",
        {"model_id": models[0], "params": [{"key": "depth", "value": "4"}]},
    )
    server.post(
        "a param with another value",
        f"{one}/params",
        {"model_id": models[0], "params": [{"key": "depth", "value": "5"}]},
    )
    tags = [{"key": "colour", "value": "green"}, {"key": "slash/ed", "value": "x"}]
    server.call(
        "tags of a logged model", "PATCH", f"{one}/tags", json={"model_id": models[0], "tags": tags}
    )
    server.call("deleting its tag", "DELETE", f"{one}/tags/colour")
    server.call("deleting its tag twice", "DELETE", f"{one}/tags/colour")
    server.get("a logged model with all", one)
    outputs = {
        "run_id": run,
        "models": [{"model_id": model, "step": step} for step, model in enumerate(models[:2])],
    }
    server.post("outputs of a run", "runs/outputs", outputs)
    server.post("outputs of a run again", "runs/outputs", outputs)
    server.post("outputs of no run", "runs/outputs", {"run_id": "f" * 32, "models": []})
    inputs = {"run_id": run, "models": [{"model_id": models[2]}]}
    server.post("a model that a run reads", "runs/log-inputs", inputs)
    server.get("a run with outputs", "runs/get", run_id=run)
    version = {"name": "Renamed", "source": f"models:/{models[0]}", "model_id": models[0]}
    server.post("a version of a logged model", "model-versions/create", version)
    server.post(
        "a version of another one", "model-versions/create", {**version, "model_id": models[1]}
    )
    server.get("a logged model with a version", one)
    server.get("files of a logged model", f"{one}/artifacts/directories")


def _search(server: Recorder, experiment: str, name: str, **asked: Any) -> dict[str, Any]:
    return server.post(name, f"{PATH}/search", {"experiment_ids": [experiment], **asked})


def _page(server: Recorder, experiment: str) -> None:
    asked: dict[str, Any] = {"max_results": 3, "order_by": [{"field_name": "name"}]}
    found = _search(server, experiment, "page 0 of logged models", **asked)
    token = found.get("next_page_token", "none")
    _search(server, experiment, "page 1 of logged models", page_token=token, **asked)
    _search(server, experiment, "logged models after a bad token", page_token="nonsense")
    for most in (0, -1, 50_000, 50_001, "x"):
        _search(
            server,
            experiment,
            f"a page of {most} logged models",
            max_results=most,
            order_by=[{"field_name": "name"}],
        )
    server.post("logged models of no experiments", f"{PATH}/search", {"experiment_ids": []})
    server.post("logged models of anything", f"{PATH}/search", {})
