"""Spans of requests, as a real collector gets them."""

import socket
import time
from contextlib import closing
from typing import Any

import pytest

from gateway.metrics import scrape
from gateway.probe import Ending, Probe
from gateway.trace_context import Parent
from gateway.tracing import OtelTracer, SpanSender, start_tracing
from gateway.tracing_settings import TracingSettings
from gateway.watching import Asking
from tests.gateway.collector import Collector, told
from tests.gateway.serving.specimens import until

HTTP = {"http.request.method": "POST", "url.path": "/models/m/invocations"}
PARENT = Parent(0xAB << 120, 0xCD << 56, is_sampled=True, state=(("vendor", "x"),))


def tracer_to(url: str, **settings: Any) -> OtelTracer:
    tracing = TracingSettings(endpoint=url, headers=("x-token=abc",), **settings)
    return OtelTracer(tracing, "worker-1", lambda: b"secret")


def request(ending: Ending, *phases: str) -> Probe:
    """Return a request that was over just now, a millisecond for each phase."""
    probe = Probe(time.perf_counter() - 1.0)
    for at, name in enumerate(phases):
        started_s = probe.started_s + at / 1000
        probe.note(name, started_s, started_s + 0.001)
    probe.ending = ending
    return probe


def recorded(asking: Asking, probe: Probe) -> tuple[Any, list[Any], Collector]:
    """Return the span of a request, those beneath it, and the collector that got them."""
    with Collector() as collector:
        tracer = tracer_to(collector.url)
        tracer.record(asking, probe)
        tracer.close()
    (root,) = collector.roots()
    return root, collector.children(root), collector


def spans_counted(outcome: str) -> float:
    start = f'stagedoor_spans_total{{outcome="{outcome}"}}'
    lines = [line for line in scrape().decode().splitlines() if line.startswith(start)]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def test_a_request_and_its_phases_are_spans_of_the_callers_trace() -> None:
    ending = Ending("r1", 200, model="m", version="3", variant="stable", reason="random", epoch=7)
    phases = ("decode", "queue", "predict", "encode")

    root, children, collector = recorded(Asking("POST", HTTP, PARENT), request(ending, *phases))

    assert (root.name, root.trace_id[0], root.parent_span_id[0]) == ("POST", 0xAB, 0xCD)
    assert root.trace_state == "vendor=x"
    assert told(root.attributes) == HTTP | {
        "http.response.status_code": 200, "stagedoor.request_id": "r1",
        "stagedoor.model": "m", "stagedoor.version": "3",
        "stagedoor.variant": "stable", "stagedoor.reason": "random", "stagedoor.epoch": 7,
    }  # fmt: skip
    assert [child.name for child in children] == list(phases)
    assert all(
        root.start_time_unix_nano <= child.start_time_unix_nano < child.end_time_unix_nano
        and child.end_time_unix_nano <= root.end_time_unix_nano
        for child in children
    )
    assert abs(root.end_time_unix_nano / 1e9 - time.time()) < 600
    assert collector.resources[0]["service.name"] == "stagedoor"
    assert collector.headers[0]["x-token"] == "abc"


def test_a_request_without_a_parent_begins_a_trace() -> None:
    root, _, _ = recorded(Asking("POST", HTTP, None), request(Ending("r1", 200)))

    assert (root.parent_span_id, len(root.trace_id)) == (b"", 16)


def test_an_assignment_is_the_evaluation_of_a_feature_flag() -> None:
    ending = Ending(
        "r1",
        200,
        model="m",
        variant="candidate",
        reason="hash",
        epoch=7,
        is_split=True,
        key=b"user-1",
    )

    root, _, _ = recorded(Asking("POST", HTTP, None), request(ending))

    (event,) = root.events
    attributes = told(event.attributes)
    assert event.name == "feature_flag.evaluation"
    assert len(attributes.pop("feature_flag.context.id")) == 32
    assert attributes == {
        "feature_flag.key": "m traffic", "feature_flag.provider.name": "stagedoor",
        "feature_flag.result.variant": "candidate", "feature_flag.result.reason": "split",
        "feature_flag.version": "7",
    }  # fmt: skip


@pytest.mark.parametrize(("status", "is_error"), [(404, False), (503, True)])
def test_a_refusal_has_its_code_and_ours_are_errors(status: int, *, is_error: bool) -> None:
    root, _, _ = recorded(Asking("POST", HTTP, None), request(Ending("r1", status, "SOME_CODE")))

    assert told(root.attributes)["error.type"] == "SOME_CODE"
    assert (root.status.code == root.status.STATUS_CODE_ERROR) is is_error


def test_a_call_over_grpc_has_its_own_status() -> None:
    asking = Asking("s/M", {"rpc.system.name": "grpc", "rpc.method": "s/M"}, None)

    root, _, _ = recorded(asking, request(Ending("r1", 404, "X", rpc_status="NOT_FOUND")))

    assert told(root.attributes)["rpc.response.status_code"] == "NOT_FOUND"
    assert "http.response.status_code" not in told(root.attributes)


def test_the_ratio_is_the_share_of_new_traces() -> None:
    with Collector() as collector:
        chosen = {}
        for ratio in (0.0, 0.1, 1.0):
            tracer = tracer_to(collector.url, ratio=ratio)
            chosen[ratio] = sum(tracer.chooses() for _ in range(10_000))
            tracer.close()

    assert (chosen[0.0], chosen[1.0]) == (0, 10_000)
    assert 700 < chosen[0.1] < 1300


def test_spans_that_no_collector_takes_are_counted() -> None:
    before = spans_counted("failed")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    tracer = tracer_to(f"http://127.0.0.1:{port}/v1/traces", timeout_s=0.2)

    tracer.record(Asking("POST", HTTP, None), request(Ending("r1", 200), "decode"))

    until(lambda: spans_counted("failed") == before + 2)
    tracer.close()


class Stuck:
    """An exporter that is busy for ever, until it is told to end."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.release = socket.socketpair()

    def export(self, batch: list[Any]) -> Any:
        self.taken += batch
        self.release[0].recv(1)
        raise OSError("gone")

    def shutdown(self) -> None:
        """Hold nothing."""


def test_nobody_waits_for_an_exporter_that_is_stuck() -> None:
    before = spans_counted("dropped")
    exporter = Stuck()
    sender = SpanSender(exporter, max_waiting=3)
    sender.export(["first"])
    until(lambda: exporter.taken == ["first"])

    sender.export(range(10))

    assert spans_counted("dropped") == before + 7
    for end in exporter.release:
        end.close()
    sender.shutdown()


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert start_tracing(TracingSettings(), "w", lambda: b"") is None
