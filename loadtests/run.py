"""Runs the load tests: a server of their own, models, locust, a verdict. ``make loadtest``.

    python -m loadtests.run --scenario canary --duration 30
    python -m loadtests.run --ui --scenario promote_under_load

Reports, histories and verdicts go into ``loadtests/results/``.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from loadtests.history import read_history
from loadtests.judge import Verdict, judge
from loadtests.plan import Plan, Scenario, write_plan
from loadtests.prepare import arrange, prepare
from stagedoor.demo.admin import Admin
from stagedoor.demo.server_process import ServerOptions, run_server

RESULTS = Path(__file__).parent / "results"
UI_ADDRESS = "127.0.0.1"
UI_PORT = 8089
_USERS = {
    Scenario.PREDICT: ("Caller",),
    Scenario.CANARY: ("Caller",),
    Scenario.PROMOTE: ("Caller", "Switcher"),
}


class Orders(Struct, frozen=True):
    """What is to be run.

    Args:
        scenarios: Which, in order.
        duration_s: How long each lasts.
        users: How many callers.
        workers: Worker processes of the server.
        is_open: Whether locust's own page is opened instead, for the first scenario.
    """

    scenarios: list[Scenario]
    duration_s: int
    users: int
    workers: int
    is_open: bool


def main() -> int:
    """Run the scenarios that the command line names.

    Returns:
        0 when every verdict is good, else 1.
    """
    orders = _read_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stagedoor-loadtest-") as folder:
        verdicts = [_run(scenario, orders, Path(folder)) for scenario in orders.scenarios]
    good = all(verdict.is_good for verdict in verdicts)
    print("PASS" if good else "FAIL", "-", f"reports in {RESULTS}")
    return 0 if good else 1


def _run(scenario: Scenario, orders: Orders, parent: Path) -> Verdict:
    """Run one scenario on a fresh server."""
    options = ServerOptions(parent / scenario, workers=orders.workers)
    history = RESULTS / f"{scenario}.jsonl"
    with run_server(options) as server, Admin(server.url) as admin:
        print(f"{scenario}: {orders.workers} workers at {server.url}", flush=True)
        plan = arrange(scenario, admin, prepare(server.url))
        plan_file = options.folder / "plan.json"
        write_plan(plan, plan_file)
        files = ["--plan", str(plan_file), "--history", str(history), "--host", server.url]
        try:
            _run_locust(scenario, orders, files)
        finally:
            shutil.copy(server.log, RESULTS / f"{scenario}.server.log")
    return _conclude(plan, history)


def _run_locust(scenario: Scenario, orders: Orders, files: list[str]) -> None:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", *files]
    command += ["--users", str(orders.users), "--spawn-rate", str(orders.users)]
    if orders.is_open:
        print(f"Open http://{UI_ADDRESS}:{UI_PORT} and start; Ctrl-C here ends it.", flush=True)
        command += ["--web-host", UI_ADDRESS, "--web-port", str(UI_PORT)]
    else:
        command += ["--headless", "--run-time", f"{orders.duration_s}s", "--stop-timeout", "30"]
        command += ["--only-summary", "--loglevel", "WARNING"]
        command += ["--html", str(RESULTS / f"{scenario}.html")]
        command += ["--json-file", str(RESULTS / f"{scenario}.locust")]
    locust = subprocess.Popen([*command, *_USERS[scenario]], cwd=RESULTS.parent.parent)
    try:
        locust.wait()
    except KeyboardInterrupt:
        locust.terminate()
    finally:
        # Its exit code is left alone: the history says more.
        locust.wait()


def _conclude(plan: Plan, history: Path) -> Verdict:
    with history.open("rb") as lines:
        verdict = judge(plan, read_history(lines))
    report = RESULTS / f"{plan.scenario}.json"
    report.write_bytes(msgspec.json.format(msgspec.json.encode(verdict), indent=2))
    print(f"{plan.scenario}: {'PASS' if verdict.is_good else 'FAIL'}")
    for finding in verdict.findings:
        print(f"  {'ok    ' if finding.is_good else 'FAILED'} {finding.check}: {finding.detail}")
    return verdict


def _read_arguments() -> Orders:
    parser = argparse.ArgumentParser(prog="loadtests.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--scenario", choices=list(Scenario), action="append", type=Scenario)
    parser.add_argument("--duration", type=int, default=20, help="seconds a scenario lasts")
    parser.add_argument("--users", type=int, default=16, help="callers at the same time")
    parser.add_argument("--workers", type=int, default=2, help="workers of the server")
    parser.add_argument("--ui", action="store_true", help="open locust's own page instead")
    given = parser.parse_args()
    scenarios = given.scenario or list(Scenario)
    return Orders(
        scenarios=scenarios[:1] if given.ui else scenarios,
        duration_s=given.duration,
        users=given.users,
        workers=given.workers,
        is_open=given.ui,
    )


if __name__ == "__main__":
    sys.exit(main())
