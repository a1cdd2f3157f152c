"""Runs to search: over the wire for any server, or straight into a database of ours.

Each run has 10 metrics, 10 params and 5 tags. Both ways make the same values.
"""

import uuid
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
from sqlalchemy import insert

from loadtests.tracking_load import Connection
from tracking.database import open_database
from tracking.schema import latest_metrics, metrics, params, runs, tags
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateExperiment

METRICS, PARAMS, TAGS = 10, 10, 5
_CHUNK = 2_000


def fill_over_wire(url: str, count: int) -> str:
    """Make an experiment of so many runs, and return its id."""
    connection = Connection(url)
    made = msgspec.json.decode(connection.post("experiments/create", {"name": "searched"}))
    experiment_id: str = made["experiment_id"]
    chance = Random(0)
    for number in range(count):
        body = {"experiment_id": experiment_id, "start_time": 1_000 + number}
        run = msgspec.json.decode(connection.post("runs/create", body))["run"]["info"]["run_id"]
        connection.post("runs/log-batch", {"run_id": run, **_logged(chance)})
    connection.close()
    return experiment_id


def fill_database(uri: str, count: int) -> str:
    """Put an experiment of so many runs into a new database, and return its id."""
    database = open_database(uri)
    request = CreateExperiment(name="searched")
    experiment_id = SqlTrackingStore(database).create_experiment(request)
    for chunk in _chunks(experiment_id, count):
        tables = {runs: "runs", metrics: "points", latest_metrics: "points", params: "params",
                  tags: "tags"}  # fmt: skip

        def put(connection: Any, chunk: Any = chunk, tables: Any = tables) -> None:
            for table, name in tables.items():
                connection.execute(insert(table), chunk[name])

        database.write(put)
    database.close()
    return experiment_id


def _logged(chance: Random) -> dict[str, list[dict[str, Any]]]:
    return {
        "metrics": [
            {"key": f"m{n}", "value": chance.random(), "timestamp": 1, "step": 0}
            for n in range(METRICS)
        ],
        "params": [{"key": f"p{n}", "value": str(chance.randrange(20))} for n in range(PARAMS)],
        "tags": [{"key": f"t{n}", "value": f"v{chance.randrange(10)}"} for n in range(TAGS)],
    }


def _chunks(experiment_id: str, count: int) -> Iterator[dict[str, list[dict[str, Any]]]]:
    chance = Random(0)
    for first in range(0, count, _CHUNK):
        rows: dict[str, list[dict[str, Any]]] = {"runs": [], "points": [], "params": [], "tags": []}
        for number in range(first, min(first + _CHUNK, count)):
            run_id = uuid.UUID(int=chance.getrandbits(128)).hex
            logged = _logged(chance)
            rows["runs"].append(_run(run_id, int(experiment_id), number))
            rows["points"] += [{"run_id": run_id, "is_nan": False, **e} for e in logged["metrics"]]
            rows["params"] += [{"run_id": run_id, **entry} for entry in logged["params"]]
            rows["tags"] += [{"run_id": run_id, **entry} for entry in logged["tags"]]
        yield rows


def _run(run_id: str, experiment_id: int, number: int) -> dict[str, Any]:
    return {
        "run_id": run_id, "experiment_id": experiment_id, "run_name": f"run {number}",
        "user_id": "bench", "status": "FINISHED", "start_time": 1_000 + number,
        "end_time": 2_000 + number, "artifact_uri": f"mlflow-artifacts:/1/{run_id}/artifacts",
        "is_deleted": False, "is_deleted_with_experiment": False,
    }  # fmt: skip
