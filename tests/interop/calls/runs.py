"""Runs: made, logged to within and beyond the limits, deleted and restored."""

from typing import Any

from tests.interop.calls.recorder import Recorder

VALUES: list[Any] = [
    1, 0.1, -0.0, 1e308, "NaN", "Infinity", "-Infinity", "1.5", "x", None, "1e400",
]  # fmt: skip
TIMES: list[Any] = [0, "1700000000000", -1, None, 2**63 - 1, "x"]
STEPS: list[Any] = [0, -5, "7", 2**63 - 1, None]
# Of these MLflow keeps some; they go to a run of their own, at which nobody looks.
ODD: dict[str, list[Any]] = {
    "value": [True, []], "timestamp": [1.5, 2**63], "step": [1.5, 2**63],
}  # fmt: skip
KEYS = {
    "plain": "acc", "slash": "train/acc", "spaces": "a b", "colon": "a:b", "unicode": "genauigkeit ä 精度",
    "longest": "k" * 250, "too long": "k" * 251, "empty": "", "star": "a*b", "dots": "a..b",
    "parent": "../a", "absolute": "/a", "double slash": "a//b", "dot": ".", "trailing": "a/",
    "inner dot": "a/./b", "line": "a\nb", "quote": "a'b", "percent": "a%b", "dash": "-a_b.c",
}  # fmt: skip


def call_all(server: Recorder) -> None:
    """Call everything, in an order that later calls rely on."""
    run = _make(server)
    _describe(server, run)
    for number, value in enumerate(VALUES):
        _log_metric(server, run, f"a metric of value {value!r}", f"value{number}", value=value)
    for number, time in enumerate(TIMES):
        _log_metric(server, run, f"a metric at time {time!r}", f"time{number}", timestamp=time)
    for number, step in enumerate(STEPS):
        _log_metric(server, run, f"a metric of step {step!r}", f"step{number}", step=step)
    _odd(server)
    _keys(server, run)
    _limits(server, run)
    _histories(server, run)
    server.get("a run with all that it logged", "runs/get", run_id=run)
    _lifecycle(server, run)
    _inputs(server)


def _make(server: Recorder) -> str:
    tags = [{"key": "mlflow.user", "value": "ann"}, {"key": "mlflow.runName", "value": "first"}]
    body = {"experiment_id": "1", "user_id": "ann", "start_time": 1000, "tags": tags}
    made = server.post("a run", "runs/create", body)
    run: str = made["run"]["info"]["run_id"]
    server.get("a run by its old name", "runs/get", run_uuid=run)
    server.post(
        "a run with a name",
        "runs/create",
        {"experiment_id": "0", "run_name": "named", "start_time": "2000"},
    )
    differ = {"experiment_id": "0", "run_name": "other", "start_time": 1, "tags": tags}
    server.post("a run with two names", "runs/create", differ)
    server.post("a run of no experiment", "runs/create", {"experiment_id": "999"})
    server.post("a run of a number", "runs/create", {"experiment_id": 1})
    server.post(
        "a run that starts at no time", "runs/create", {"experiment_id": "0", "start_time": "x"}
    )
    server.get("no run's id", "runs/get")
    server.get("a run that is not there", "runs/get", run_id="f" * 32)
    server.get("an id that no run has", "runs/get", run_id="../x")
    return run


def _describe(server: Recorder, run: str) -> None:
    param = {"run_id": run, "key": "depth", "value": "5"}
    server.post("a param", "runs/log-parameter", param)
    server.post("the same param", "runs/log-parameter", param)
    server.post("another value of a param", "runs/log-parameter", {**param, "value": "6"})
    server.post("an empty param", "runs/log-parameter", {"run_id": run, "key": "e", "value": ""})
    server.post("a param without value", "runs/log-parameter", {"run_id": run, "key": "none"})
    server.post("a param of a number", "runs/log-parameter", {**param, "key": "n", "value": 5})
    tag = {"run_id": run, "key": "colour", "value": "red"}
    server.post("a tag", "runs/set-tag", tag)
    server.post("a tag again", "runs/set-tag", {**tag, "value": "blue"})
    server.post("a tag by the old name", "runs/set-tag", {**tag, "key": "old", "run_uuid": run})
    server.post("deleting a run's tag", "runs/delete-tag", {"run_id": run, "key": "colour"})
    server.post("deleting it twice", "runs/delete-tag", {"run_id": run, "key": "colour"})
    rename = {"run_id": run, "key": "mlflow.runName", "value": "renamed"}
    server.post("the tag that names a run", "runs/set-tag", rename)
    server.get("a run renamed by its tag", "runs/get", run_id=run)
    server.post("renaming a run", "runs/update", {"run_id": run, "run_name": "again"})
    for status in (3, 99, "FINISHED", "KILLED", "NONSENSE"):
        server.post(f"a run that is {status}", "runs/update", {"run_id": run, "status": status})
    server.post("a run that ended", "runs/update", {"run_id": run, "end_time": 5000})
    server.post("an update of nothing", "runs/update", {"run_id": run})
    server.post("an update without id", "runs/update", {"status": "FINISHED"})
    server.post("an update of no run", "runs/update", {"run_id": "f" * 32, "status": "FAILED"})


