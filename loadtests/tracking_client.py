"""Writes by the real mlflow client, in its own environment, as fast as one thread can.

Called as ``tracking_client.py <answers.json> <seconds>``; the server's URI is in the environment.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric


def main(answers: Path, seconds: float) -> None:
    """Measure each kind of write, and leave calls per second behind."""
    client = MlflowClient()
    run_id = client.create_run("0").info.run_id
    points = [Metric(f"m{n % 10}", n / 7, n, n) for n in range(1_000)]
    rates = {
        "log_metric": _rate(lambda n: client.log_metric(run_id, "loss", 1.0, step=n), seconds),
        "log_batch of 1,000": _rate(lambda _: client.log_batch(run_id, metrics=points), seconds),
        "create_run": _rate(lambda n: client.create_run("0", run_name=f"run {n}"), seconds),
    }
    answers.write_text(json.dumps(rates), encoding="utf-8")


def _rate(call: Callable[[int], object], seconds: float) -> float:
    call(0)
    started_s = time.perf_counter()
    number = 0
    while time.perf_counter() - started_s < seconds:
        number += 1
        call(number)
    return number / (time.perf_counter() - started_s)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
