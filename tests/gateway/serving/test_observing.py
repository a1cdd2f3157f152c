from collections.abc import Mapping

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


def test_memory_is_told_by_version_and_in_all_until_it_is_freed() -> None:
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
        metrics.follow(view)
        after = told()
        found.append([after[name] - before[name] for name in ("1", "2", "held", "unreleased")])

    assert found == [[70, 0, 70, 0], [70, 30, 100, 0], [90, 30, 120, 1], [0, 30, 30, 1], [0] * 4]
