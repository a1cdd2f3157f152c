import pytest

from gateway.delivery.progress import is_diverged
from gateway.delivery.standing import Standing
from gateway.metrics import scrape
from registry.route import ModelState, Route, VersionKey, VersionRecord


def state(model: str, stages: dict[int, str], route: Route) -> ModelState:
    records = {
        number: VersionRecord(VersionKey(model, number, f"d{number}"), "x", stage)
        for number, stage in stages.items()
    }
    return ModelState(model=model, epoch=3, committed=route, records=records)


def shown(family: str, model: str) -> float:
    (line,) = [
        line
        for line in scrape().decode().splitlines()
        if line.startswith(f'{family}{{model="{model}"}}')
    ]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize(
    ("stages", "route", "expected"),
    [
        ({}, Route(), False),
        ({1: "None"}, Route(), False),
        ({1: "Production"}, Route(production=1), False),
        ({1: "Production", 2: "Production"}, Route(production=2), False),
        ({1: "Production", 2: "Staging"}, Route(production=1, staging=2), False),
        ({1: "Archived", 2: "Production"}, Route(production=1), True),
        ({1: "Production"}, Route(), True),
        ({1: "None"}, Route(production=1), True),
        ({1: "Production", 2: "Staging"}, Route(production=1), True),
    ],
)
def test_a_route_has_diverged_when_a_stage_is_not_what_is_served(
    stages: dict[int, str], route: Route, *, expected: bool
) -> None:
    assert is_diverged(state("m", stages, route)) is expected


def test_divergence_grows_from_when_it_was_seen_and_ends_at_once() -> None:
    standing = Standing()
    good = {"oaks": state("oaks", {1: "Production"}, Route(production=1))}
    bad = {"oaks": state("oaks", {2: "Production"}, Route(production=1))}
    told = []

    for at_s, states in ((10.0, good), (11.0, bad), (12.5, bad), (13.0, good), (20.0, bad)):
        standing.tell(states, {}, at_s)
        told.append(shown("stagedoor_route_divergence_seconds", "oaks"))

    assert told == [0.0, 0.0, 1.5, 0.0, 0.0]


def test_workers_behind_are_shown_and_a_model_that_is_gone_is_well() -> None:
    standing = Standing()
    states = {"elms": state("elms", {1: "Production"}, Route(production=1))}
    standing.tell(states, {"elms": 2}, 1.0)
    standing.tell(states, {"elms": 2}, 9.0)
    before = [shown(f"stagedoor_{name}", "elms") for name in NAMES]

    standing.tell({}, {}, 10.0)

    assert before == [8.0, 2.0]
    assert [shown(f"stagedoor_{name}", "elms") for name in NAMES] == [0.0, 0.0]


NAMES = ("route_divergence_seconds", "workers_behind")
