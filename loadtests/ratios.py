"""From the runs of a bench to its table: medians, and shares of the floor within a round. Pure."""

from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct

from loadtests.generator import Measured

FLOOR = "floor"


class Run(Struct, frozen=True):
    """One measurement.

    Args:
        round: Which round it belongs to; runs of one round are compared with each other.
        target: What was measured.
        connections: At the same time.
        measured: What came of it.
        cpu_us: CPU of the target's processes per answer, or none.
    """

    round: int
    target: str
    connections: int
    measured: Measured
    cpu_us: float | None


class Row(Struct, frozen=True):
    """One line of the table: medians over rounds, spreads as (least, most).

    Args:
        target: What was measured.
        connections: At the same time.
        rate: Answers per second.
        p50_ms: Median time to an answer.
        p99_ms: The time that one in a hundred exceeds.
        cpu_us: CPU per answer, or none.
        share: Of the floor's rate in the same round.
        share_spread: Its spread over rounds.
        cpu_ratio: CPU per answer over the floor's, or none.
        failed: Requests without an answer, in all rounds.
    """

    target: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None
    share: float
    share_spread: tuple[float, float]
    cpu_ratio: float | None
    failed: int


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each target and number of connections, in the order they came in."""
    places = list(dict.fromkeys((run.connections, run.target) for run in runs))
    places.sort(key=lambda place: place[0])
    return [_row(runs, target, connections) for connections, target in places]


def format_table(rows: Iterable[Row]) -> str:
    """Write rows as a table in Markdown."""
    head = (
        "| target | connections | share of the floor (spread) | requests/s | p50 ms | p99 ms "
        "| CPU µs/request | CPU over the floor's | failed |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(_line(row) for row in rows)


def _row(runs: Sequence[Run], target: str, connections: int) -> Row:
    mine = [run for run in runs if run.target == target and run.connections == connections]
    floors = {run.round: run for run in runs if _is_floor(run, connections)}
    shares = [run.measured.rate / floors[run.round].measured.rate for run in mine]
    cpu_us = _median_or_none([run.cpu_us for run in mine])
    floor_cpu_us = _median_or_none([run.cpu_us for run in floors.values()])
    return Row(
        target=target,
        connections=connections,
        rate=median(run.measured.rate for run in mine),
        p50_ms=median(run.measured.p50_ms for run in mine),
        p99_ms=median(run.measured.p99_ms for run in mine),
        cpu_us=cpu_us,
        share=median(shares),
        share_spread=(min(shares), max(shares)),
        cpu_ratio=cpu_us / floor_cpu_us if cpu_us and floor_cpu_us else None,
        failed=sum(run.measured.failed for run in mine),
    )


def _is_floor(run: Run, connections: int) -> bool:
    return run.target == FLOOR and run.connections == connections


def _median_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _line(row: Row) -> str:
    least, most = row.share_spread
    cpu = "-" if row.cpu_us is None else f"{row.cpu_us:,.0f}"
    over = "-" if row.cpu_ratio is None else f"{row.cpu_ratio:.1f}"
    return (
        f"| {row.target} | {row.connections} | {row.share:.3f} ({least:.3f} to {most:.3f}) "
        f"| {row.rate:,.0f} | {row.p50_ms:.2f} | {row.p99_ms:.2f} | {cpu} | {over} "
        f"| {row.failed} |\n"
    )
