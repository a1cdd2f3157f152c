"""What a token costs: predict on a server with auth beside one without.

    python -m loadtests.auth_bench --model A --connections 64 --rounds 5

The servers have a worker each on one CPU, and the load comes from another; they take turns within
a round. Read the ratio of medians, not the rates.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from gateway.auth.policy import Permission
from gateway.auth.tokens import create_token
from loadtests.cpu import available_cpus, cpu_s, pin
from loadtests.generator import Load, generate
from loadtests.models import Specimen, as_scoring, probe, put_models, train
from stagedoor.demo.server_process import ServerOptions, run_server
from tracking.clock import now_ms
from tracking.database import open_database

_WARM_S = 1


class Contestant(Struct, frozen=True):
    """One of the two servers."""

    name: str
    url: str
    pid: int
    authorization: str


class Round(Struct, frozen=True):
    """What one load came to: answers a second, and microseconds of CPU for each."""

    rate: float
    cpu_us: float


def main() -> int:
    """Measure and print a line for each server, and the ratio.

    Returns:
        0, or 1 when a request failed.
    """
    parser = argparse.ArgumentParser(prog="loadtests.auth_bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", default="A", help="A to E")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="for each measurement")
    given = parser.parse_args()
    specimen = train(given.model)
    bodies = probe(specimen, 1, as_scoring).bodies
    rounds: dict[str, list[Round]] = {}
    failed = 0
    cpus = available_cpus()
    pin({cpus[0]})
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="stagedoor-auth-"))
        contestants = stack.enter_context(_serving(Path(folder), specimen))
        pin({cpus[-1]})
        for one in contestants * given.rounds:
            load = Load(one.url, bodies, given.connections, given.seconds, one.authorization)
            made, wrong = _measure(one, load)
            rounds.setdefault(one.name, []).append(made)
            failed += wrong
    _tell(rounds)
    return 1 if failed else 0


@contextmanager
def _serving(folder: Path, specimen: Specimen) -> Iterator[list[Contestant]]:
    """Run both servers for the length of a ``with`` block."""
    open_one, guarded = folder / "open", folder / "guarded"
    with run_server(ServerOptions(guarded, workers=1)) as server:
        put_models(server.url, [specimen])
    database = open_database(f"sqlite:///{guarded / 'stagedoor.db'}")
    permissions = frozenset({Permission.PREDICT})
    token = create_token(database, "bench", permissions, now_ms=now_ms())
    database.close()
    path = f"/models/{specimen.name}/invocations"
    with (
        run_server(ServerOptions(open_one, workers=1)) as first,
        run_server(ServerOptions(guarded, workers=1, has_auth=True)) as second,
    ):
        put_models(first.url, [specimen])
        yield [
            Contestant("without", first.url + path, first.process.pid, ""),
            Contestant("with a token", second.url + path, second.process.pid, f"Bearer {token}"),
        ]


def _measure(one: Contestant, load: Load) -> tuple[Round, int]:
    """Put load on a server; return what came of it, and how many requests failed."""
    generate(Load(load.url, load.bodies, load.connections, _WARM_S, load.authorization))
    before_s = cpu_s(one.pid) or 0.0
    measured = generate(load)
    spent_s = (cpu_s(one.pid) or 0.0) - before_s
    return Round(measured.rate, spent_s / max(1, measured.count) * 1e6), measured.failed


def _tell(rounds: dict[str, list[Round]]) -> None:
    rates = []
    for name, made in rounds.items():
        rates.append(statistics.median(one.rate for one in made))
        cpu_us = statistics.median(one.cpu_us for one in made)
        print(f"{name:14}{rates[-1]:>10,.0f}/s  {cpu_us:.1f} us of CPU a request")
    print(f"ratio {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    sys.exit(main())
