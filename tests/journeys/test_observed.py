"""What a server tells of a model and of its own work, and how a model talks, over TCP."""

import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import grpc
import pandas as pd
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from sklearn.linear_model import LinearRegression

from gateway.protocols.v2_messages import message
from tests.gateway.collector import Collector, told
from tests.interop.client import free_port
from tests.journeys.models import register
from tests.journeys.server import Server, running

EVENTS = {"accept": "text/event-stream"}
CHAT = {"messages": [{"role": "user", "content": "hello there"}], "temperature": 0.5}
PATH = "/models/Boxes/invocations"
GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"
PATIENCE_S = 30.0
ROWS = {"inputs": {"width": [1.0, 2.0], "height": [3.0, 4.0]}}
TABLE = pd.DataFrame({"width": [1.0, 2.0, 3.0], "height": [4.0, 6.0, 5.0]})


class Parrot:
    """Says what it is told, word by word; does as it is asked."""

    def predict(self, asked: Any) -> Any:
        if isinstance(asked, dict):
            return {"said": spoken(asked), "kept": sorted(asked)}
        return asked.sum(axis=1)

    def predict_stream(self, asked: Any) -> Iterator[Any]:
        if not isinstance(asked, dict):
            yield from asked.sum(axis=1).tolist()
            return
        given = 0
        try:
            for given, word in enumerate(spoken(asked).split(), start=1):  # noqa: B007 - told
                yield {"delta": word}
            if asked.get("fails"):
                raise ValueError("secret")
            while asked.get("endless"):
                given += 1
                yield "x" * 1000
        finally:
            if "log" in asked:
                Path(asked["log"]).write_text(str(given), encoding="utf-8")


def spoken(asked: dict[str, Any]) -> str:
    if "messages" in asked:
        return str(asked["messages"][-1]["content"])
    return str(asked.get("prompt") or asked.get("input") or asked.get("text_input"))


cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Observed(Server):
    """A server that sends traces, but begins none, and speaks gRPC too."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.grpc_port = free_port()
        tracing = {"endpoint": collector.url, "ratio": 0.0}
        options = ("--workers", "1", "--grpc-port", str(self.grpc_port))
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
        register(server, "Parrot", Parrot(), input_example=None)
        for name in ("Boxes", "Parrot"):
            assert server.promote(name, 1).status == 200
        yield server


@pytest.mark.parametrize("target", ["Boxes", "Boxes/1"])
def test_every_example_of_a_models_document_is_answered(served: Server, target: str) -> None:
    reply = served.get(f"/models/{target}/openapi.json")

    assert reply.status == 200, reply.body
    OpenAPIV31SpecValidator(reply.json()).validate()
    asked = [(path, body) for path, body in examples(reply.json())]
    assert len(asked) == 9
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
    assert root.name == "POST /models/{model}/invocations"
    assert (attributes["url.path"], attributes["http.response.status_code"]) == (PATH, 200)
    assert (attributes["stagedoor.model"], attributes["stagedoor.version"]) == ("Boxes", "1")


def test_a_trace_stands_beside_the_time_of_its_request(served: Observed) -> None:
    """Over HTTP and gRPC, to a scraper that can show it."""
    wanted = {f"{digit}af7651916cd43dd8448eb211c80319c": digit for digit in "56"}
    first, second = (f"00-{trace_id}-b7ad6b7169203331-01" for trace_id in wanted)
    headers = {"accept": "application/openmetrics-text"}

    assert served.post(PATH, ROWS, traceparent=first).status == 200
    assert infer_over_grpc(served, [("traceparent", second)]).model_version == "1"

    def are_shown() -> bool:
        page = served.get("/metrics", **headers).body.decode()
        return all(trace_id in page for trace_id in wanted)

    served.wait_until(are_shown, "shown")
    page = served.get("/metrics", **headers).body.decode()
    families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    shown = {
        wanted[one.exemplar.labels["trace_id"]]: one
        for family in families
        for one in family.samples
        if one.exemplar and one.exemplar.labels["trace_id"] in wanted
    }
    told = {digit: (one.labels["model"], one.labels["protocol"]) for digit, one in shown.items()}
    assert told == {"5": ("Boxes", "mlflow"), "6": ("Boxes", "grpc-oip")}
    assert all(one.exemplar.value <= float(one.labels["le"]) for one in shown.values())


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
        # Those of earlier stories may have come in between.
        return counted - summed(before, "stagedoor_predictions_total", 'model="Boxes"') >= 60

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


def events(body: bytes) -> list[Any]:
    """Return the data of events; every line is data, or empty between two."""
    blocks = body.decode().split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


@pytest.mark.parametrize(
    "document", [CHAT, {"prompt": "hello there"}, {"input": "hello there", "stream": True}]
)
def test_a_document_reaches_the_model_as_it_is_and_so_does_its_answer(
    served: Server, document: dict[str, Any]
) -> None:
    whole = served.post("/models/Parrot/invocations", document)
    streamed = served.post("/models/Parrot/invocations", document, **EVENTS)

    assert whole.json() == {"said": "hello there", "kept": sorted(document)}
    assert whole.headers["content-type"] == "application/json"
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events(streamed.body) == [{"delta": "hello"}, {"delta": "there"}]
    assert (whole.version, streamed.version) == (1, 1)


def test_rows_are_streamed_row_by_row_or_answered_whole(served: Server) -> None:
    body = {"inputs": [[1.0, 2.0], [3.0, 4.0]]}

    streamed = served.post("/models/Parrot/1/invocations", body, **EVENTS)
    whole = served.post("/models/Parrot/1/invocations", body, accept="*/*")

    assert events(streamed.body) == [{"predictions": 3.0}, {"predictions": 7.0}]
    assert whole.json() == {"predictions": [3.0, 7.0]}


def test_generate_answers_whole_or_in_events(served: Server) -> None:
    asked = {"text_input": "hello there", "parameters": {"max_tokens": 5}}
    who = {"model_name": "Parrot", "model_version": "1"}

    whole = served.post("/v2/models/Parrot/generate", asked)
    streamed = served.post("/v2/models/Parrot/versions/1/generate_stream", asked)

    assert whole.json() == who | {"said": "hello there", "kept": ["parameters", "text_input"]}
    assert events(streamed.body) == [who | {"delta": "hello"}, who | {"delta": "there"}]


def test_each_event_and_each_whole_answer_of_generate_has_the_callers_id(served: Server) -> None:
    document, row = (
        {"id": "mine", "text_input": "one two"},
        {"id": "7", "width": 1.0, "height": 4.0},
    )

    told = [
        *events(served.post("/v2/models/Parrot/generate_stream", document).body),
        served.post("/v2/models/Parrot/generate", document).json(),
        *events(served.post("/v2/models/Boxes/generate_stream", row).body),
        served.post("/v2/models/Boxes/generate", row).json(),
    ]

    assert [piece["id"] for piece in told] == ["mine"] * 3 + ["7"] * 2


def test_a_model_that_does_not_talk_answers_at_once(served: Server) -> None:
    streamed = served.post("/v2/models/Boxes/generate_stream", {"width": 1.0, "height": 4.0})
    scored = served.post("/models/Boxes/invocations", ROWS, **EVENTS)
    refused = served.post("/models/Boxes/invocations", CHAT)

    [told] = events(streamed.body)
    assert told["output"] == pytest.approx(1.0)
    assert len(scored.predictions) == 2
    assert refused.status == 400


def test_an_error_has_its_status_until_the_first_event_and_is_one_after_it(served: Server) -> None:
    path = "/models/Parrot/invocations"

    early = served.post(path, {"prompt": " ", "fails": True}, **EVENTS)
    late = served.post(path, {"prompt": "one two", "fails": True}, **EVENTS)
    generated = served.post("/v2/models/Parrot/generate_stream", {"prompt": "one", "fails": True})

    assert (early.status, early.json()["error_code"]) == (500, "MODEL_FAILED")
    told = events(late.body)
    assert (late.status, told[:2]) == (200, [{"delta": "one"}, {"delta": "two"}])
    assert told[2]["error_code"] == "MODEL_FAILED"
    assert "secret" not in late.body.decode()
    assert events(generated.body)[1]["code"] == "MODEL_FAILED"
    lines = [json.loads(line) for line in served.log.splitlines() if '"trace":' in line]
    logged = {line["request_id"]: line for line in lines}
    for reply in (early, late, generated):
        line = logged[reply.headers["stagedoor-request-id"]]
        assert (line["model"], line["version"]) == ("Parrot", 1)
        assert "in predict_stream" in line["trace"]
        assert line["trace"].endswith("ValueError")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/models/Parrot/invocations", b"", 400),
        ("/models/Parrot/invocations", b"[1]", 400),
        ("/models/Parrot/invocations", b'{"rows": []}', 400),
        ("/models/Parrot/invocations", b'{"prompt": 1' + b"0" * 30 + b"}", 400),
        ("/v2/models/Parrot/generate_stream", b"no", 400),
        ("/v2/models/Boxes/generate", b'{"parameters": 5}', 400),
        ("/v2/models/Nobody/generate_stream", b"{}", 404),
        ("/v2/models/Parrot/versions/9/generate", b"{}", 404),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(
    served: Server, path: str, body: bytes, status: int
) -> None:
    headers = {"content-type": "application/json", **EVENTS}

    assert served.call("POST", path, body, headers).status == status


def test_a_caller_who_leaves_stops_the_model(served: Server, tmp_path: Path) -> None:
    """The model would go on for ever; it holds its process, which answers others afterwards."""
    log = tmp_path / "log"
    asked = {"prompt": "hello", "endless": True, "log": str(log)}
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    headers = {"content-type": "application/json", **EVENTS}
    connection.request("POST", "/models/Parrot/invocations", json.dumps(asked), headers)
    answer = connection.getresponse()
    assert answer.readline() == b'data: {"delta":"hello"}\n'

    answer.close()
    connection.close()

    served.wait_until(log.exists, "stopped")
    assert served.post("/models/Parrot/invocations", CHAT).status == 200


def test_streams_are_counted_by_how_they_ended(served: Server) -> None:
    path = "/models/Parrot/invocations"
    assert served.post(path, {"prompt": "one", "fails": True}, **EVENTS).status == 200

    page = served.get("/metrics").body.decode()

    series = 'model="Parrot",protocol="mlflow",variant="stable",version="1"'
    assert f'stagedoor_requests_total{{code="500",{series}}}' in page
    assert f'stagedoor_requests_total{{code="200",{series}}}' in page
