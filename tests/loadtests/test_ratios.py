import pytest

from loadtests.generator import Measured
from loadtests.ratios import FLOOR, Run, format_table, rows_of


def make_run(number: int, target: str, rate: float, cpu_us: float | None = None) -> Run:
    return Run(number, target, 64, Measured("wrk", 100, 0, rate, 1.0, 2.0), cpu_us)


RUNS = [
    make_run(0, FLOOR, 1000.0, 10.0),
    make_run(0, "ours", 500.0, 20.0),
    make_run(1, FLOOR, 100.0, 12.0),
    make_run(1, "ours", 70.0, 22.0),
    make_run(2, FLOOR, 200.0, 14.0),
    make_run(2, "ours", 120.0, 24.0),
]


def test_a_share_is_taken_within_each_round() -> None:
    floor, ours = rows_of(RUNS)

    assert (floor.share, floor.share_spread) == (1.0, (1.0, 1.0))
    assert ours.share == pytest.approx(0.6)
    assert list(ours.share_spread) == pytest.approx([0.5, 0.7])


def test_cpu_is_compared_by_medians() -> None:
    ours = rows_of(RUNS)[1]

    assert ours.cpu_us == 22.0
    assert ours.cpu_ratio == pytest.approx(22 / 12)


def test_unknown_cpu_is_left_out() -> None:
    rows = rows_of([make_run(0, FLOOR, 1000.0), make_run(0, "ours", 500.0)])

    assert [row.cpu_ratio for row in rows] == [None, None]
    assert "| ours | 64 | 0.500 (0.500 to 0.500) | 500 | 1.00 | 2.00 | - | - | 0 |" in format_table(
        rows
    )
