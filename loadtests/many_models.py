"""A thousand registered models and a hundred hot ones on one small machine. ``make many-models``.

    python -m loadtests.many_models --models 1000 --hot 100 --rounds 5 --seconds 3

Registers many models from a few small ones, promotes them all, starts the server again, and asks
the hot ones alone and, in turns, beside random others, which are loaded as they are asked for.
Every answer is compared with the model's own.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from msgspec import Struct

import stagedoor
from gateway.serving.memory import process_bytes
from loadtests.cpu import cpu_s
from loadtests.many_clients import Crowd, Delays, put_load, write_ask
from stagedoor.demo.admin import Admin
from stagedoor.demo.server_process import ServerOptions, run_server

RESULTS = Path(__file__).parent / "results"
SOURCES = 5
WORST_RATIO = 1.25
"""How much longer the hot set's p99 may take beside cold models than alone."""
WORST_SLOWDOWN = 2.0
"""How much longer the last promotions may take than the first."""
_ROW = [1.0, 2.0, 3.0, 4.0]
_TENTHS = 10


class Orders(Struct, frozen=True):
    """What is to be measured, as the command line has it."""

    models: int
    hot: int
    rounds: int
    seconds: float
    workers: int
    rate: float
    cold_rate: float
    preload: str


class Report(Struct, frozen=True):
    """What was found.

    Args:
        orders: What was measured.
        register_s: Seconds that all registrations took.
        convert_s: Seconds that the first promotions took, of one model of each kind.
        promote_s: Seconds that all others took.
        slowdown: How much longer the last tenth of these took than the first.
        ready_s: Seconds from the start to ready, with all models in Production.
        ready_cpu_s: Seconds of CPU that all processes of the server took for it.
        pss_mib: Of the server's processes: when ready, and at the end.
        alone: The hot set's delays in each round, alone.
        beside: The same beside cold models.
        cold: The cold models' own delays.
    """

    orders: Orders
    register_s: float
    convert_s: float
    promote_s: float
    slowdown: float
    ready_s: float
    ready_cpu_s: float
    pss_mib: tuple[float, float]
    alone: list[Delays]
    beside: list[Delays]
    cold: list[Delays]

    @property
    def ratio(self) -> float:
        """The median over rounds of the hot set's p99 beside cold models to that alone."""
        pairs = zip(self.beside, self.alone, strict=True)
        return statistics.median(beside.p99_ms / alone.p99_ms for beside, alone in pairs)

    def verdict(self) -> list[tuple[str, bool]]:
        """Say what holds and what does not."""
        every = [*self.alone, *self.beside, *self.cold]
        wrong = sum(one.wrong for one in every)
        hot = (
            f"p99 of the hot set beside cold models is {self.ratio:.2f} times that alone, "
            f"at most {WORST_RATIO}"
        )
        promotions = (
            f"the last promotions took {self.slowdown:.2f} times as long as the first, "
            f"at most {WORST_SLOWDOWN}"
        )
        return [
            (f"{sum(one.count for one in every)} answers, {wrong} of them wrong", wrong == 0),
            (hot, self.ratio <= WORST_RATIO),
            (promotions, self.slowdown <= WORST_SLOWDOWN),
        ]


def main() -> int:
    """Measure, print and keep the report; return 0 when all holds."""
    orders = _read_arguments()
    with tempfile.TemporaryDirectory(prefix="stagedoor-many-") as folder:
        report = measure(orders, Path(folder))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / "many_models.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    _print(report)
    print(f"The figures are in {file}.")
    return 0 if all(is_good for _, is_good in report.verdict()) else 1


