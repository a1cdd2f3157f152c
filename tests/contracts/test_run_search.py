"""A search answers what a straightforward look at every run answers, wherever it begins."""

import math
import operator
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.contracts.test_tracking_store import opened
from tracking.store import TrackingStore
from tracking.wire import (
    CreateExperiment,
    CreateRun,
    LogBatch,
    Metric,
    Param,
    SearchRuns,
    Tag,
    UpdateRun,
)

MANY = 240
LONG = "9" * 250
TEXTS = ["1", "2", "2a", "10", "x_y", "X_y", "100%", ""]
NUMBERS = [-1.0, 0.0, 0.5, 0.5000001, 2.0, math.nan]
RARE = 7
"""Every so many runs have the key ``rare``."""


class Logged(Struct, frozen=True):
    """One run as it was made."""

    run_id: str
    experiment_id: str
    is_deleted: bool
    attributes: dict[str, Any]
    metrics: dict[str, Any]
    params: dict[str, Any]
    tags: dict[str, Any]


class Clause(Struct, frozen=True):
    """One clause of a filter."""

    kind: str
    key: str
    sign: str
    value: Any = None

    def text(self) -> str:
        if self.value is None:
            return f"{self.kind}.{self.key} {self.sign}"
        if isinstance(self.value, list):
            listed = ", ".join(f"'{one}'" for one in self.value)
            return f"{self.kind}.{self.key} {self.sign} ({listed})"
        told = f"'{self.value}'" if isinstance(self.value, str) else repr(self.value)
        return f"{self.kind}.{self.key} {self.sign} {told}"


class Searched(Struct, frozen=True):
    """A store, and what it holds."""

    store: TrackingStore
    runs: list[Logged]
    experiments: list[str]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def searched(request: pytest.FixtureRequest) -> Iterator[Searched]:
    with opened(request, "searched_server") as store:
        chance = Random(5)
        others = [store.create_experiment(CreateExperiment(name=name)) for name in ("a", "b")]
        experiments = ["0", *others]
        made = [log_one(store, chance, experiments, number) for number in range(MANY)]
        yield Searched(store, made, experiments)


def log_one(store: TrackingStore, chance: Random, experiments: list[str], number: int) -> Logged:
    experiment_id = chance.choices(experiments, (8, 2, 1))[0]
    start, name = chance.randrange(20), chance.choice(["ant", "bee", "Cat"])
    info = store.create_run(
        CreateRun(experiment_id=experiment_id, start_time=start, run_name=name)
    ).info
    metrics = {k: chance.choice(NUMBERS) for k in ("m", "n") if chance.random() < 0.8}
    params = {k: chance.choice(TEXTS) for k in ("p", "q") if chance.random() < 0.8}
    tags = {k: chance.choice(TEXTS) for k in ("p", "t") if chance.random() < 0.8}
    if number % RARE == 0:
        params["rare"], tags["long"] = str(number), chance.choice([LONG, "9", "8"])
        metrics["rare"] = float(number)
    store.log_batch(
        LogBatch(
            run_id=info.run_id,
            metrics=[
                Metric(key=k, value="NaN" if math.isnan(v) else v, timestamp=1)
                for k, v in metrics.items()
            ],
            params=[Param(key=k, value=v) for k, v in params.items()],
            tags=[Tag(key=k, value=v) for k, v in tags.items()],
        )
    )
    end = chance.choice([None, 5, 30])
    if end is not None:
        store.update_run(UpdateRun(run_id=info.run_id, end_time=end, status="FINISHED"))
    is_deleted = chance.random() < 0.15
    if is_deleted:
        store.delete_run(info.run_id)
    attributes = {"start_time": start, "end_time": end, "run_name": name}
    return Logged(info.run_id, experiment_id, is_deleted, attributes, metrics, params, tags)


def is_like(value: str, pattern: str) -> bool:
    words = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.fullmatch(words, value, re.DOTALL) is not None


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
    "<": operator.lt, "<=": operator.le,
    "LIKE": is_like,
    "ILIKE": lambda value, pattern: is_like(value.lower(), pattern.lower()),
    "IN": lambda value, several: value in several,
    "NOT IN": lambda value, several: value not in several,
}  # fmt: skip


def fits(run: Logged, clause: Clause) -> bool:
    value = getattr(run, clause.kind).get(clause.key)
    if clause.sign in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (clause.sign == "IS NULL")
    return value is not None and SIGNS[clause.sign](value, clause.value)


def look_at_all(
    searched: Searched, clauses: list[Clause], orders: list[str], asked: SearchRuns
) -> list[str]:
    found = [
        run
        for run in searched.runs
        if run.experiment_id in asked.experiment_ids
        and asked.run_view_type in ("ALL", "DELETED_ONLY" if run.is_deleted else "ACTIVE_ONLY")
        and all(fits(run, clause) for clause in clauses)
    ]
    found.sort(key=lambda run: (-run.attributes["start_time"], run.run_id))
    for order in reversed(orders):
        place, direction = order.split()
        kind, key = place.split(".")
        found = in_order(found, kind, key, is_descending=direction == "DESC")
    return [run.run_id for run in found]