def _log_metric(server: Recorder, run: str, name: str, key: str, **fields: Any) -> None:
    point = {"run_id": run, "key": key, "value": 1.0, "timestamp": 1000, "step": 1, **fields}
    server.post(name, "runs/log-metric", point)


def _odd(server: Recorder) -> None:
    made = server.post(
        "a run of odd points", "runs/create", {"experiment_id": "0", "run_name": "x"}
    )
    run = made["run"]["info"]["run_id"]
    for field, values in ODD.items():
        for value in values:
            _log_metric(
                server, run, f"a metric whose {field} is {value!r}", "odd", **{field: value}
            )


def _keys(server: Recorder, run: str) -> None:
    for said, key in KEYS.items():
        metric = {"run_id": run, "key": key, "value": 1.0, "timestamp": 1}
        server.post(f"a metric's key: {said}", "runs/log-metric", metric)
        text = {"run_id": run, "key": f"{key}", "value": "v"}
        server.post(f"a param's key: {said}", "runs/log-parameter", text)
        server.post(f"a tag's key: {said}", "runs/set-tag", text)


def _limits(server: Recorder, run: str) -> None:
    point = {"key": "m", "value": 1.0, "timestamp": 1}
    texts = [{"key": f"b{number}", "value": "v"} for number in range(101)]
    points = [{**point, "step": number} for number in range(1001)]
    batches: dict[str, dict[str, Any]] = {
        "1000 points": {"metrics": points[:1000]},
        "1001 points": {"metrics": points},
        "100 params": {"params": texts[:100]},
        "101 params": {"params": texts},
        "100 tags": {"tags": texts[:100]},
        "101 tags": {"tags": texts},
        "1001 entries": {"metrics": points[:950], "params": texts[:51]},
        "1000 entries": {"metrics": points[:950], "params": texts[:50]},
        "a param twice": {"params": [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]},
        "the same param twice": {"params": [{"key": "t", "value": "1"}] * 2},
        "a tag twice": {"tags": [{"key": "t", "value": "1"}, {"key": "t", "value": "2"}]},
        "a bad point among good": {"metrics": [{**point, "key": "good"}, {**point, "key": "a//b"}]},
        "a changed param": {"params": [{"key": "fresh", "value": "1"}, {"key": "depth", "value": "x"}]},
        "nothing": {},
        "a point twice": {"metrics": [{**point, "key": "twice"}] * 2},
        "a metric that is no list": {"metrics": {"key": "a"}},
        "a point without key": {"metrics": [{"value": 1.0, "timestamp": 1}]},
        "a point without value": {"metrics": [{"key": "a", "timestamp": 1}]},
        "a point without time": {"metrics": [{"key": "a", "value": 1}]},
    }  # fmt: skip
    for said, batch in batches.items():
        server.post(f"a batch of {said}", "runs/log-batch", {"run_id": run, **batch})
    server.post("a batch without a run", "runs/log-batch", {"metrics": [point]})
    server.post("a batch of no run", "runs/log-batch", {"run_id": "f" * 32, "metrics": [point]})
    for length in (6000, 6001):
        long = {"run_id": run, "key": f"p{length}", "value": "v" * length}
        server.post(f"a param of {length}", "runs/log-parameter", long)
    for length in (8000, 8001):
        long = {"run_id": run, "key": f"t{length}", "value": "v" * length}
        server.post(f"a tag of {length}", "runs/set-tag", long)


