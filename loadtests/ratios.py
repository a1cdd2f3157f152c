"""From the runs of a bench to its table: medians, and shares of the floor within a round. Pure."""

from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct

from loadtests.generator import Measured

FLOOR = "floor"
OURS = "stagedoor"
_MIB = 2**20


class Case(Struct, frozen=True, order=True):
    """What all targets are asked in turn: runs of one case and round are compared.

    Args:
        workers: Worker processes.
        model: A to E.
        rows: In each request.
        connections: At the same time.
    """

    workers: int
    model: str
    rows: int
    connections: int


class Run(Struct, frozen=True):
    """One measurement.

    Args:
        round: Which round it belongs to.
        case: What was asked.
        target: What was measured.
        measured: What came of it.
        cpu_us: CPU of the target's processes per answer, or none.
        memory_bytes: Their proportional share of memory, after it; or none.
    """

    round: int
    case: Case
    target: str
    measured: Measured
    cpu_us: float | None
    memory_bytes: int | None = None


class Row(Struct, frozen=True):
    """One line of the table: medians over rounds, spreads as (least, most).

    Args:
        case: What was asked.
        target: What was measured.
        rate: Answers per second.
        p50_ms: Median time to an answer.
        p99_ms: The time that one in a hundred exceeds.
        cpu_us: CPU per answer, or none.
        memory_bytes: Of all its processes, or none.
        share: Of the floor's rate in the same round.
        share_spread: Its spread over rounds.
        ours_over: Our rate over this target's in the same round; or none.
        cpu_ratio: CPU per answer over the floor's, or none.
        failed: Requests without an answer, in all rounds.
    """

    case: Case
    target: str
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None
    memory_bytes: int | None
    share: float
    share_spread: tuple[float, float]
    ours_over: float | None
    cpu_ratio: float | None
    failed: int


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """Return a row for each case and target; targets in the order they came in."""
    places = list(dict.fromkeys((run.case, run.target) for run in runs))
    places.sort(key=lambda place: place[0])
    return [_row([run for run in runs if run.case == case], target) for case, target in places]


def format_table(rows: Iterable[Row]) -> str:
    """Write rows as a table in Markdown."""
    head = (
        "| workers | model | rows | connections | target | share of the floor (spread) "
        "| ours is x times | requests/s | p50 ms | p99 ms | CPU µs/request | CPU over the floor's "
        "| PSS MiB | failed |\n" + "|---" * 14 + "|\n"
    )
    return head + "".join(map(_line, rows))


def _row(runs: Sequence[Run], target: str) -> Row:
    mine = [run for run in runs if run.target == target]
    floors = _by_round(runs, FLOOR)
    ours = _by_round(runs, OURS)
    shares = [run.measured.rate / floors[run.round].measured.rate for run in mine]
    cpu_us = _median_or_none([run.cpu_us for run in mine])
    floor_cpu_us = _median_or_none([run.cpu_us for run in floors.values()])
    memory = _median_or_none([run.memory_bytes for run in mine])
    over = [
        ours[run.round].measured.rate / run.measured.rate
        for run in mine
        if run.round in ours and run.measured.rate
    ]
    return Row(
        case=mine[0].case,
        target=target,
        rate=median(run.measured.rate for run in mine),
        p50_ms=median(run.measured.p50_ms for run in mine),
        p99_ms=median(run.measured.p99_ms for run in mine),
        cpu_us=cpu_us,
        memory_bytes=None if memory is None else int(memory),
        share=median(shares),
        share_spread=(min(shares), max(shares)),
        ours_over=_median_or_none(over),
        cpu_ratio=cpu_us / floor_cpu_us if cpu_us and floor_cpu_us else None,
        failed=sum(run.measured.failed for run in mine),
    )


def _by_round(runs: Sequence[Run], target: str) -> dict[int, Run]:
    return {run.round: run for run in runs if run.target == target}


def _median_or_none(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _line(row: Row) -> str:
    case = row.case
    least, most = row.share_spread
    cells = (
        str(case.workers),
        case.model,
        str(case.rows),
        str(case.connections),
        row.target,
        f"{row.share:.3f} ({least:.3f} to {most:.3f})",
        _told(row.ours_over, ",.2f"),
        f"{row.rate:,.0f}",
        f"{row.p50_ms:.2f}",
        f"{row.p99_ms:.2f}",
        _told(row.cpu_us, ",.0f"),
        _told(row.cpu_ratio, ",.1f"),
        _told(None if row.memory_bytes is None else row.memory_bytes / _MIB, ",.0f"),
        str(row.failed),
    )
    return f"| {' | '.join(cells)} |\n"


def _told(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
