"""How fast tracking answers from millions of points. ``make bench-tracking-large``.

    python -m loadtests.tracking_large --points 10000000

SQLite, one worker, one call at a time, over raw HTTP: medians, and the slowest. Two curves of a
tenth of all points are the same but for the buckets, which one of them has not; the other points
are those of runs of ten metrics. They are made in SQL, so the file is there in a minute or two.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sqlalchemy import Connection as Database
from sqlalchemy import text

from loadtests.tracking_load import Connection
from stagedoor.demo.server_process import ServerOptions, run_server
from tracking.database import open_database
from tracking.sql_buckets import Curve, file_anew
from tracking.sql_store import SqlTrackingStore
from tracking.wire import CreateExperiment

RESULTS = Path(__file__).parent / "results"
KEYS = 10
OF_EACH_KEY = 500
_LONG, _BARE = "long", "bare"
_REPEATS = 9
_MAKE = Path(__file__).with_suffix(".sql")


def main() -> int:
    """Make the database, ask, and write the table."""
    parser = argparse.ArgumentParser(prog="loadtests.tracking_large", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--points", type=int, default=10_000_000, help="of metrics, in all")
    parser.add_argument("--folder", help="where the database is made; a new one if not given")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stagedoor-large-", dir=given.folder) as made:
        began_s = time.perf_counter()
        runs = fill(f"sqlite:///{made}/stagedoor.db", given.points)
        print(f"made in {time.perf_counter() - began_s:,.0f} s", flush=True)
        began_s = time.perf_counter()
        with run_server(ServerOptions(Path(made), workers=1)) as server:
            started_s = time.perf_counter() - began_s
            lines = _ask_all(server.url, given.points, runs)
    lines.append(f"| start to ready | {started_s * 1000:,.0f} | |")
    report = _report(lines, given.points)
    (RESULTS / "tracking-large.md").write_text(report, encoding="utf-8")
    print(report)
    return 0


def fill(uri: str, points: int) -> int:
    """Make a database of so many points, and return of how many runs besides the two long ones."""
    database = open_database(uri)
    number = SqlTrackingStore(database).create_experiment(CreateExperiment(name="large"))
    length = points // 10
    runs = max(1, (points - 2 * length) // (KEYS * OF_EACH_KEY))

    def make(connection: Database) -> None:
        bound: dict[str, int | str] = {"number": int(number), "runs": runs, "length": length}
        bound |= {"keys": KEYS, "each": OF_EACH_KEY, "long": _LONG, "bare": _BARE}
        for statement in _MAKE.read_text(encoding="utf-8").split(";\n"):
            connection.execute(text(statement), bound)
        file_anew(connection, Curve(_LONG, "loss"))

    database.write(make)
    database.close()
    return runs


def _ask_all(url: str, points: int, runs: int) -> list[str]:
    connection = Connection(url)
    some, length = f"run{runs // 2}", points // 10
    experiment_id = _experiment_of(connection, some)
    history, sample = "metrics/get-history", "metrics/get-history-bulk-interval"
    page = f"{history}?run_id={_LONG}&metric_key=loss&max_results=25000"

    def sampled(run_id: str, most: int = 2_500, steps: tuple[int, int] | None = None) -> str:
        within = f"&start_step={steps[0]}&end_step={steps[1]}" if steps else ""
        return f"{sample}?run_ids={run_id}&metric_key=loss&max_results={most}{within}"

    def search(wanted: str, order: list[str]) -> Callable[[], bytes]:
        body = {"experiment_ids": [experiment_id], "filter": wanted, "order_by": order,
                "max_results": 100}  # fmt: skip
        return lambda: connection.post("runs/search", body)

    questions: dict[str, Callable[[], bytes]] = {
        "latest of each of 10 metrics of a run (runs/get)": lambda: connection.get(
            f"runs/get?run_id={some}"
        ),
        f"history of {OF_EACH_KEY} points": lambda: connection.get(
            f"{history}?run_id={some}&metric_key=m3"
        ),
        f"first page of 25,000 of {length:,} points": lambda: connection.get(page),
        "search, filter on a metric, few fit": search("metrics.m1 > 0.999", []),
        "search, filter on a metric, half fit": search("metrics.m1 > 0.5", []),
        "search, order by a metric": search("", ["metrics.m2 DESC"]),
        f"curve of {length:,} points, 2,500 told": lambda: connection.get(sampled(_LONG)),
        f"curve of {length:,} points, 320 told": lambda: connection.get(sampled(_LONG, 320)),
        "a tenth of it, 2,500 told": lambda: connection.get(
            sampled(_LONG, steps=(length // 3, length // 3 + length // 10))
        ),
        "a hundredth of it, 2,500 told": lambda: connection.get(
            sampled(_LONG, steps=(length // 3, length // 3 + length // 100))
        ),
        "the curve without buckets, 2,500 told": lambda: connection.get(sampled(_BARE)),
    }
    return [_measured(name, ask) for name, ask in questions.items()]


def _experiment_of(connection: Connection, run_id: str) -> str:
    told = connection.get(f"runs/get?run_id={run_id}").decode()
    return told.partition('"experiment_id":"')[2].partition('"')[0]


def _measured(name: str, ask: Callable[[], bytes]) -> str:
    times = []
    for _ in range(_REPEATS):
        began_s = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began_s) * 1000)
    line = f"| {name} | {median(times):,.1f} | {max(times):,.1f} |"
    print(line, flush=True)
    return line


def _report(lines: list[str], points: int) -> str:
    head = [f"# Tracking with {points:,} points", "", "| what | median ms | slowest ms |"]
    method = f"python -m loadtests.tracking_large --points {points}, Python"
    foot = ["", f"- {method} {platform.python_version()}, {platform.machine()}"]
    return "\n".join([*head, "|---|---|---|", *lines, *foot]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
