import pytest

from loadtests.many_clients import Delays
from loadtests.many_models import Orders, Report

ORDERS = Orders(10, 2, 1, 1.0, 2, 300.0, 20.0, "none")
GOOD = Delays(count=100, wrong=0, p50_ms=1.0, p99_ms=10.0)


def report(*, beside: Delays = GOOD, cold: Delays = GOOD, slowdown: float = 1.0) -> Report:
    return Report(
        orders=ORDERS,
        register_s=1.0,
        convert_s=1.0,
        promote_s=1.0,
        slowdown=slowdown,
        ready_s=1.0,
        ready_cpu_s=1.0,
        pss_mib=(100.0, 100.0),
        alone=[GOOD],
        beside=[beside],
        cold=[cold],
    )


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (report(), [True, True, True]),
        (report(cold=Delays(99, 1, 1.0, 10.0)), [False, True, True]),
        (report(beside=Delays(100, 0, 1.0, 13.0)), [True, False, True]),
        (report(slowdown=2.5), [True, True, False]),
    ],
)
def test_a_verdict_names_what_does_not_hold(found: Report, holds: list[bool]) -> None:
    assert [is_good for _, is_good in found.verdict()] == holds
