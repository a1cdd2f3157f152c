from types import MappingProxyType

from gateway.metrics import ENGINE_INFO
from gateway.serving.engine_metrics import EngineMetrics
from gateway.serving.inventory import Seen
from gateway.serving.states import State
from registry.route import VersionKey

ONE = VersionKey("engine metrics", 1, "a")
TWO = VersionKey("engine metrics", 2, "b")
NEW = VersionKey("engine metrics", 3, "c")


def shown() -> dict[tuple[str, str], float]:
    """Return the series of these models by version and engine."""
    return {
        (sample.labels["version"], sample.labels["engine"]): sample.value
        for metric in ENGINE_INFO.collect()
        for sample in metric.samples
        if sample.labels["model"] == ONE.model
    }


def test_each_version_that_is_ready_shows_what_answers_it() -> None:
    metrics = EngineMetrics({ONE: "trees", TWO: "runner"}.get)

    metrics.follow({ONE: Seen(State.LOADING), TWO: Seen(State.STANDBY)}, [ONE, TWO])
    first = shown()
    later = {ONE: Seen(State.ACTIVE), TWO: Seen(State.STANDBY), NEW: Seen(State.ACTIVE)}
    metrics.follow(later, [ONE, NEW])
    second = shown()
    metrics.follow(MappingProxyType({TWO: Seen(State.UNLOADING)}), [ONE, TWO, NEW])

    assert first == {("2", "runner"): 1}
    assert second == {("1", "trees"): 1, ("2", "runner"): 1}
    assert shown() == {("1", "trees"): 0, ("2", "runner"): 0}
