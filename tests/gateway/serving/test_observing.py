from collections.abc import Mapping

import pytest

from gateway.series import REGISTRY
from gateway.serving.inventory import Seen
from gateway.serving.observing import StateMetrics
from gateway.serving.states import State
from registry.route import VersionKey

ONE, TWO = (VersionKey("observed", number, "") for number in (1, 2))


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def told() -> dict[str, float]:
    return {
        "1": value("stagedoor_model_memory_bytes", model="observed", version="1"),
        "2": value("stagedoor_model_memory_bytes", model="observed", version="2"),
        "held": value("stagedoor_memory_bytes", kind="held"),
        "unreleased": value("stagedoor_unreleased_models", model="observed"),
    }


@pytest.mark.parametrize("changed", [None, [ONE, TWO]])
def test_memory_is_told_by_version_and_in_all_until_it_is_freed(
    changed: list[VersionKey] | None,
) -> None:
    metrics = StateMetrics()
    before = told()
    views: list[Mapping[VersionKey, Seen]] = [
        {ONE: Seen(State.ACTIVE, size_bytes=70), TWO: Seen(State.LOADING)},
        {ONE: Seen(State.ACTIVE, size_bytes=70), TWO: Seen(State.ACTIVE, size_bytes=30)},
        {ONE: Seen(State.DRAINING, size_bytes=90), TWO: Seen(State.ACTIVE, size_bytes=30)},
        {ONE: Seen(State.UNLOADING), TWO: Seen(State.ACTIVE, size_bytes=30)},
        {},
    ]
    found = []
    for view in views:
        metrics.follow(view, changed)
        after = told()
        found.append([after[name] - before[name] for name in ("1", "2", "held", "unreleased")])

    assert found == [[70, 0, 70, 0], [70, 30, 100, 0], [90, 30, 120, 1], [0, 30, 30, 1], [0] * 4]


def test_what_is_beyond_four_versions_of_a_model_is_told_in_sum_and_taken_back_so() -> None:
    metrics = StateMetrics()
    keys = [VersionKey("crowded", number, "") for number in range(1, 7)]
    series = ["1", "4", "5", "6", "_other"]
    views: list[Mapping[VersionKey, Seen]] = [{}]
    for key in keys:
        views.append({**views[-1], key: Seen(State.ACTIVE, size_bytes=10 * key.version)})
    views.append({key: seen for key, seen in views[-1].items() if key.version in (1, 5, 6)})
    views.append({key: seen for key, seen in views[-1].items() if key.version == 1})

    told = []
    for view in views:
        metrics.follow(view)
        told.append([value("stagedoor_model_memory_bytes", **label(name)) for name in series])

    assert told[-3:] == [[10, 40, 0, 0, 110], [10, 0, 0, 0, 110], [10, 0, 0, 0, 0]]


def label(version: str) -> dict[str, str]:
    return {"model": "crowded", "version": version}
