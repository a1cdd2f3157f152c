"""gRPC's health service: a real server and the real stub, over routes that change."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.auth.door import Door
from gateway.auth.hosts import host_policy
from gateway.auth.policy import Principal
from gateway.grpc_server import GrpcServer
from gateway.place import Place
from gateway.predict import Predict
from gateway.routing.table import ModelRoute, RouteTable
from gateway.serving.lease import Lease
from registry.route import Route, VersionKey, VersionRecord
from tests.gateway.patients import RECORDS, Shelf, stable
from tests.interop.client import free_port
from tracking.errors import ModelNotReady

PATIENCE_S = 30.0
SERVER_NAMES = ("", "inference.GRPCInferenceService")


class World:
    """What a server knows of itself, to be changed by a story."""

    def __init__(self) -> None:
        self.why = ""
        self.table = table_of(oak=Route(production=1), elm=Route(production=2), ash=Route())
        self.predict = Predict(
            lambda: self.table, Shelved(stable()), demand, lambda: self.why, Place("w", None, 1.0)
        )


class Shelved(Shelf):
    """Says as the manager does that a version is not here."""

    def lease(self, key: VersionKey) -> Lease:
        if not self.is_ready(key):
            raise ModelNotReady("it is not loaded")
        return super().lease(key)


class Nobody:
    """Knows no caller."""

    def find_known(self, _credential: str) -> Principal | None:
        return None

    def verify(self, _credential: str) -> Principal | None:
        return None


def table_of(**routes: Route) -> RouteTable:
    table = RouteTable()
    for name, route in routes.items():
        table = table.with_model(ModelRoute(name, 1, route, RECORDS))
    return table


def demand(_record: VersionRecord) -> Any:
    raise AssertionError


def tell(
    story: Callable[[GrpcServer, Any], Coroutine[Any, Any, Any]],
    world: World,
    callers: Nobody | None = None,
) -> Any:
    door = Door(host_policy("127.0.0.1", ()), callers, max_body_bytes=999, max_upload_bytes=999)

    async def main() -> Any:
        address = f"127.0.0.1:{free_port()}"
        server = GrpcServer(world.predict, door, address, max_body_bytes=99_999)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                return await story(server, health_pb2_grpc.HealthStub(channel))
        finally:
            await server.stop(0.2)

    return asyncio.run(asyncio.wait_for(main(), PATIENCE_S))


async def check(stub: Any, service: str) -> str:
    """Return the name of how a service is, or of why that is not said."""
    try:
        told = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    except grpc.aio.AioRpcError as error:
        name: str = error.code().name
        return name
    return status_name(told)


def status_name(told: Any) -> str:
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(told.status)
    return name


def test_health_follows_readiness() -> None:
    world = World()

    async def story(_server: GrpcServer, stub: Any) -> list[str]:
        told = [await check(stub, name) for name in SERVER_NAMES]
        world.why = "Model 'oak' has no Production."
        told += [await check(stub, name) for name in SERVER_NAMES]
        world.why = ""
        return [*told, await check(stub, "")]

    assert tell(story, world) == [*["SERVING"] * 2, *["NOT_SERVING"] * 2, "SERVING"]


def test_a_model_has_a_name_of_its_own() -> None:
    """Version 2 of all is not loaded; the ash has no Production, and the yew is not there."""
    world = World()

    async def story(_server: GrpcServer, stub: Any) -> dict[str, str]:
        return {name: await check(stub, name) for name in ("oak", "elm", "ash", "yew", "x" * 5000)}

    assert tell(story, world) == {
        "oak": "SERVING",
        "elm": "NOT_SERVING",
        "ash": "NOT_SERVING",
        "yew": "NOT_FOUND",
        "x" * 5000: "NOT_FOUND",
    }


@pytest.mark.parametrize("service", ["", "yew"])
def test_who_watches_is_told_what_changes_and_that_the_server_stops(service: str) -> None:
    world = World()
    world.why = "Nothing is loaded."

    async def story(server: GrpcServer, stub: Any) -> list[str]:
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=service))
        told = [status_name(await watch.read())]
        world.why, world.table = "", table_of(yew=Route(production=1))
        told.append(status_name(await watch.read()))
        stopping = asyncio.create_task(server.stop(PATIENCE_S))
        told.append(status_name(await watch.read()))
        await stopping
        assert await watch.read() is grpc.aio.EOF
        return told

    first = "SERVICE_UNKNOWN" if service else "NOT_SERVING"
    assert tell(story, world) == [first, "SERVING", "NOT_SERVING"]


def test_who_is_unknown_learns_about_the_server_and_no_model() -> None:
    async def story(_server: GrpcServer, stub: Any) -> list[Any]:
        told: list[Any] = [await check(stub, name) for name in ("", "oak", "yew")]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Watch(health_pb2.HealthCheckRequest(service="oak")).read()
        return [*told, refused.value.code().name]

    told = tell(story, World(), Nobody())

    assert told == ["SERVING", *["UNAUTHENTICATED"] * 3]
