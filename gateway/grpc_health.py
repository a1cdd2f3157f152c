"""gRPC's health service, which asks whenever it is asked: it remembers nothing of any name.

Made by ``grpc_server`` for its server; event loop only. The server itself, under no name or the
inference service's, is as ready as ``/health/ready`` says; any other name is a model's.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

from gateway.auth.policy import Permission
from gateway.errors import render
from gateway.grpc_status import end
from gateway.lines import Asked
from gateway.predict import Predict
from gateway.protocols.call import Action, Call, ProtocolName
from gateway.protocols.refusals import shown
from gateway.protocols.v2_messages import PACKAGE, SERVICE
from gateway.protocols.wires import BodyHead
from gateway.request_ids import RequestIds
from registry.references import Live
from tracking.errors import ResourceMissing, StagedoorError

SERVER_NAMES = ("", f"{PACKAGE}.{SERVICE}")
"""What the server itself is called."""
UNKNOWN = "SERVICE_UNKNOWN"
"""What a name is that is nobody's."""
WATCH_EVERY_S = 0.5
"""How often it is looked whether something changed for those who watch."""
HEALTH = "grpc.health.v1.Health"
"""The service's name."""


class Health:
    """The health service of a worker. Event loop only.

    Args:
        predict: What is asked.
        admit: Lets a caller in who may do something, or raises.
        watch_every_s: How soon somebody who watches is told.
    """

    def __init__(
        self,
        predict: Predict,
        admit: Callable[[Permission, Any], Awaitable[Any]],
        watch_every_s: float = WATCH_EVERY_S,
    ) -> None:
        self._predict = predict
        self._admit = admit
        self._watch_every_s = watch_every_s
        self._ids = RequestIds()
        self._is_stopping = asyncio.Event()

    def handlers(self, grpc: Any) -> Any:
        """Return what answers the service's methods."""
        pb2 = importlib.import_module("grpc_health.v1.health_pb2")
        shapes = {
            "request_deserializer": pb2.HealthCheckRequest.FromString,
            "response_serializer": pb2.HealthCheckResponse.SerializeToString,
        }

        async def check(request: Any, context: Any) -> Any:
            await self._let_in(request.service, context)
            status = await self.check(request.service)
            if status == UNKNOWN:
                message = f"There is no model {shown(request.service)} here."
                await context.abort(grpc.StatusCode.NOT_FOUND, message)
            return pb2.HealthCheckResponse(status=status)

        async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
            await self._let_in(request.service, context)
            async for status in self.watch(request.service):
                yield pb2.HealthCheckResponse(status=status)

        methods = {
            "Check": grpc.unary_unary_rpc_method_handler(check, **shapes),
            "Watch": grpc.unary_stream_rpc_method_handler(watch, **shapes),
        }
        return grpc.method_handlers_generic_handler(HEALTH, methods)

    def stop(self) -> None:
        """Be ready no more, and let those go who watch."""
        self._is_stopping.set()

    async def check(self, service: str) -> str:
        """Return how a service is, by the name of gRPC's status."""
        if self._is_stopping.is_set():
            return "NOT_SERVING"
        is_server = service in SERVER_NAMES
        action = Action.SERVER_READY if is_server else Action.READY
        model = None if is_server else service
        call = Call(ProtocolName.V2, action, Permission.OPEN, model, Live())
        try:
            await self._predict.ask(Asked(call, BodyHead(), b"", ""), b"")
        except ResourceMissing:
            return "NOT_SERVING" if self._predict.has(service) else UNKNOWN
        except StagedoorError:
            return "NOT_SERVING"
        return "SERVING"

    async def watch(self, service: str) -> AsyncIterator[str]:
        """Yield how a service is, and again when it is otherwise, until the server stops."""
        told = ""
        while True:
            is_last = self._is_stopping.is_set()
            now = await self.check(service)
            if now != told:
                told = now
                yield told
            if is_last:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._watch_every_s):
                    await self._is_stopping.wait()

    async def _let_in(self, service: str, context: Any) -> None:
        """Let anybody ask about the server, and about a model those who may ask it."""
        permission = Permission.OPEN if service in SERVER_NAMES else Permission.PREDICT
        try:
            await self._admit(permission, context)
        except StagedoorError as error:
            await end(context, render(error, self._ids.take()))
