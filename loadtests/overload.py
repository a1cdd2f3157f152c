"""Asks a model ten times what it can answer, and judges the promise. ``make overload``.

    python -m loadtests.overload --seconds 60

A server of its own, with a model whose every row takes 20 ms in a process of its own. First an easy
load, then as many callers as it can answer, then ten times that, then the easy one again. Beside it
a few calls go to a bare server: what these take is the machine's and the generator's, not ours.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import stagedoor
from loadtests.bench_targets import floor_server
from loadtests.cpu import rss_bytes, waited_s
from loadtests.crowd import Asked, Crowd, press
from loadtests.overload_judge import TIMES, Phase, Record, goodput, judge, verdict_of
from stagedoor.demo.admin import Admin
from stagedoor.demo.server_process import ServerOptions, run_server

RESULTS = Path(__file__).parent / "results"
MODEL = "Slow"
ROW_S = 0.02
BODY = b'{"inputs": [[1.0, 2.0]]}'
_LOOK_EVERY_S = 0.25
_EASY_SHARE = 0.3
_WARM_S = 2.0
_FLOOR_CALLERS, _FLOOR_RATE = 20, 100.0
_EXIT_CODES = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 2}


class Sleeper:
    """Takes 20 ms for each row, and no CPU."""

    def predict(self, rows: Any) -> Any:
        """Sum up, slowly."""
        time.sleep(ROW_S * len(rows))
        return np.asarray(rows).sum(axis=1)


class Scale:
    """Weighs the processes of a server, in a thread of its own, until it is told to end."""

    def __init__(self, pid: int) -> None:
        self.memory: list[tuple[float, int]] = []
        self.waited_s = waited_s(pid)
        self._pid = pid
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._weigh, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop weighing."""
        self._ending.set()
        self._thread.join()
        self.waited_s = waited_s(self._pid) - self.waited_s

    def _weigh(self) -> None:
        while not self._ending.wait(_LOOK_EVERY_S):
            self.memory.append((time.monotonic(), rss_bytes(self._pid)))


def main() -> int:
    """Run the overload.

    Returns:
        0 when what was promised held, 1 when not, 2 when this machine was too busy to tell.
    """
    parser = argparse.ArgumentParser(prog="loadtests.overload", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--callers", type=int, default=400, help="connections of the overload")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stagedoor-overload-") as folder:
        record = _run(given, Path(folder))
    findings = judge(record)
    for finding in findings:
        print(f"{'good' if finding.is_good else 'BAD ':4}  {finding.check}: {finding.detail}")
    (RESULTS / "overload.json").write_bytes(msgspec.json.encode([findings, record.memory]))
    verdict = verdict_of(findings)
    print(verdict)
    return _EXIT_CODES[verdict]


def _run(given: argparse.Namespace, folder: Path) -> Record:
    options = ServerOptions(folder / "server", workers=given.workers)
    with floor_server(given.workers) as (floor, _), run_server(options) as server:
        _put_model(server.url)
        url = f"{server.url}/models/{MODEL}/invocations"
        scale = Scale(server.process.pid)
        easy = _EASY_SHARE * given.workers / ROW_S
        saturating = Crowd(url, BODY, 8 * given.workers, 1e6, max(5.0, given.seconds / 6))
        _play("warm", floor, Crowd(url, BODY, 2, easy, _WARM_S))
        usual = _play("usual", floor, Crowd(url, BODY, 4, easy, 5.0))
        peak = _play("peak", floor, saturating)
        rate = TIMES * goodput(peak)
        overload = _play("overload", floor, Crowd(url, BODY, given.callers, rate, given.seconds))
        after = _play("after", floor, Crowd(url, BODY, 4, easy, 10.0))
        scale.end()
        print(f"the server's processes waited {scale.waited_s:.1f} s for a CPU")
    return Record(usual, peak, overload, after, scale.memory)


def _play(name: str, floor: str, crowd: Crowd) -> Phase:
    begun_s = time.monotonic()
    beside = Crowd(f"{floor}/", BODY, _FLOOR_CALLERS, _FLOOR_RATE, crowd.seconds)
    asked, bare = asyncio.run(_press_both(crowd, beside))
    phase = Phase(begun_s, begun_s + crowd.seconds, asked, bare)
    print(f"{name:9} {len(asked):>7,} calls  {goodput(phase):>8,.1f} answers/s", flush=True)
    return phase


async def _press_both(crowd: Crowd, beside: Crowd) -> tuple[list[Asked], list[Asked]]:
    return await asyncio.gather(press(crowd), press(beside))


def _put_model(url: str) -> None:
    stagedoor.set_tracking_uri(url)
    with stagedoor.start_run(), Admin(url) as admin:
        stagedoor.sklearn.log_model(
            Sleeper(), "model", registered_model_name=MODEL, input_example=np.ones((2, 2))
        )
        admin.promote(MODEL, 1)


if __name__ == "__main__":
    sys.exit(main())
