"""How fast tracking is beside MLflow's own server, on the same data. ``make bench-tracking``.

    python -m loadtests.tracking_bench --seconds 5 --runs 1000 --many 100000

Both servers run on SQLite with one worker, one after the other asked the same: writes
over raw HTTP on four connections, writes by the real client, searches over some runs; ours alone
searches over many runs, which are put into its database in bulk. Quote ratios, not rates.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

from loadtests.mlflow_server import mlflow_server, run_client_script
from loadtests.tracking_data import fill_database, fill_over_wire
from loadtests.tracking_load import WRITES, ask, rate_of
from stagedoor.demo.server_process import ServerOptions, run_server

RESULTS = Path(__file__).parent / "results"
CONNECTIONS = 4
_REPEATS = 9
# Filters have another number each time, so that no server answers the same again.
_SEARCHES: dict[str, dict[str, Any]] = {
    "first page": {"max_results": 100},
    "filter on a metric": {"filter": "metrics.m1 > 0.90{n}", "max_results": 100},
    "param, tag and order_by": {
        "filter": "params.p1 = '{n}' and tags.t1 = 'v3'",
        "order_by": ["metrics.m2 DESC"],
        "max_results": 100,
    },
    "order_by a metric": {"order_by": ["metrics.m2 DESC"], "max_results": 100},
    "order_by a param": {"order_by": ["params.p2 DESC"], "max_results": 100},
    "all": {"max_results": 50_000},
}


class Measured(Struct, frozen=True):
    """What one server reached: calls per second, or milliseconds for a search. Immutable."""

    writes: dict[str, float]
    client: dict[str, float]
    searches: dict[str, float]


class Report(Struct, frozen=True):
    """What is written. Immutable."""

    method: dict[str, str]
    theirs: Measured | None
    ours: Measured
    many: dict[str, float]


def main() -> int:
    """Measure, and write the table and the raw numbers."""
    parser = argparse.ArgumentParser(prog="loadtests.tracking_bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=5, help="for each kind of write")
    parser.add_argument("--runs", type=int, default=1_000, help="that both search")
    parser.add_argument("--only", choices=["ours"], help="leave the other server out")
    parser.add_argument("--many", type=int, default=100_000, help="that ours searches; 0 for none")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stagedoor-bench-") as made:
        folder = Path(made)
        theirs = None
        if not given.only:
            with mlflow_server(folder / "theirs") as url:
                theirs = _measure(url, given)
        with run_server(ServerOptions(folder / "ours", workers=1)) as server:
            ours = _measure(server.url, given)
        many = _measure_many(folder / "many", given.many) if given.many else {}
    print(_write(Report(_method(given), theirs, ours, many)))
    return 0


def _measure(url: str, given: argparse.Namespace) -> Measured:
    writes = {}
    for name, write in WRITES.items():
        writes[name] = rate_of(url, write, connections=CONNECTIONS, seconds=given.seconds)
        _say(f"{url} {name}: {writes[name]:,.1f}/s")
    client = run_client_script("tracking_client.py", url=url, arguments=[str(given.seconds)])
    _say(f"{url} client: {client}")
    experiment_id = fill_over_wire(url, given.runs)
    return Measured(writes, client, _search(url, experiment_id))


def _search(url: str, experiment_id: str, *, without: Sequence[str] = ()) -> dict[str, float]:
    found = {}
    for name, query in _SEARCHES.items():
        if name in without:
            continue
        times = []
        for number in range(_REPEATS + 1):
            wanted = query.get("filter", "").format(n=number)
            body = {"experiment_ids": [experiment_id], **query, "filter": wanted}
            times.append(ask(url, "runs/search", body))
        del times[0]
        found[name] = median(times) * 1000
        _say(f"{url} search, {name}: {found[name]:,.1f} ms")
    return found


def _measure_many(folder: Path, count: int) -> dict[str, float]:
    """Search many runs of ours, and return milliseconds."""
    folder.mkdir(parents=True)
    experiment_id = fill_database(f"sqlite:///{folder}/stagedoor.db", count)
    with run_server(ServerOptions(folder, workers=1)) as server:
        return _search(server.url, experiment_id, without=("all",))


def _method(given: argparse.Namespace) -> dict[str, str]:
    return {
        "command": f"python -m loadtests.tracking_bench --seconds {given.seconds:g}"
        f" --runs {given.runs} --many {given.many}",
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "data": "runs of 10 metrics, 10 params and 5 tags each",
        "writes": f"{CONNECTIONS} connections, one call after the other on each, durable when told",
    }


def _write(report: Report) -> str:
    encoded = msgspec.json.encode(report)
    (RESULTS / "tracking.json").write_bytes(msgspec.json.format(encoded, indent=2))
    text = _format(report)
    (RESULTS / "tracking.md").write_text(text, encoding="utf-8")
    return text


def _format(report: Report) -> str:
    lines = ["# Tracking beside MLflow's own server", "", "| what | mlflow | ours | ratio |"]
    lines.append("|---|---|---|---|")

    def rows(kind: str, unit: str, ratio: Callable[[float, float], float]) -> None:
        theirs: dict[str, float] = getattr(report.theirs, kind, {})
        for name, value in getattr(report.ours, kind).items():
            their = theirs.get(name)
            shown = (
                ("-", "-")
                if their is None
                else (f"{their:,.1f} {unit}", f"{ratio(their, value):.1f}")
            )
            lines.append(f"| {kind}: {name} | {shown[0]} | {value:,.1f} {unit} | {shown[1]} |")

    rows("writes", "/s", lambda theirs, ours: ours / theirs)
    rows("client", "/s", lambda theirs, ours: ours / theirs)
    rows("searches", "ms", lambda theirs, ours: theirs / ours)
    lines += [f"| many runs: {name} | - | {ms:,.1f} ms | - |" for name, ms in report.many.items()]
    lines += ["", *(f"- {name}: {text}" for name, text in report.method.items())]
    return "\n".join(lines) + "\n"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