def measure(orders: Orders, folder: Path) -> Report:
    """Register, promote, start again, and put load on the server."""
    settings = {"serving": f'preload = ["{orders.preload}"]'}
    options = ServerOptions(folder, workers=orders.workers, settings=settings)
    with run_server(options) as server:
        register_s, names = _register(server.url, orders.models)
        convert_s = _promote(server.url, list(names)[:SOURCES])
        took_s = _promote(server.url, list(names)[SOURCES:])
    started_s = time.monotonic()
    with run_server(options) as server:
        ready_s = time.monotonic() - started_s
        ready_cpu_s = cpu_s(server.process.pid) or 0.0
        pss_ready = process_bytes(server.process.pid)
        alone, beside, cold = asyncio.run(_put_loads(server.url, names, orders))
        pss_end = process_bytes(server.process.pid)
    tenth = max(1, len(took_s) // _TENTHS)
    return Report(
        orders=orders,
        register_s=register_s,
        convert_s=sum(convert_s),
        promote_s=sum(took_s),
        slowdown=statistics.median(took_s[-tenth:]) / statistics.median(took_s[:tenth]),
        ready_s=ready_s,
        ready_cpu_s=ready_cpu_s,
        pss_mib=(pss_ready / (1 << 20), pss_end / (1 << 20)),
        alone=alone,
        beside=beside,
        cold=cold,
    )


async def _put_loads(
    url: str, names: dict[str, float], orders: Orders
) -> tuple[list[Delays], list[Delays], list[Delays]]:
    body = msgspec.json.encode({"inputs": [_ROW]})
    asks = [write_ask(url, name, body, answer) for name, answer in names.items()]
    hot = Crowd(asks[: orders.hot], orders.rate, connections=16)
    others = Crowd(asks[orders.hot :] or asks, orders.cold_rate, connections=4)
    await put_load(url, hot, orders.seconds)  # until they are all loaded
    alone, beside, cold = [], [], []
    for _ in range(orders.rounds):
        alone.append(await put_load(url, hot, orders.seconds))
        both = (put_load(url, crowd, orders.seconds) for crowd in (hot, others))
        with_others, of_others = await asyncio.gather(*both)
        beside.append(with_others)
        cold.append(of_others)
    return alone, beside, cold


def _register(url: str, count: int) -> tuple[float, dict[str, float]]:
    """Register models; return the seconds it took, and what each answers to the row."""
    stagedoor.set_tracking_uri(url)
    sources = list(_sources(min(SOURCES, count)))
    started_s = time.monotonic()
    answers = {}
    with httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=60, trust_env=False) as client:
        for number, (source, answer) in zip(range(count), itertools.cycle(sources), strict=False):
            name = f"many-{number}"
            version = {"name": name, "source": source, "run_id": source.split("/")[1]}
            for path, asked in (
                ("registered-models/create", {"name": name}),
                ("model-versions/create", version),
            ):
                client.post(path, json=asked).raise_for_status()
            answers[name] = answer
    return time.monotonic() - started_s, answers


def _sources(count: int) -> Iterator[tuple[str, float]]:
    """Log small models that differ; yield where each is, and what it answers to the row."""
    from sklearn.linear_model import LinearRegression

    rows = np.arange(40.0).reshape(10, 4) % 7
    for number in range(count):
        model: Any = LinearRegression().fit(rows, rows @ [1.0, 2.0, 3.0, float(number)])
        with stagedoor.start_run():
            logged = stagedoor.sklearn.log_model(model, "model", input_example=rows[:2])
        yield logged.model_uri, float(model.predict([_ROW])[0])


def _promote(url: str, names: list[str]) -> list[float]:
    """Promote every model, one after the other; return the seconds that each took."""
    took_s = []
    with Admin(url) as admin:
        for name in names:
            started_s = time.monotonic()
            admin.promote(name, 1)
            took_s.append(time.monotonic() - started_s)
    return took_s


def _print(report: Report) -> None:
    orders = report.orders
    print(f"{orders.models} models, {orders.hot} hot, {orders.workers} workers, one machine:")
    print(f"  registered in {report.register_s:.1f} s, promoted in {report.promote_s:.1f} s")
    print(f"  besides {report.convert_s:.1f} s for the first of each kind")
    cpu = f"{report.ready_cpu_s:.1f} s of CPU"
    print(f"  ready {report.ready_s:.1f} s after its start, {cpu}, --preload {orders.preload}")
    before, after = report.pss_mib
    print(f"  all its processes take {before:.0f} MiB then, {after:.0f} MiB at the end")
    found = {"alone": report.alone, "beside": report.beside, "cold": report.cold}
    for name, rounds in found.items():
        p50s, p99s = ([getattr(one, each) for one in rounds] for each in ("p50_ms", "p99_ms"))
        medians = f"p50 {statistics.median(p50s):.2f} ms, p99 {statistics.median(p99s):.2f} ms"
        print(f"  {name:7} {sum(one.count for one in rounds):6} answers, {medians}")
    for what, is_good in report.verdict():
        print(f"  {'ok    ' if is_good else 'FAILED'} {what}")


def _read_arguments() -> Orders:
    parser = argparse.ArgumentParser(prog="loadtests.many_models", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--models", type=int, default=1000, help="registered, and in Production")
    parser.add_argument("--hot", type=int, default=100, help="asked all the time")
    parser.add_argument("--rounds", type=int, default=5, help="alone and beside, in turns")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each half of a round")
    parser.add_argument("--workers", type=int, default=2, help="workers of the server")
    parser.add_argument("--rate", type=float, default=300.0, help="hot requests a second")
    parser.add_argument("--cold-rate", type=float, default=20.0, help="cold requests a second")
    parser.add_argument("--preload", default="none", help="what the server loads at its start")
    return Orders(**vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