def _histories(server: Recorder, run: str) -> None:
    other = server.post(
        "a run to compare with",
        "runs/create",
        {"experiment_id": "0", "run_name": "o", "start_time": 1},
    )
    runs = [run, other["run"]["info"]["run_id"]]
    for step, value in [(3, 0.5), (1, 0.7), (2, "NaN"), (1, 0.6)]:
        _log_metric(server, run, f"loss {value} at {step}", "loss", step=step, value=value)
    path = "metrics/get-history"
    server.get("a history", path, run_id=run, metric_key="loss")
    found = server.get("page 0 of a history", path, run_id=run, metric_key="loss", max_results=3)
    token = found.get("next_page_token", "none")
    server.get("page 1 of a history", path, run_id=run, metric_key="loss", page_token=token)
    server.get("a history after a bad token", path, run_id=run, metric_key="loss", page_token="x")
    server.get("a history of nothing", path, run_id=run, metric_key="nothing")
    server.get("a history without key", path, run_id=run)
    server.get("a history of no run", path, run_id="f" * 32, metric_key="loss")
    for most in (0, -1, 25_000, 25_001, "x"):
        server.get(f"a history of {most}", path, run_id=run, metric_key="loss", max_results=most)
    bulk = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
    server.get("histories together", bulk, run_id=runs, metric_key="value0")
    server.get("histories of nothing", bulk, run_id=runs, metric_key="nothing")
    server.get("histories of no run", bulk, run_id="f" * 32, metric_key="loss")
    server.get("histories without runs", bulk, metric_key="loss")
    server.get("histories without key", bulk, run_id=runs)
    server.get("histories of 101 runs", bulk, run_id=runs[:1] * 101, metric_key="loss")
    for prefix in ("/api", "/ajax-api"):
        path = f"{prefix}/2.0/mlflow/metrics/get-history-bulk-interval"
        server.get(f"{prefix} samples", path, run_ids=runs, metric_key="loss", max_results=10)
        for asked in (
            {"start_step": 1, "end_step": 2}, {"start_step": 1}, {"start_step": 2, "end_step": 1},
            {"max_results": 0}, {"max_results": 2501}, {"max_results": 1}, {"max_results": 2},
        ):  # fmt: skip
            server.get(f"{prefix} samples {asked}", path, run_ids=run, metric_key="loss", **asked)
        server.get(f"{prefix} samples of nothing", path, metric_key="loss")


def _lifecycle(server: Recorder, run: str) -> None:
    server.post("deleting a run", "runs/delete", {"run_id": run})
    server.post("deleting a run twice", "runs/delete", {"run_id": run})
    metric = {"run_id": run, "key": "m", "value": 1.0, "timestamp": 1}
    server.post("a metric of a deleted run", "runs/log-metric", metric)
    text = {"run_id": run, "key": "late", "value": "v"}
    server.post("a param of a deleted run", "runs/log-parameter", text)
    server.post("a tag of a deleted run", "runs/set-tag", text)
    server.post("an update of a deleted run", "runs/update", {"run_id": run, "status": "FAILED"})
    server.post("restoring a run", "runs/restore", {"run_id": run})
    server.post("restoring a run twice", "runs/restore", {"run_id": run})
    for path in ("delete", "restore"):
        server.post(f"runs/{path} of none", f"runs/{path}", {"run_id": "f" * 32})
        server.post(f"runs/{path} without id", f"runs/{path}", {})


def _inputs(server: Recorder) -> None:
    made = server.post(
        "a run that reads", "runs/create", {"experiment_id": "0", "run_name": "r", "start_time": 3}
    )
    run = made["run"]["info"]["run_id"]
    dataset: dict[str, Any] = {
        "name": "iris",
        "digest": "d1",
        "source_type": "local",
        "source": "{}",
    }
    for number, context in enumerate(["train", "test", None]):
        tags = [{"key": "mlflow.data.context", "value": context}] if context else []
        entry: dict[str, Any] = {"dataset": {**dataset, "digest": f"d{number}"}, "tags": tags}
        body = {"run_id": run, "datasets": [entry]}
        server.post(f"a dataset read to {context}", "runs/log-inputs", body)
        server.post(f"a dataset read to {context} again", "runs/log-inputs", body)
    for field, length in [("name", 501), ("digest", 37), ("source", 65_536)]:
        entry = {"dataset": {**dataset, field: "x" * length}}
        body = {"run_id": run, "datasets": [entry]}
        server.post(f"a dataset with a long {field}", "runs/log-inputs", body)
    server.post("inputs of no run", "runs/log-inputs", {"run_id": "f" * 32})
    server.get("a run with inputs", "runs/get", run_id=run)
    path = "/ajax-api/2.0/mlflow/experiments/search-datasets"
    server.post("datasets of experiments", path, {"experiment_ids": ["0"]})
    server.post("datasets of no experiment", path, {"experiment_ids": []})
    server.post("datasets of 21 experiments", path, {"experiment_ids": ["0"] * 21})
    server.post("datasets of one that is not there", path, {"experiment_ids": ["999"]})
