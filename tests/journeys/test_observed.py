"""What a server tells of a model and of its own work, over TCP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pandas as pd
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from sklearn.linear_model import LinearRegression

from gateway.protocols.v2_messages import message
from tests.gateway.collector import Collector, told
from tests.interop.client import free_port
from tests.journeys.models import register
from tests.journeys.server import Server, running

PATH = "/models/Boxes/invocations"
GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"
PATIENCE_S = 30.0
ROWS = {"inputs": {"width": [1.0, 2.0], "height": [3.0, 4.0]}}
TABLE = pd.DataFrame({"width": [1.0, 2.0, 3.0], "height": [4.0, 6.0, 5.0]})


class Observed(Server):
    """A server of two workers that sends traces, but begins none, and speaks gRPC too."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.grpc_port = free_port()
        tracing = {"endpoint": collector.url, "ratio": 0.0}
        options = ("--grpc-port", str(self.grpc_port))
        super().__init__(folder, *options, settings={"tracing": tracing})


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Observed]:
    """A server with one model in Production, saved with an example; it traces if it is told to."""
    with running(Observed(tmp_path_factory.mktemp("observed") / "server", collector)) as server:
        assert isinstance(server, Observed)
        model = LinearRegression().fit(TABLE, [1.0, 2.0, 3.0])
        register(server, "Boxes", model, input_example=TABLE)
        assert server.promote("Boxes", 1).status == 200
        yield server


@pytest.mark.parametrize("target", ["Boxes", "Boxes/1", "Boxes/Production", "Boxes/latest"])
def test_every_example_of_a_models_document_is_answered(served: Server, target: str) -> None:
    reply = served.get(f"/models/{target}/openapi.json")

    assert reply.status == 200, reply.body
    OpenAPIV31SpecValidator(reply.json()).validate()
    asked = [(path, body) for path, body in examples(reply.json())]
    assert len(asked) == 7
    assert {served.post(path, body).status for path, body in asked} == {200}


@pytest.mark.parametrize(
    ("target", "status"), [("Nobody", 404), ("Boxes/9", 404), ("Boxes/nowhere", 400)]
)
def test_there_is_no_document_of_what_is_not_there(
    served: Server, target: str, status: int
) -> None:
    assert served.get(f"/models/{target}/openapi.json").status == status


def examples(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield each example body with its path."""
    for path, item in document["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            yield path, example["value"]


def test_a_traced_request_goes_on_in_the_callers_trace(
    served: Observed, collector: Collector
) -> None:
    """The model answers by an engine; a traced request takes the long way, and is answered."""
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    parent = f"00-{trace_id}-b7ad6b7169203331-01"

    reply = served.post(PATH, ROWS, traceparent=parent, tracestate="vendor=1")

    assert reply.status == 200
    served.wait_until(lambda: bool(collector.roots(trace_id)), "traced")
    (root,) = collector.roots(trace_id)
    assert (root.parent_span_id.hex(), root.trace_state) == ("b7ad6b7169203331", "vendor=1")
    names = [child.name for child in collector.children(root)]
    assert names == ["decode", "queue", "predict", "encode"]
    attributes = told(root.attributes)
    assert attributes["stagedoor.request_id"] == reply.headers["stagedoor-request-id"]
    assert (attributes["url.path"], attributes["http.response.status_code"]) == (PATH, 200)
    assert (attributes["stagedoor.model"], attributes["stagedoor.version"]) == ("Boxes", "1")


def test_a_refusal_is_traced_with_its_code(served: Observed, collector: Collector) -> None:
    trace_id = "1af7651916cd43dd8448eb211c80319c"
    parent = f"00-{trace_id}-b7ad6b7169203331-01"

    assert served.post(PATH, {"inputs": [["x"]]}, traceparent=parent).status == 400

    served.wait_until(lambda: bool(collector.roots(trace_id)), "traced")
    (root,) = collector.roots(trace_id)
    assert told(root.attributes)["error.type"] == "BAD_REQUEST"
    assert [child.name for child in collector.children(root)] == ["decode"]


def test_a_call_over_grpc_is_traced(served: Observed, collector: Collector) -> None:
    trace_id = "2af7651916cd43dd8448eb211c80319c"
    metadata = [("traceparent", f"00-{trace_id}-b7ad6b7169203331-01")]

    assert infer_over_grpc(served, metadata).model_version == "1"

    served.wait_until(lambda: bool(collector.roots(trace_id)), "traced")
    (root,) = collector.roots(trace_id)
    assert root.name == GRPC_PATH[1:]
    assert told(root.attributes)["rpc.response.status_code"] == "OK"
    assert len(collector.children(root)) == 4


def test_requests_that_bring_no_trace_begin_none_at_a_ratio_of_zero(
    served: Observed, collector: Collector
) -> None:
    unsampled = "00-3af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    last = "4af7651916cd43dd8448eb211c80319c"

    for _ in range(20):
        assert served.post(PATH, ROWS, traceparent=unsampled).status == 200
        assert served.post(PATH, ROWS).status == 200

    served.ask_every_worker(
        lambda: served.post(PATH, ROWS, traceparent=f"00-{last}-b7ad6b7169203331-01")
    )
    served.wait_until(lambda: len({each.trace_id for each in collector.roots(last)}) > 0, "traced")
    assert collector.roots("3af7") == []
    assert {root.parent_span_id for root in collector.roots()} != {b""}
    assert all(root.parent_span_id for root in collector.roots())


def test_the_metrics_of_all_workers_show_rows_calls_and_phases(served: Observed) -> None:
    before = served.get("/metrics").body.decode()
    for _ in range(30):
        assert served.post(PATH, ROWS).status == 200

    def rows_are_counted() -> bool:
        page = served.get("/metrics").body.decode()
        counted = summed(page, "stagedoor_predictions_total", 'model="Boxes"')
        return counted - summed(before, "stagedoor_predictions_total", 'model="Boxes"') == 60

    served.wait_until(rows_are_counted, "counted")
    page = served.get("/metrics").body.decode()
    assert summed(page, "stagedoor_batch_size_count", 'model="Boxes"') > 0
    for phase in ("queue", "decode", "predict", "encode"):
        labels = f'model="Boxes",phase="{phase}"'
        assert summed(page, "stagedoor_stage_duration_seconds_count", labels) > 0
    assert summed(page, "stagedoor_workers_behind", 'model="Boxes"') == 0


def summed(page: str, name: str, labels: str) -> float:
    """Add up the series of a name that have some labels."""
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{") and labels in line]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def infer_over_grpc(served: Observed, metadata: list[tuple[str, str]]) -> Any:
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [1], "contents": {"fp64_contents": [1.0]}}
        for name in TABLE.columns
    ]
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc_port}") as channel:
        call = channel.unary_unary(
            GRPC_PATH,
            request_serializer=message("ModelInferRequest").SerializeToString,
            response_deserializer=message("ModelInferResponse").FromString,
        )
        request = message("ModelInferRequest")(model_name="Boxes", inputs=inputs)
        return call(request, timeout=PATIENCE_S, metadata=metadata, wait_for_ready=True)
