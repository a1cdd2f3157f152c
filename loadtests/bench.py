"""How fast predict is: beside a bare uvicorn floor, and beside other servers. ``make bench``.

    python -m loadtests.bench --quick
    python -m loadtests.bench --models B --rows 1,32 --connections 64 --workers 1 --rounds 3

Targets take turns within each round, so that a noisy machine is noisy for all of them; read ratios,
not rates. Rows are drawn at random, and no model is measured before its answers are its own. With
one worker, servers run on one CPU and the load comes from another.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from loadtests import in_process
from loadtests.bench_targets import Bed, Target
from loadtests.cpu import available_cpus, cpu_s, memory_bytes, pin
from loadtests.generator import Load, generate
from loadtests.in_process import Beside, format_least
from loadtests.models import WIDTHS, check_answers, train
from loadtests.peers import PEERS
from loadtests.plot import draw
from loadtests.ratios import OURS, Case, Row, Run, format_table, rows_of

RESULTS = Path(__file__).parent / "results"
_WARM_S = 1
_QUICK = {"peers": [], "rows": [1], "connections": [1, 64], "workers": [1], "rounds": 3}


class Plan(Struct, frozen=True):
    """What to measure, and for how long.

    Args:
        cases: In the order they are measured.
        peers: Other servers.
        rounds: Of each case.
        seconds: For each measurement.
    """

    cases: list[Case]
    peers: list[str]
    rounds: int
    seconds: int


class Report(Struct, frozen=True):
    """What is written: how it was measured, and what came of it.

    Args:
        method: How.
        rows: Medians.
        least: The CPU that a request cannot do without, beside ours.
        runs: Every measurement.
    """

    method: dict[str, Any]
    rows: list[Row]
    least: list[Beside]
    runs: list[Run]


def main() -> int:
    """Measure, and write table, picture and raw numbers.

    Returns:
        0, or 1 when a request to the floor or to us failed.
    """
    plan = read_plan(sys.argv[1:])
    RESULTS.mkdir(exist_ok=True)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="stagedoor-bench-") as folder:
        for workers in dict.fromkeys(case.workers for case in plan.cases):
            runs += _measure_with(plan, workers, Path(folder) / str(workers))
            rows = rows_of(runs)
            report = Report(_method(plan, runs), rows, _least(rows), runs)
            written = _write(report)
    print(written)
    return 1 if any(row.failed for row in report.rows if row.target not in PEERS) else 0


def read_plan(given: Sequence[str]) -> Plan:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="loadtests.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--models", type=_names, default=list(WIDTHS), help="A to E")
    parser.add_argument("--peers", type=_names, default=list(PEERS), help="other servers, or none")
    parser.add_argument("--rows", type=_numbers, default=[1, 32, 1000], help="in each request")
    parser.add_argument("--connections", type=_numbers, default=[1, 8, 64])
    parser.add_argument("--workers", type=_numbers, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=2, help="for each measurement")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="ours and the floor, one row, 3 rounds, where nothing else is given",
    )
    if parser.parse_args(given).quick:
        parser.set_defaults(**_QUICK)
    told = parser.parse_args(given)
    cases = [
        Case(workers, model, rows, connections)
        for workers in told.workers
        for model in told.models
        for rows in told.rows
        for connections in told.connections
    ]
    return Plan(cases, told.peers, told.rounds, told.seconds)


def _names(text: str) -> list[str]:
    return [] if text == "none" else text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _measure_with(plan: Plan, workers: int, folder: Path) -> Iterator[Run]:
    """Measure all cases with so many workers; peers run only while their model is measured."""
    cases = [case for case in plan.cases if case.workers == workers]
    models = list(dict.fromkeys(case.model for case in cases))
    servers, load = _choose_pins(workers)
    with ExitStack() as stack:
        pin(servers)
        bed = stack.enter_context(Bed.laid(folder, workers, models))
        for model in models:
            pin(servers)
            with bed.targets(model, plan.peers) as targets:
                pin(load)
                for case in cases:
                    if case.model == model:
                        yield from _measure(plan, case, targets)
    pin(servers | load)


def _choose_pins(workers: int) -> tuple[set[int], set[int]]:
    """Return which CPUs serve and which make the load: apart for one worker, shared for more."""
    cpus = available_cpus()
    if len(cpus) < 2 or workers > 1:  # noqa: PLR2004 - one to serve, one to ask
        return set(cpus), set(cpus)
    return {cpus[0]}, {cpus[1]}


def _measure(plan: Plan, case: Case, targets: Sequence[Target]) -> Iterator[Run]:
    asked = [(target, target.probes(case.rows)) for target in targets]
    for target, probes in asked:
        if target.read is not None:
            check_answers(target.url, probes, target.read)
    for number in range(plan.rounds):
        for target, probes in asked:
            generate(Load(target.url, probes.bodies, case.connections, _WARM_S))
            before_s = cpu_s(target.pid)
            load = Load(target.url, probes.bodies, case.connections, plan.seconds)
            measured = generate(load)
            after_s = cpu_s(target.pid)
            cpu_us = None
            if before_s is not None and after_s is not None and measured.count:
                cpu_us = (after_s - before_s) / measured.count * 1e6
            print(
                f"w{case.workers} {case.model} r{case.rows:<5} c{case.connections:<3}"
                f"{target.name:10}{measured.rate:>10,.0f}/s  p99 {measured.p99_ms:.2f} ms",
                flush=True,
            )
            yield Run(number, case, target.name, measured, cpu_us, memory_bytes(target.pid))


def _least(rows: Sequence[Row]) -> list[Beside]:
    """Time by hand what we were asked for with one worker, and put our best beside it."""
    ours = [row for row in rows if row.target == OURS and row.case.workers == 1 and row.cpu_us]
    found = []
    for model, count in dict.fromkeys((row.case.model, row.case.rows) for row in ours):
        mine = [r.cpu_us for r in ours if (r.case.model, r.case.rows) == (model, count) if r.cpu_us]
        found.append(Beside(model, count, in_process.measure(train(model), count), min(mine)))
    return found


def _method(plan: Plan, runs: list[Run]) -> dict[str, Any]:
    return {
        "command": "python -m loadtests.bench " + " ".join(sys.argv[1:]),
        "seconds and rounds": f"{plan.seconds} s, {plan.rounds} rounds; medians",
        "generator": runs[0].measured.generator,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "floor": "bare ASGI callable, uvicorn, httptools, uvloop, fixed answer, the same bodies",
        "model A": "LogisticRegression, 4 columns",
        "model B": "RandomForestClassifier, 100 trees of depth 10, 20 columns",
        "model C": "HistGradientBoostingRegressor, 100 trees, 20 columns",
        "model D": "Pipeline(StandardScaler, LogisticRegression), 30 named columns",
        "model E": "GradientBoostingRegressor, 100 trees, 20 columns",
        "rows": "drawn at random; every answer was compared with the model's first",
        "mlserver": "in its one process whatever the workers: its parallel ones die with uvloop",
    }


def _write(report: Report) -> str:
    encoded = msgspec.json.encode(report)
    (RESULTS / "bench.json").write_bytes(msgspec.json.format(encoded, indent=2))
    method = "".join(f"- {name}: {text}\n" for name, text in report.method.items())
    text = (
        f"# Predict beside a floor and other servers\n\n{format_table(report.rows)}\n"
        "## CPU of a request beside its least, by hand, without HTTP\n\n"
        f"{format_least(report.least)}\n{method}"
    )
    (RESULTS / "bench.md").write_text(text)
    draw(report.rows, RESULTS / "bench.png")
    return text


if __name__ == "__main__":
    sys.exit(main())
