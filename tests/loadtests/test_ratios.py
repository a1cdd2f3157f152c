import pytest

from loadtests.generator import Measured
from loadtests.ratios import FLOOR, OURS, Case, Run, format_table, rows_of

CASE = Case(workers=1, model="B", rows=1, connections=64)


def make_run(number: int, target: str, rate: float, cpu_us: float | None = None) -> Run:
    return Run(number, CASE, target, Measured("wrk", 100, 0, rate, 1.0, 2.0), cpu_us)


RUNS = [
    make_run(0, FLOOR, 1000.0, 10.0),
    make_run(0, OURS, 500.0, 20.0),
    make_run(0, "peer", 10.0),
    make_run(1, FLOOR, 100.0, 12.0),
    make_run(1, OURS, 70.0, 22.0),
    make_run(1, "peer", 1.0),
    make_run(2, FLOOR, 200.0, 14.0),
    make_run(2, OURS, 120.0, 24.0),
    make_run(2, "peer", 2.0),
]


def test_a_share_is_taken_within_each_round() -> None:
    floor, ours, peer = rows_of(RUNS)

    assert (floor.share, floor.share_spread) == (1.0, (1.0, 1.0))
    assert ours.share == pytest.approx(0.6)
    assert list(ours.share_spread) == pytest.approx([0.5, 0.7])
    assert peer.ours_over == 60.0


def test_cases_are_not_compared_with_each_other() -> None:
    other = Case(workers=2, model="B", rows=1, connections=64)
    measured = Measured("wrk", 100, 0, 5.0, 1.0, 2.0)
    runs = [*RUNS, Run(0, other, FLOOR, measured, None), Run(0, other, OURS, measured, None)]

    rows = rows_of(runs)

    assert [row.case for row in rows] == [CASE] * 3 + [other] * 2
    assert rows[-1].share == 1.0


def test_cpu_is_compared_by_medians() -> None:
    ours = rows_of(RUNS)[1]

    assert ours.cpu_us == 22.0
    assert ours.cpu_ratio == pytest.approx(22 / 12)


def test_what_is_not_known_is_left_out() -> None:
    rows = rows_of([make_run(0, FLOOR, 1000.0), make_run(0, "peer", 500.0)])

    assert [row.cpu_ratio for row in rows] == [None, None]
    line = (
        "| 1 | B | 1 | 64 | peer | 0.500 (0.500 to 0.500) | - | 500 | 1.00 | 2.00 | - | - | - | 0 |"
    )
    assert line in format_table(rows)
