"""Who is watched: some of each model, and whoever is traced; always the same answer for one."""

from typing import Any

import pytest

from gateway.exemplars import newest
from gateway.metrics import RequestLabels, observe_request, scrape
from gateway.probe import PROBE, During, Ending, Probe
from gateway.routing.table import Assignment, ModelRoute, Reason, RouteTable
from gateway.tallies import Level
from gateway.watching import Asking, Watcher, note_ending
from registry.route import Route, Split, VersionKey
from tests.gateway.serving.specimens import until

SAMPLED = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SAMPLED[:-1] + b"0"


class Notes:
    """A tracer that begins every trace or none, and keeps what it is told."""

    def __init__(self, *, is_chosen: bool = False) -> None:
        self.is_chosen = is_chosen
        self.told: list[tuple[Asking, Probe]] = []

    def chooses(self) -> bool:
        return self.is_chosen

    def record(self, asking: Asking, probe: Probe) -> int:
        self.told.append((asking, probe))
        return 0xFEED


def scope(*headers: tuple[bytes, bytes]) -> Any:
    return {
        "method": "POST",
        "raw_path": b"/models/m/invocations",
        "headers": list(headers),
        "state": {"request_id": "r"},
    }


def test_of_a_models_requests_some_are_timed() -> None:
    watcher, level = Watcher(every_s=0.05), Level("m")
    moments = (1.0, 1.01, 1.04, 1.06, 1.07, 9.0)

    watched = [watcher.probe(level, scope(), at) is not None for at in moments]

    assert watched == [True, False, False, True, False, True]


def test_one_request_of_many_leaves_the_short_way_to_be_watched() -> None:
    watcher, level = Watcher(every_s=0.05), Level("m")
    sent = []

    for at in (1.0, 1.0, 1.01, 1.06):
        if at >= level.aside_at_s:
            watcher.send_aside(level, at)
            sent.append(at)

    assert sent == [1.0, 1.06]


def test_one_model_does_not_take_the_turn_of_another() -> None:
    watcher = Watcher(every_s=10.0)

    assert all(watcher.probe(Level(name), scope(), 1.0) is not None for name in "abc")


def test_a_request_is_watched_or_not_however_often_that_is_asked() -> None:
    watcher, level, request = Watcher(every_s=10.0), Level("m"), scope()

    first = watcher.probe(level, request, 1.0)

    assert first is not None
    assert watcher.probe(level, request, 1.1) is first
    assert watcher.probe(None, request, 1.2) is first


def test_the_caller_decides_whether_its_trace_goes_on() -> None:
    level = Level("m")
    level.watch_at_s = 99.0
    traced = {}

    for is_chosen in (True, False):
        watcher = Watcher(Notes(is_chosen=is_chosen))
        for header in (SAMPLED, UNSAMPLED, b"nonsense"):
            probe = watcher.probe(level, scope((b"traceparent", header)), 1.0)
            traced[is_chosen, header] = probe is not None
        traced[is_chosen, b""] = watcher.probe(level, scope(), 1.0) is not None

    assert traced == {
        (True, SAMPLED): True,
        (True, UNSAMPLED): False,
        (True, b"nonsense"): True,
        (True, b""): True,
        (False, SAMPLED): True,
        (False, UNSAMPLED): False,
        (False, b"nonsense"): False,
        (False, b""): False,
    }


def test_phases_are_noted_where_a_request_is_watched_and_shown_by_model() -> None:
    watcher = Watcher()
    probe = watcher.probe(Level("yew"), scope(), 1.0)
    assert probe is not None

    with watcher.watching(probe):
        with During("decode"):
            pass
        probe.note_call(1.0, 1.5, 3.5)
        probe.ending = Ending("r1", 200, model="yew")
    with During("encode"):
        pass

    assert [phase.name for phase in probe.phases] == ["decode", "queue", "predict"]
    sums = [
        f'stagedoor_stage_duration_seconds_sum{{model="yew",phase="{phase}"}} {seconds}'
        for phase, seconds in (("queue", 0.5), ("predict", 2.0))
    ]
    assert until(lambda: all(told in scrape().decode() for told in sums))
    page = scrape().decode()
    assert 'model="yew",phase="encode"' not in page
    assert PROBE.get() is None


@pytest.mark.parametrize("is_traced", [True, False])
def test_a_traced_request_stands_beside_the_bucket_it_was_counted_in(*, is_traced: bool) -> None:
    watcher = Watcher(Notes(is_chosen=is_traced))
    model = f"traced {is_traced}"
    probe = watcher.probe(Level(model), scope(), 1.0)
    assert probe is not None

    with watcher.watching(probe):
        observe_request(RequestLabels(model, "7", "stable", "mlflow"), "200", 0.03)
        probe.ending = Ending("r1", 200, model=model)

    found = [one for one in newest().values() if one.series[0] == model]
    told = [(one.series, one.bucket, one.trace_id, one.seconds) for one in found]
    assert told == [((model, "7", "stable", "mlflow"), 5, f"{0xFEED:032x}", 0.03)] * is_traced


def test_a_request_that_nobody_waited_for_is_told_to_nobody() -> None:
    notes = Notes(is_chosen=True)
    watcher = Watcher(notes)
    probe = watcher.probe(Level("m"), scope(), 1.0)
    assert probe is not None

    with watcher.watching(probe):
        pass

    assert notes.told == []


def test_an_ending_says_whether_the_variant_was_chosen() -> None:
    key = VersionKey("m", 2, "d")
    endings = []

    for split in (None, Split("s", "Staging", 500)):
        table = RouteTable().with_model(ModelRoute("m", 4, Route(production=2, split=split), {}))
        for variant in ("stable", ""):
            made = Assignment("m", key, "Production", variant, Reason.RANDOM, 4)
            probe = Probe(0.0)
            token = PROBE.set(probe)
            note_ending(table, made, Ending("r1", 200))
            PROBE.reset(token)
            endings.append(probe.ending)

    assert [ending.is_split for ending in endings if ending] == [False, False, True, False]
    assert {(ending.version, ending.epoch) for ending in endings if ending} == {("2", 4)}


def test_a_span_is_named_by_its_route_and_not_by_its_model() -> None:
    watcher = Watcher(Notes(is_chosen=True))

    known = watcher.probe(Level("m"), scope(), 1.0)
    unknown = watcher.probe(Level("m"), scope() | {"raw_path": b"/models/a/b/c/d"}, 1.0)

    assert known is not None
    assert unknown is not None
    assert (known.trace.name, unknown.trace.name) == ("POST /models/{model}/invocations", "POST")
    assert known.trace.attributes["http.route"] == "/models/{model}/invocations"


def test_a_call_over_grpc_is_traced_by_its_metadata() -> None:
    notes = Notes()
    watcher = Watcher(notes)
    metadata = [("traceparent", SAMPLED.decode()), ("trace-bin", b"\x00\xff")]

    probe = watcher.begin_call("s/M", metadata, 1.0)

    assert probe is not None
    assert probe.trace.name == "s/M"
    assert probe.trace.parent.is_sampled
