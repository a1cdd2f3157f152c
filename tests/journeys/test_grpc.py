"""gRPC over two workers: who may call, and what a killed worker costs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from gateway.protocols.v2_messages import message
from tests.interop.client import free_port
from tests.journeys.models import register_marked
from tests.journeys.server import Server, kill_hard, running

PATH = "/inference.GRPCInferenceService/"
PATIENCE_S = 30.0
ROW = {"name": "rows", "datatype": "FP64", "shape": [1, 3], "contents": {"fp64_contents": [1] * 3}}


class Served(Server):
    """A server of two workers that speaks gRPC too."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.grpc_port = free_port()
        super().__init__(folder, "--workers", "2", "--grpc-port", str(self.grpc_port), *options)

    def channel(self) -> Any:
        """Open a connection of its own: the kernel says to which worker."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}", options=options)


def infer(channel: Any, model: str = "Marked", **metadata: str) -> Any:
    request = message("ModelInferRequest")(model_name=model, inputs=[ROW])
    call = channel.unary_unary(
        f"{PATH}ModelInfer",
        request_serializer=message("ModelInferRequest").SerializeToString,
        response_deserializer=message("ModelInferResponse").FromString,
    )
    return call(request, timeout=PATIENCE_S, metadata=list(metadata.items()), wait_for_ready=True)


def stream(channel: Any, model: str, **metadata: str) -> Any:
    """Ask over a stream, and return the one response."""
    call = channel.stream_stream(
        f"{PATH}ModelStreamInfer",
        request_serializer=message("ModelInferRequest").SerializeToString,
        response_deserializer=message("ModelStreamInferResponse").FromString,
    )
    request = message("ModelInferRequest")(model_name=model, id="s", inputs=[ROW])
    request.parameters["stream"].bool_param = True
    asked = call(
        iter([request]), timeout=PATIENCE_S, metadata=list(metadata.items()), wait_for_ready=True
    )
    [response] = list(asked)
    return response


def answer(channel: Any, **metadata: str) -> float:
    [output] = infer(channel, **metadata).outputs
    return float(output.contents.fp64_contents[0])


def answer_at_last(server: Server, channel: Any, lost: list[Any]) -> float:
    """Ask until there is an answer; note what came instead."""
    answers: list[float] = []

    def is_answered() -> bool:
        try:
            answers.append(answer(channel))
        except grpc.RpcError as error:
            lost.append((error.code(), error.details()))
        return bool(answers)

    server.wait_until(is_answered, "answered")
    return answers[0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running(Served(tmp_path_factory.mktemp("grpc") / "server")) as server:
        assert isinstance(server, Served)
        register_marked(server, "Marked", 1)
        assert server.promote("Marked", 1).status == 200
        yield server


def test_health_and_reflection_answer(served: Served) -> None:
    with served.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service="inference.GRPCInferenceService")
        told = health.Check(asked, timeout=PATIENCE_S, wait_for_ready=True)
        services = ProtoReflectionDescriptorDatabase(channel).get_services()

    assert told.status == health_pb2.HealthCheckResponse.SERVING
    assert set(services) == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    }


def test_a_refusal_has_its_status_and_trailers(served: Served) -> None:
    with served.channel() as channel, pytest.raises(grpc.RpcError) as refusal:
        infer(channel, "Nobody")

    trailers = dict(refusal.value.trailing_metadata())
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
    assert trailers["stagedoor-code"] == "RESOURCE_DOES_NOT_EXIST"
    assert trailers["stagedoor-request-id"]


def test_a_killed_worker_costs_only_what_was_under_way(served: Served) -> None:
    """A connection to the dead one ends by UNAVAILABLE; a next try, on any, is answered."""
    channels = [served.channel() for _ in range(12)]
    before = [answer(channel) for channel in channels]
    workers = served.worker_ids()

    killed = served.worker_pids()[0]
    kill_hard([killed])
    # Until the kernel has closed its socket, a new connection may still be lost with it.
    served.wait_until(lambda: killed not in served.worker_pids(), "gone")

    lost: list[Any] = []
    after = [answer_at_last(served, channel, lost) for channel in channels]
    with served.channel() as fresh:
        after.append(answer(fresh))
    served.wait_for_replacement(workers)
    for channel in channels:
        channel.close()

    assert before == [1003.0] * 12
    assert after == [1003.0] * 13
    assert {code for code, _details in lost} <= {grpc.StatusCode.UNAVAILABLE}


def test_calls_need_a_token_where_auth_is_on(tmp_path: Path) -> None:
    with running(Served(tmp_path / "server", "--auth")) as server:
        assert isinstance(server, Served)
        [token] = re.findall(r"^Admin token, shown this once: (\S+)$", server.log, re.MULTILINE)
        bearer = f"Bearer {token}"
        told = []
        with server.channel() as channel:
            for metadata in ({}, {"authorization": "Bearer wrong"}, {"authorization": bearer}):
                with pytest.raises(grpc.RpcError) as refusal:
                    infer(channel, "Nobody", **metadata)
                told.append(refusal.value.code())
            refused = stream(channel, "Nobody")
            missing = stream(channel, "Nobody", authorization=bearer)

    assert told == [
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.NOT_FOUND,
    ]
    assert "token" in refused.error_message.lower()
    assert "No registered model 'Nobody'" in missing.error_message
    # Nothing is read of a request whose caller may not come in.
    assert (refused.infer_response.id, missing.infer_response.id) == ("", "s")
