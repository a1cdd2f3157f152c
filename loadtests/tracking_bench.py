"""How fast tracking is beside MLflow's own server, on the same data. ``make bench-tracking``.

    python -m loadtests.tracking_bench --seconds 5 --runs 1000 --many 100000

Both servers run on SQLite with one worker, and are asked the same in turns: writes over raw HTTP on
four connections, writes by the real client, searches over some runs; ours alone searches over many
runs, which are put into its database in bulk. The real client also writes to a server that answers
at once (``instant``): more than it reaches there it reaches nowhere. Quote ratios, not rates.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from msgspec import Struct

from loadtests.instant import instant_server
from loadtests.mlflow_server import mlflow_server, run_client_script
from loadtests.tracking_data import fill_database, fill_over_wire
from loadtests.tracking_load import WRITES, ask, rate_of
from stagedoor.demo.server_process import ServerOptions, run_server

RESULTS = Path(__file__).parent / "results"
CONNECTIONS = 4
THEIRS, OURS, INSTANT = "mlflow", "ours", "instant"
_REPEATS = 9
_KINDS = ["writes", "client", "searches"]
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

    writes: dict[str, float] = {}
    client: dict[str, float] = {}
    searches: dict[str, float] = {}


class Report(Struct, frozen=True):
    """What is written. Immutable."""

    method: dict[str, str]
    servers: dict[str, Measured]
    many: dict[str, float]


def main() -> int:
    """Measure, and write the table and the raw numbers."""
    parser = argparse.ArgumentParser(prog="loadtests.tracking_bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=5, help="for each kind of write")
    parser.add_argument("--runs", type=int, default=1_000, help="that both search")
    parser.add_argument("--only", choices=["ours"], help="leave the other server out")
    parser.add_argument("--kinds", nargs="+", choices=_KINDS, default=_KINDS, help="only these")
    parser.add_argument("--many", type=int, default=100_000, help="that ours searches; 0 for none")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stagedoor-bench-") as made:
        folder = Path(made)
        with _servers(folder, given) as urls:
            servers = _measure(urls, given)
        many = _measure_many(folder / "many", given.many) if given.many else {}
    print(_write(Report(_method(given), servers, many)))
    return 0


@contextmanager
def _servers(folder: Path, given: argparse.Namespace) -> Iterator[dict[str, str]]:
    """Start the servers, and give their URLs."""
    with ExitStack() as stack:
        urls = {}
        if not given.only:
            urls[THEIRS] = stack.enter_context(mlflow_server(folder / "theirs"))
        options = ServerOptions(folder / "ours", workers=1)
        urls[OURS] = stack.enter_context(run_server(options)).url
        if "client" in given.kinds:
            urls[INSTANT] = stack.enter_context(instant_server())
        yield urls


def _measure(urls: dict[str, str], given: argparse.Namespace) -> dict[str, Measured]:
    real = {name: url for name, url in urls.items() if name != INSTANT}
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in urls}
    if "writes" in given.kinds:
        for name, rates in _write_raw(real, given.seconds).items():
            found[name]["writes"] = rates
    if "client" in given.kinds:
        for name, rates in _write_by_client(urls, given.seconds).items():
            found[name]["client"] = rates
    if "searches" in given.kinds:
        experiments = {name: fill_over_wire(url, given.runs) for name, url in real.items()}
        for name, url in real.items():
            found[name]["searches"] = _search(url, experiments[name])
    return {name: Measured(**of_kinds) for name, of_kinds in found.items()}


def _write_raw(urls: dict[str, str], seconds: float) -> dict[str, dict[str, float]]:
    rates: dict[str, dict[str, float]] = {name: {} for name in urls}
    for kind, write in WRITES.items():
        for name, url in urls.items():
            rate = rate_of(url, write, connections=CONNECTIONS, seconds=seconds)
            rates[name][kind] = rate
            _say(f"{name} {kind}: {rate:,.1f}/s")
    return rates


def _write_by_client(urls: dict[str, str], seconds: float) -> dict[str, dict[str, float]]:
    arguments = [str(seconds), *urls.values()]
    told = run_client_script("tracking_client.py", url=urls[OURS], arguments=arguments)
    _say(f"client: {told}")
    rates: dict[str, dict[str, float]] = {}
    for name, url in urls.items():
        of_server = {key: rate for key, rate in told.items() if key.startswith(f"{url} ")}
        rates[name] = {key.removeprefix(f"{url} "): rate for key, rate in of_server.items()}
    return rates


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
    lines = ["# Tracking beside MLflow's own server", ""]
    lines.append(f"| what | {THEIRS} | {OURS} | ratio | {INSTANT} | ratio |")
    lines.append("|---|---|---|---|---|---|")
    lines += _rows(report, "writes", "/s", lambda theirs, ours: ours / theirs)
    lines += _rows(report, "client", "/s", lambda theirs, ours: ours / theirs)
    lines += _rows(report, "searches", "ms", lambda theirs, ours: theirs / ours)
    lines += [
        f"| many runs: {name} | - | {ms:,.1f} ms | - | - | - |" for name, ms in report.many.items()
    ]
    lines += ["", *(f"- {name}: {text}" for name, text in report.method.items())]
    return "\n".join(lines) + "\n"


def _rows(
    report: Report, kind: str, unit: str, ratio: Callable[[float, float], float]
) -> Iterator[str]:
    reached = {name: getattr(found, kind) for name, found in report.servers.items()}
    for name in reached[OURS]:
        their = reached.get(THEIRS, {}).get(name)
        cells = [f"{kind}: {name}", _told(their, unit)]
        for server in (OURS, INSTANT):
            value = reached.get(server, {}).get(name)
            known = their is not None and value is not None
            cells += [_told(value, unit), f"{ratio(their, value):.1f}" if known else "-"]
        yield f"| {' | '.join(cells)} |"


def _told(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:,.1f} {unit}"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
