"""Which share of a bare uvicorn floor the predict path reaches. ``make bench``.

    python -m loadtests.bench --rounds 5 --seconds 3

Servers run on one CPU, the load comes from another; targets take turns within each round, so that
a noisy machine is noisy for all of them. No model is measured before its answers are its own.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from loadtests.cpu import available_cpus, cpu_s, pin
from loadtests.generator import Load, generate
from loadtests.models import Probes, check_answers, put_models
from loadtests.plot import draw
from loadtests.ratios import FLOOR, Row, Run, format_table, rows_of
from stagedoor.demo.server_process import HOST, ServerOptions, free_port, run_server

RESULTS = Path(__file__).parent / "results"
CONNECTIONS = (1, 64)
_STUB_ROW = b'{"instances": [[0.1, 0.2, 0.3, 0.4]]}'
_START_TIMEOUT_S = 30.0
_LOOK_EVERY_S = 0.05
_WARM_S = 1


class Target(Struct, frozen=True):
    """Something to measure.

    Args:
        name: For the table.
        url: Where to send rows.
        probes: Rows, one a request; and answers, where it is a model that gives them.
        pid: The root of its processes.
    """

    name: str
    url: str
    probes: Probes
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
    for target in targets:
        if target.probes.answers:
            check_answers(target.url, target.probes)
    for number in range(rounds):
        for connections in CONNECTIONS:
            for target in targets:
                generate(Load(target.url, target.probes.bodies, connections, _WARM_S))
                run = _measure_once(number, target, connections, seconds)
                print(
                    f"round {number + 1}/{rounds}  {target.name:12} c{connections:<3}"
                    f"{run.measured.rate:>10,.0f}/s  p99 {run.measured.p99_ms:.2f} ms",
                    flush=True,
                )
                yield run


def _measure_once(number: int, target: Target, connections: int, seconds: int) -> Run:
    before_s = cpu_s(target.pid)
    measured = generate(Load(target.url, target.probes.bodies, connections, seconds))
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
        probes = put_models(server.url)
        plain = Probes((_STUB_ROW,), ())
        yield [
            Target(FLOOR, f"{floor_url}/models/A/invocations", plain, floor_pid),
            Target("path only", f"{stub_url}/models/A/invocations", plain, stub_pid),
            *(
                Target(
                    f"model {name}",
                    f"{server.url}/models/{name}/invocations",
                    asked,
                    server.process.pid,
                )
                for name, asked in probes.items()
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
                content=_STUB_ROW,
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
        "model A": "LogisticRegression, 4 columns",
        "model B": "RandomForestClassifier, 100 trees of depth 10, 20 columns",
        "model C": "HistGradientBoostingRegressor, 100 trees, 20 columns",
        "model D": "Pipeline(StandardScaler, LogisticRegression), 30 named columns",
        "model E": "GradientBoostingRegressor, 100 trees, 20 columns",
        "rows": "one a request, drawn at random; every answer was compared with the model's first",
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
