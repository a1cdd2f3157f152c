"""Writes by the real mlflow client, in its own environment, as fast as one thread can.

Called as ``tracking_client.py <answers.json> <seconds> <url>...``. The servers are written to in
turns, a quarter of the time at a go, so that a machine that is busy is busy for all of them.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

_TURNS = 4


def main(answers: Path, seconds: float, urls: list[str]) -> None:
    """Measure each kind of write to each server, and leave calls per second behind."""
    rates: dict[str, float] = {}
    writers = {url: _writes(MlflowClient(url)) for url in urls}
    for kind in next(iter(writers.values())):
        spent = dict.fromkeys(urls, 0.0)
        done = dict.fromkeys(urls, 0)
        for url in urls:
            writers[url][kind](0)
        for _ in range(_TURNS):
            for url in urls:
                number, took_s = _write(writers[url][kind], done[url] + 1, seconds / _TURNS)
                done[url] += number
                spent[url] += took_s
        rates |= {f"{url} {kind}": done[url] / spent[url] for url in urls}
    answers.write_text(json.dumps(rates), encoding="utf-8")


def _writes(client: MlflowClient) -> dict[str, Callable[[int], object]]:
    run_id = client.create_run("0").info.run_id
    points = [Metric(f"m{n % 10}", n / 7, n, n) for n in range(1_000)]
    return {
        "log_metric": lambda n: client.log_metric(run_id, "loss", 1.0, step=n),
        "log_batch of 1,000": lambda _: client.log_batch(run_id, metrics=points),
        "create_run": lambda n: client.create_run("0", run_name=f"run {n}"),
    }


def _write(call: Callable[[int], object], first: int, seconds: float) -> tuple[int, float]:
    """Call for a while, and return how often and for how long."""
    started_s = time.perf_counter()
    done = 0
    while time.perf_counter() - started_s < seconds or not done:
        call(first + done)
        done += 1
    return done, time.perf_counter() - started_s


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
