"""Which share of a bare uvicorn floor the predict path reaches. ``make bench``.

    python -m loadtests.bench --rounds 5 --seconds 3

Servers run on one CPU, the load comes from another; targets take turns within each round, so that
a noisy machine is noisy for all of them. Models answer in runner processes here, on the same CPU.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

import stagedoor
from loadtests.cpu import available_cpus, cpu_s, pin
from loadtests.generator import Load, generate
from loadtests.plot import draw
from loadtests.ratios import FLOOR, Row, Run, format_table, rows_of
from stagedoor.demo.admin import Admin
from stagedoor.demo.server_process import HOST, ServerOptions, free_port, run_server

RESULTS = Path(__file__).parent / "results"
CONNECTIONS = (1, 64)
_COLUMNS = {"A": 4, "B": 20}
_START_TIMEOUT_S = 30.0
_LOOK_EVERY_S = 0.05
_WARM_S = 1


class Target(Struct, frozen=True):
    """Something to measure.

    Args:
        name: For the table.
        url: Where to send rows.
        body: One row.
        pid: The root of its processes.
    """

    name: str
    url: str
    body: bytes
    pid: int


class Pins(Struct, frozen=True):
    """Which CPUs serve and which make the load; empty when nothing is pinned."""

    servers: set[int]
    load: set[int]


class Report(Struct, frozen=True):
    """What is written: how it was measured, and what came of it."""

    method: dict[str, Any]
    rows: list[Row]
    runs: list[Run]


def main() -> int:
    """Measure, and write table, picture and raw numbers.

    Returns:
        0, or 1 when a request failed.
    """
    parser = argparse.ArgumentParser(prog="loadtests.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="for each measurement")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    pins = _choose_pins()
    pin(pins.servers)
    with (
        tempfile.TemporaryDirectory(prefix="stagedoor-bench-") as folder,
        _all_targets(Path(folder)) as targets,
    ):
        pin(pins.load)
        runs = list(_measure(targets, given.rounds, given.seconds))
    report = Report(_method(given, pins, runs), rows_of(runs), runs)
    print(_write(report))
    return 1 if any(row.failed for row in report.rows) else 0


def _choose_pins() -> Pins:
    cpus = available_cpus()
    if len(cpus) < 2:  # noqa: PLR2004 - one to serve, one to ask
        return Pins(set(cpus), set(cpus))
    return Pins({cpus[0]}, {cpus[1]})


def _measure(targets: list[Target], rounds: int, seconds: int) -> Iterator[Run]:
    for number in range(rounds):
        for connections in CONNECTIONS:
            for target in targets:
                generate(Load(target.url, target.body, connections, _WARM_S))
                run = _measure_once(number, target, connections, seconds)
                print(
                    f"round {number + 1}/{rounds}  {target.name:12} c{connections:<3}"
                    f"{run.measured.rate:>10,.0f}/s  p99 {run.measured.p99_ms:.2f} ms",
                    flush=True,
                )
                yield run


def _measure_once(number: int, target: Target, connections: int, seconds: int) -> Run:
    before_s = cpu_s(target.pid)
    measured = generate(Load(target.url, target.body, connections, seconds))
    after_s = cpu_s(target.pid)
    cpu_us = None
    if before_s is not None and after_s is not None and measured.count:
        cpu_us = (after_s - before_s) / measured.count * 1e6
    return Run(number, target.name, connections, measured, cpu_us)


@contextmanager
def _all_targets(folder: Path) -> Iterator[list[Target]]:
    """Start the floor, the path without a model, and a server with both models."""
    flags = ["--http", "httptools", "--loop", "uvloop", "--no-access-log", "--log-level", "error"]
    options = ServerOptions(folder / "server", workers=1)
    with (
        _running(["uvicorn", "loadtests.floor:app", *flags]) as (floor_url, floor_pid),
        _running(["loadtests.stub"]) as (stub_url, stub_pid),
        run_server(options) as server,
    ):
        _put_models(server.url)
        row = _row_of("A")
        yield [
            Target(FLOOR, f"{floor_url}/models/A/invocations", row, floor_pid),
            Target("path only", f"{stub_url}/models/A/invocations", row, stub_pid),
            *(
                Target(
                    f"model {name}",
                    f"{server.url}/models/{name}/invocations",
                    _row_of(name),
                    server.process.pid,
                )
                for name in _COLUMNS
            ),
        ]


@contextmanager
def _running(module: list[str]) -> Iterator[tuple[str, int]]:
    """Run a module that serves on a port, until the end of the block."""
    port = free_port()
    command = [sys.executable, "-m", *module, "--port", str(port)]
    process = subprocess.Popen(command, cwd=RESULTS.parent.parent)
    try:
        _wait_for(f"http://{HOST}:{port}", process)
        yield f"http://{HOST}:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            answer = httpx.post(
                f"{url}/models/A/invocations",
                content=_row_of("A"),
                headers={"Content-Type": "application/json"},
                trust_env=False,
            )
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > ends_at:
                raise
            time.sleep(_LOOK_EVERY_S)
            continue
        answer.raise_for_status()
        return


def _put_models(url: str) -> None:
    """Train A and B, and bring both to Production."""
    from sklearn.datasets import make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    stagedoor.set_tracking_uri(url)
    models: Mapping[str, Any] = {
        "A": LogisticRegression(),
        "B": RandomForestClassifier(n_estimators=100, max_depth=10, random_state=0),
    }
    with Admin(url) as admin:
        for name, model in models.items():
            rows, labels = make_classification(
                n_samples=2000, n_features=_COLUMNS[name], random_state=0
            )
            model.fit(rows, labels)
            with stagedoor.start_run():
                stagedoor.sklearn.log_model(
                    model, "model", registered_model_name=name, input_example=rows[:5]
                )
            admin.promote(name, 1)


def _row_of(name: str) -> bytes:
    row = [round(0.1 * (index + 1), 1) for index in range(_COLUMNS[name])]
    return msgspec.json.encode({"instances": [row]})


def _method(given: argparse.Namespace, pins: Pins, runs: list[Run]) -> dict[str, Any]:
    return {
        "command": f"python -m loadtests.bench --rounds {given.rounds} --seconds {given.seconds}",
        "generator": runs[0].measured.generator,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "server_cpus": sorted(pins.servers),
        "load_cpus": sorted(pins.load),
        "floor": "bare ASGI callable, uvicorn, httptools, uvloop, one worker, fixed answer",
        "path only": "all of our predict path in one process, with a model that answers 0 at once",
        "model A": "LogisticRegression, 4 columns, one row, in its runner process",
        "model B": "RandomForestClassifier, 100 trees of depth 10, 20 columns, one row, likewise",
    }


def _write(report: Report) -> str:
    encoded = msgspec.json.encode(report)
    (RESULTS / "bench.json").write_bytes(msgspec.json.format(encoded, indent=2))
    method = "".join(f"- {name}: {text}\n" for name, text in report.method.items())
    text = f"# Share of the floor\n\n{format_table(report.rows)}\n{method}"
    (RESULTS / "bench.md").write_text(text)
    draw(report.rows, RESULTS / "bench.png")
    return text


if __name__ == "__main__":
    sys.exit(main())
