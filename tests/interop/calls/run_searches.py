"""Searching runs: the whole grammar of filters and orders, views and pages."""

from typing import Any

from tests.interop.calls.recorder import Recorder

FILTERS = [
    "", "metrics.acc > 0.5", "metrics.acc >= 0.9", "metric.acc < 0.5", "metrics.acc <= 0.1",
    "metrics.acc = 0.9", "metrics.acc != 0.9", "metrics.`the loss` > 0", 'metrics."the loss" > 0',
    "metrics.none > 0", "metrics.nan > 0", "metrics.nan != 0", "metrics.acc > -1", "metrics.acc > 1e-3",
    "metrics.acc > .5", "params.lr = '0.1'", 'param.lr = "0.1"', "parameters.lr != '0.1'",
    "params.lr LIKE '0._'", "params.lr LIKE '0%'", "params.name LIKE 'RES%'", "params.name ILIKE 'RES%'",
    "params.`odd key` = 'x'", "params.none = 'x'", "params.none != 'x'", "tags.team = 'red'",
    "tag.team != 'red'", "tags.team LIKE 'r%'", "tags.`mlflow.user` = 'ann'", "tags.mlflow.user = 'ann'",
    "tags.team IS NULL", "tags.team IS NOT NULL", "params.lr IS NULL", "params.lr IS NOT NULL",
    "tags.team is not null AND metrics.acc > 0.5", "attributes.status = 'FINISHED'",
    "attribute.status != 'FINISHED'", "attr.status = 'RUNNING'", "run.status = 'RUNNING'",
    "status = 'FINISHED'", "status LIKE 'FIN%'", "status = 'finished'", "run_name = 'run 1'", "`run name` = 'run 1'",
    "attributes.`Run name` = 'run 1'", "run_name LIKE 'run%'", "run_name ILIKE 'RUN%'", "user_id = 'ann'",
    "artifact_uri LIKE 'mlflow%'", "start_time > 1001", "start_time <= 1001", "created > 1001",
    "end_time > 0", "end_time = 2000", "start_time != 1000", "attributes.start_time >= 1002 AND params.lr = '0.1'",
    "metrics.acc > 0.2 AND metrics.acc < 0.8 AND tags.team = 'red'", "datasets.name = 'iris'",
    "dataset.digest = 'd0'", "datasets.context = 'train'", "datasets.name LIKE 'ir%'",
    "datasets.name IN ('iris', 'wine')", "datasets.name != 'iris'", "datasets.context ILIKE 'TR%'",
    "run_id IN ('nobody')", "run_id NOT IN ('nobody')", "run_id = 'nobody'", "params.quote = 'it''s'",
    "params.quote = \"it's\"", "tags.team = 'red' and params.lr = '0.1' AND metrics.acc>0",
    "params.uni = 'ä精'", "params.pct LIKE '50\\%'", "params.pct LIKE '50%'", "params.lr = '0.1' AND ",
]  # fmt: skip
BAD = [
    "metrics.acc > 'x'", "metrics.acc LIKE '1'", "metrics.acc IN (1)", "metrics.acc", "metrics.acc >",
    "> 1", "params.lr = 0.1", "params.lr > '0.1'", "params.lr = x", "tags.team = 1", "nonsense.a = 'x'",
    "nonsense = 'x'", "status > 'A'", "start_time = 'x'", "start_time LIKE '1'", "run_name = 5",
    "metrics.acc > 1 OR metrics.acc < 0", "(metrics.acc > 1)", "metrics.acc > 1 metrics.loss > 1",
    "metrics.acc == 1", "metrics.acc <> 1", "params.lr = 'x", "params.`lr = 'x'", "metrics. > 1",
    "status IN ('FINISHED')", "tags.team IN ('red')", "params.lr IN ('0.1')", "run_id IN ()",
    "run_id IN ('a'", "run_id IN 'a'", "run_id > 'a'", "datasets.nothing = 'x'", "AND", ";", "1 = 1",
    "metrics.acc > 1; DROP TABLE runs", "NOT metrics.acc > 1", "metrics.acc IS NULL", "status IS NULL",
    "datasets.name = 5", "metrics.acc BETWEEN 0 AND 1", "'x' = params.lr", "params.lr NOT LIKE 'x'",
]  # fmt: skip
ORDERS = [
    ["metrics.acc"], ["metrics.acc ASC"], ["metrics.acc DESC"], ["metric.acc desc"],
    ["metrics.`the loss` DESC"], ["params.lr"], ["params.lr DESC"], ["tags.team ASC", "metrics.acc DESC"],
    ["start_time"], ["start_time DESC"], ["attributes.start_time ASC"], ["attribute.end_time DESC"],
    ["status", "run_name DESC"], ["run_name"], ["created ASC"], ["user_id", "start_time"],
    ["metrics.none"], ["metrics.nan"], ["metrics.nan DESC"], ["`run name` DESC"], ["Run name"],
]  # fmt: skip
BAD_ORDERS = [
    ["nothing"], ["metrics.acc DOWN"], ["metrics.acc ASC DESC"], [""], ["ASC"], ["metrics"],
    ["dataset.name"], ["metrics.acc,params.lr"], ["1"], ["; DROP"], ["acc"],
]  # fmt: skip
RUNS: list[dict[str, Any]] = [
    {"acc": 0.9, "the loss": 0.1}, {"acc": 0.5}, {"acc": 0.1, "nan": "NaN"}, {},
    {"acc": 0.7, "nan": 1.0}, {"acc": 0.9, "nan": -1.0},
]  # fmt: skip


