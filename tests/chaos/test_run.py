"""The runner of ``make chaos`` and its judges see what was violated; no story is run here."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.chaos import failing_writes, hostile, webhooks_down
from tests.chaos.run import run_all
from tests.chaos.scenario import Orders, Result, Scenario
from tests.gateway.delivery.receivers import Call
from tests.journeys.history import Answered, Recorded, Written

GOOD = Scenario(lambda _orders: Result("fine", []), 1, "tries")
BAD = Scenario(lambda _orders: Result("not fine", ["lost"]), 1, "tries")


def break_off(_orders: Orders) -> Result:
    raise OSError("no server")


def test_one_violation_is_enough_and_the_others_are_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = Scenario(break_off, 1, "tries")

    assert run_all({"a": GOOD}, None, 7) == 0
    assert run_all({"a": BAD, "b": GOOD}, 3, 7) == 1
    assert run_all({"a": broken, "b": GOOD}, None, 7) == 1
    assert run_all({}, None, 7) == 1

    told = capsys.readouterr().out
    assert "a: 3 tries, --seed 7" in told
    assert "VIOLATED" in told
    assert told.count("b: held") == 2


def calls(*numbers: int) -> list[Call]:
    return [
        Call("/", {"x-mlflow-delivery-id": str(n)}, b'{"data": {"value": "%d"}}' % n)
        for n in numbers
    ]


@pytest.mark.parametrize(
    ("came", "fault"),
    [
        ((0, 1, 2), "change 3 was never told"),
        ((2, 0, 1, 3), "out of order"),
    ],
)
def test_a_delivery_that_is_lost_or_late_is_found(came: tuple[int, ...], fault: str) -> None:
    faults = webhooks_down.judge(calls(*came), 4, [0.1], [0.1]).faults

    assert [fault in told for told in faults] == [True]


def test_deliveries_in_order_some_twice_are_as_they_should_be() -> None:
    assert webhooks_down.judge(calls(0, 1, 0, 2, 3), 4, [0.1], [0.1]).faults == []


def test_a_second_id_and_a_slower_change_are_found() -> None:
    again = Call("/", {"x-mlflow-delivery-id": "other"}, b'{"data": {"value": "0"}}')

    faults = webhooks_down.judge([*calls(0, 1), again], 2, [0.1], [0.9]).faults

    assert len(faults) == 2


def test_a_refusal_that_is_not_clean_is_found() -> None:
    kept, full = Written("a", 0.0, 1.0, 200), Written("b", 0.0, 1.0, 507)
    history: list[Recorded] = [kept, full]

    assert failing_writes.judge(history, {"a"}, []).faults == []
    for fault in (Written("c", 0.0, 1.0, 500), Written("c", 0.0, 1.0), Written("c", 0.0, 1.0, 200)):
        assert len(failing_writes.judge([*history, fault], {"a"}, []).faults) == 1
    assert failing_writes.judge([kept], {"a"}, []).faults == ["no write failed"]


FINE = Answered([1.0], "", 0.0, 0.1, status=200, answer=1.0)
LOST = Answered([1.0], "", 0.0, 0.1, status=503)
TOLD = hostile.Told("a deed", 500, "", frozenset({500}), 1.0, 2.0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"good": [FINE, LOST]}, "a good model's call failed"),
        ({"wrong": ["7 to 1"]}, "a good model's answer is wrong"),
        ({"health": ["/health/live: 503"]}, "a probe was told"),
        ({"told": []}, "no model was hostile"),
        ({"told": [replace(TOLD, status=0)]}, "was told 0"),
        ({"told": [replace(TOLD, body="Traceback")]}, "was told 500"),
        ({"told": [replace(TOLD, took_s=3.0)]}, "was told after 3.0 s"),
        ({"left": ["4711 sleep"]}, "a process is left: 4711"),
        ({"grown_bytes": 1 << 30}, "the workers grew by 1,024 MiB"),
        ({"disk_bytes": 1 << 30}, "1,024 MiB more are on the disk"),
        ({"are_workers_the_same": False}, "a worker was replaced"),
    ],
)
def test_what_a_hostile_model_does_to_others_is_found(change: dict[str, Any], fault: str) -> None:
    seen = hostile.Seen(good=[FINE], wrong=[], health=[], told=[TOLD])

    assert hostile.judge(seen).faults == []
    assert [fault in told for told in hostile.judge(replace(seen, **change)).faults] == [True]
