"""How long a server takes to its first answer. ``make bench-start``.

    python -m loadtests.start_bench --times 5

Three starts, with one worker: on a new database, on the one that is there then, and with a forest
in Production whose engine is in the host's cache. For each the least of several: seconds until
``/health/live`` and ``/health/ready`` answer with 200, and seconds of CPU of all processes until
then, which tell more on a machine that is busy.
"""

import argparse
import http.client
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from loadtests.cpu import cpu_s, ended_cpu_s
from loadtests.models import put_models, train
from stagedoor.demo.server_process import ServerOptions, ServerProcess, run_server, start_server

_PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.005
_SUCCESS = 200
_FOREST = "B"


class Start(Struct, frozen=True):
    """One start: seconds, and seconds of CPU, until it lived and until it was ready. Immutable."""

    live_s: float
    live_cpu_s: float
    ready_s: float
    ready_cpu_s: float


def main() -> int:
    """Measure, and print a line for each kind of start."""
    parser = argparse.ArgumentParser(prog="loadtests.start_bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--times", type=int, default=5, help="of which the least is told")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stagedoor-start-") as made:
        options = ServerOptions(Path(made) / "server", workers=1)

        def remove() -> None:
            shutil.rmtree(options.folder, ignore_errors=True)

        _tell("a new database", options, given.times, before=remove)
        _tell("an empty registry", options, given.times)
        with run_server(options) as server:
            put_models(server.url, [train(_FOREST)])
        _tell("a forest in Production, cached", options, given.times)
    return 0


def _tell(
    name: str, options: ServerOptions, times: int, *, before: Callable[[], None] = lambda: None
) -> None:
    starts = []
    for _ in range(times):
        before()
        starts.append(_start(options))
    least = {field: min(getattr(one, field) for one in starts) for field in Start.__struct_fields__}
    print(
        f"{name}: live after {least['live_s']:.2f} s ({least['live_cpu_s']:.2f} s of CPU),"
        f" ready after {least['ready_s']:.2f} s ({least['ready_cpu_s']:.2f} s of CPU)",
        flush=True,
    )


def _start(options: ServerOptions) -> Start:
    started_s = time.perf_counter()
    with start_server(options) as server:
        _wait_for(server, "/health/live")
        live_s, live_cpu_s = time.perf_counter() - started_s, _cpu_s(server)
        _wait_for(server, "/health/ready")
        return Start(live_s, live_cpu_s, time.perf_counter() - started_s, _cpu_s(server))


def _wait_for(server: ServerProcess, path: str) -> None:
    """Ask until a path answers with 200.

    Raises:
        TimeoutError: It never did.
    """
    ends_at = time.monotonic() + _PATIENCE_S
    while server.process.poll() is None and time.monotonic() < ends_at:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=_PATIENCE_S)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == _SUCCESS:
                return
        except OSError:
            pass  # nobody listens yet
        finally:
            connection.close()
        time.sleep(_LOOK_EVERY_S)
    raise TimeoutError(f"{path} did not answer: see {server.log}")


def _cpu_s(server: ServerProcess) -> float:
    return (cpu_s(server.process.pid) or 0.0) + ended_cpu_s(server.process.pid)


if __name__ == "__main__":
    sys.exit(main())