def call_all(server: Recorder) -> None:
    """Fill an experiment of its own, and search it."""
    made = server.post("an experiment to search", "experiments/create", {"name": "searched"})
    experiment = made["experiment_id"]
    runs = [_fill(server, experiment, number) for number in range(len(RUNS))]
    for wanted in FILTERS:
        _search(server, experiment, f"runs where {wanted}", filter=wanted)
    for wanted in BAD:
        _search(server, experiment, f"no runs where {wanted}", filter=wanted)
    for order in ORDERS:
        _search(server, experiment, f"runs by {order}", order_by=order)
    for order in BAD_ORDERS:
        _search(server, experiment, f"no runs by {order}", order_by=order)
    listed = ", ".join(f"'{run}'" for run in runs[:2])
    _search(server, experiment, "runs in a list", filter=f"run_id IN ({listed})")
    _search(server, experiment, "runs not in it", filter=f"attributes.run_id NOT IN ({listed})")
    _search(server, experiment, "a run by its id", filter=f"run_id = '{runs[0]}'")
    server.post("deleting one of them", "runs/delete", {"run_id": runs[1]})
    for view in ("ACTIVE_ONLY", "DELETED_ONLY", "ALL", "NONSENSE"):
        _search(server, experiment, f"runs in view {view}", run_view_type=view)
    _page(server, experiment)


def _fill(server: Recorder, experiment: str, number: int) -> str:
    body = {
        "experiment_id": experiment,
        "user_id": "ann" if number % 2 else "bob",
        "run_name": f"run {number}",
        "start_time": 1000 + number,
        "tags": [{"key": "mlflow.user", "value": "ann"}],
    }
    made = server.post(f"run {number} to search", "runs/create", body)
    run: str = made["run"]["info"]["run_id"]
    metrics = [
        {"key": key, "value": value, "timestamp": 1, "step": 0}
        for key, value in RUNS[number].items()
    ]
    params = {"lr": ["0.1", "0.2", "0.05"][number % 3], "name": "resnet", "odd key": "x",
              "quote": "it's", "uni": "ä精", "pct": "50%"}  # fmt: skip
    if number == 3:
        params = {}
    batch = {
        "run_id": run,
        "metrics": metrics,
        "params": [{"key": key, "value": value} for key, value in params.items()],
        "tags": [{"key": "team", "value": ["red", "blue"][number % 2]}] if number < 4 else [],
    }
    server.post(f"what run {number} logs", "runs/log-batch", batch)
    if number < 3:
        ended = {"run_id": run, "status": "FINISHED", "end_time": 2000 + number}
        server.post(f"the end of run {number}", "runs/update", ended)
        tags = [{"key": "mlflow.data.context", "value": "train"}]
        dataset = {"name": "iris", "digest": f"d{number}", "source_type": "local", "source": "{}"}
        inputs = {"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}]}
        server.post(f"what run {number} reads", "runs/log-inputs", inputs)
    return run


def _search(server: Recorder, experiment: str, name: str, **asked: object) -> dict[str, object]:
    return server.post(name, "runs/search", {"experiment_ids": [experiment], **asked})


def _page(server: Recorder, experiment: str) -> None:
    found = _search(server, experiment, "page 0 of runs", max_results=2)
    for number in range(1, 4):
        token = found.get("next_page_token", "none")
        found = _search(
            server, experiment, f"page {number} of runs", max_results=2, page_token=token
        )
    for most in (0, -1, 50_000, 50_001, "2", "x"):
        _search(server, experiment, f"a page of {most} runs", max_results=most)
    _search(server, experiment, "runs after a bad token", page_token="nonsense")
    server.post("runs of no experiments", "runs/search", {"experiment_ids": []})
    server.post("runs of anything", "runs/search", {})
    server.post("runs of one that is not there", "runs/search", {"experiment_ids": ["999"]})
    server.post("runs of a number", "runs/search", {"experiment_ids": [1]})
    server.post("runs of a text", "runs/search", {"experiment_ids": "1"})