def in_order(found: list[Logged], kind: str, key: str, *, is_descending: bool) -> list[Logged]:
    def value(run: Logged) -> Any:
        return getattr(run, kind).get(key)

    missing = [run for run in found if value(run) is None]
    unknown = [run for run in found if value(run) is not None and value(run) != value(run)]
    told = [run for run in found if run not in missing and run not in unknown]
    told.sort(key=value, reverse=is_descending)  # equal ones stay as they were
    return told + unknown + missing


def search_all(searched: Searched, asked: SearchRuns) -> list[str]:
    found: list[str] = []
    while True:
        page = searched.store.search_runs(asked)
        found += [run.info.run_id for run in page.runs]
        if page.next_page_token is None:
            return found
        asked = msgspec.structs.replace(asked, page_token=page.next_page_token)


NUMERIC = st.sampled_from(["=", "!=", ">", ">=", "<", "<="])
PLACES = [("params", "p"), ("params", "q"), ("params", "rare"), ("params", "none"),
          ("tags", "p"), ("tags", "t"), ("tags", "long")]  # fmt: skip
MEASURED = st.sampled_from(["m", "n", "rare", "none"])
CLAUSES = st.one_of(
    st.builds(
        Clause, st.just("metrics"), MEASURED, NUMERIC, st.sampled_from([0.0, 0.5, 2.0, 98.0])
    ),
    st.builds(Clause, st.just("metrics"), MEASURED, st.sampled_from(["IS NULL", "IS NOT NULL"])),
    st.builds(
        lambda place, sign, value: Clause(place[0], place[1], sign, value),
        st.sampled_from(PLACES),
        st.sampled_from(["=", "!=", "LIKE", "ILIKE"]),
        st.sampled_from([*TEXTS, LONG, "98", "9%", "%_Y", "1%"]),
    ),
    st.builds(
        lambda place, sign: Clause(place[0], place[1], sign),
        st.sampled_from(PLACES),
        st.sampled_from(["IS NULL", "IS NOT NULL"]),
    ),
    st.builds(
        lambda place, sign: Clause(place[0], place[1], sign, ["1", "10", "x_y"]),
        st.sampled_from(PLACES),
        st.sampled_from(["IN", "NOT IN"]),
    ),
    st.builds(
        Clause,
        st.just("attributes"),
        st.sampled_from(["start_time", "end_time"]),
        NUMERIC,
        st.sampled_from([0, 5, 12, 30]),
    ),
    st.builds(
        Clause,
        st.just("attributes"),
        st.just("run_name"),
        st.sampled_from(["=", "!=", "LIKE", "ILIKE"]),
        st.sampled_from(["ant", "c%", "_ee"]),
    ),
)
ORDERS = st.builds(
    lambda place, direction: f"{place} {direction}",
    st.sampled_from(
        ["metrics.m", "metrics.rare", "metrics.none", "params.p", "params.rare", "params.none",
         "tags.t", "tags.long", "attributes.start_time", "attributes.end_time"]
    ),
    st.sampled_from(["ASC", "DESC"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    clauses=st.lists(CLAUSES, max_size=3),
    orders=st.lists(ORDERS, max_size=2),
    view=st.sampled_from(["ACTIVE_ONLY", "ACTIVE_ONLY", "ALL", "DELETED_ONLY"]),
    places=st.lists(st.sampled_from([0, 0, 1, 2]), min_size=1, max_size=3),
    size=st.sampled_from([1_000, 60, 13]),
)
def test_all_pages_together_are_what_a_look_at_every_run_finds(
    searched: Searched,
    clauses: list[Clause],
    orders: list[str],
    view: str,
    places: list[int],
    size: int,
) -> None:
    asked = SearchRuns(
        experiment_ids=[searched.experiments[place] for place in places],
        filter=" AND ".join(clause.text() for clause in clauses),
        order_by=orders,
        run_view_type=view,
        max_results=size,
    )

    assert search_all(searched, asked) == look_at_all(searched, clauses, orders, asked)


@pytest.mark.parametrize(
    ("kind", "key", "sign", "values"),
    [
        ("metrics", "m", ">", [0.0, 0.5, 2.0, 0.5000001, -1.0]),
        ("metrics", "m", "=", [0.5, 0.0, 2.0]),
        ("params", "p", "=", ["1", "x_y", "1"]),
        ("tags", "t", "LIKE", ["1%", "x_y", "%/"]),
        ("tags", "t", "IN", [["1"], ["1", "10", "2"], ["2a", "x_y"]]),
        ("attributes", "start_time", "<", [5, 5.5, 12]),
    ],
)
def test_the_same_search_finds_by_the_values_it_is_asked_with(
    searched: Searched, kind: str, key: str, sign: str, values: list[Any]
) -> None:
    """Whole numbers too, after others and before: statements are kept without their values."""
    for value in values:
        clause = Clause(kind, key, sign, value)
        asked = SearchRuns(experiment_ids=searched.experiments, filter=clause.text())

        assert search_all(searched, asked) == look_at_all(searched, [clause], [], asked)
