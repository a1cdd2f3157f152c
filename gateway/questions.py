"""The predict calls that carry no rows: health, metadata, and the model repository. Event loop.

Called by ``predict.py``, which routes and loads; nothing here waits, but for documents.
"""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Protocol

import msgspec

from gateway.protocols.call import Action, Call
from gateway.protocols.v2_metadata import (
    EXTENSIONS,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    check_change,
    model_metadata,
)
from gateway.routing.table import Assignment, RouteTable
from gateway.serving.lease import Lease
from registry.route import VersionKey
from registry.signature import Signature
from tracking.errors import EndpointMissing, Unavailable

_VERSION = version("stagedoor")
_encode = msgspec.json.encode


class Holdings(Protocol):
    """What this worker holds; ``serving.Manager`` is one."""

    def is_ready(self, key: VersionKey) -> bool:
        """Whether a version can answer here and now."""

    def lease(self, key: VersionKey) -> Lease:
        """Lend a version for the length of a block."""


class Shelf(Protocol):
    """What can be asked and changed of this worker's versions; ``repository`` has one."""

    def index(self, body: bytes) -> bytes:
        """List the versions."""

    def status(self, assignment: Assignment) -> bytes:
        """Tell the states of a model's versions, or of the one that was named."""

    def unload(self, assignment: Assignment, body: bytes) -> None:
        """Unload a version that no route needs."""

    def describe(self, call: Call, assignment: Assignment, signature: Signature | None) -> bytes:
        """Return the OpenAPI document of the version that a call was routed to."""


class Questions:
    """Answers what is asked about a server, a model or its versions. Event loop only.

    Args:
        table: Returns the snapshot of routes.
        holdings: What this worker holds.
        unready: Says why this worker should get no traffic; empty when it should.
        shelf: The model repository; without it there is none.
    """

    def __init__(
        self,
        table: Callable[[], RouteTable],
        holdings: Holdings,
        unready: Callable[[], str],
        shelf: Shelf | None,
    ) -> None:
        self._table = table
        self._holdings = holdings
        self._unready = unready
        self._shelf = shelf

    def about_server(self, action: Action, body: bytes) -> bytes:
        """Answer a question that names no model.

        Raises:
            Unavailable: The server is not ready, and that was the question.
            InvalidRequest: The body is not one of this call.
        """
        match action:
            case Action.PING:
                return b"\n"
            case Action.SERVER_METADATA:
                return _encode(ServerMetadata("stagedoor", _VERSION, EXTENSIONS))
            case Action.SERVER_LIVE:
                return _encode(ServerLive(live=True))
            case Action.INDEX:
                return self._repository().index(body)
            case _:
                return _encode(self._server_ready())

    def about_model(self, action: Action, assignment: Assignment, body: bytes) -> bytes:
        """Answer a question about the version that a call was routed to.

        Raises:
            ModelNotReady: It cannot answer here and now.
            ResourceConflict: It was to be unloaded, and a route needs it.
            InvalidRequest: The body is not one of this call.
        """
        if action is Action.STATUS:
            return self._repository().status(assignment)
        if action is Action.UNLOAD:
            self._repository().unload(assignment, body)
            return b""
        with self._holdings.lease(assignment.key) as servable:
            match action:
                case Action.LOAD:
                    return b""
                case Action.READY:
                    return _encode(ModelReady(name=assignment.model, ready=True))
                case _:
                    versions = sorted(self._table().models[assignment.model].records)
                    metadata = model_metadata(assignment.model, versions, servable.signature)
                    return _encode(metadata)

    async def describe(self, call: Call, assignment: Assignment) -> bytes:
        """Return the OpenAPI document of a version; one of thousands of columns takes a while.

        Raises:
            ModelNotReady: It is not loaded here.
        """
        describe = self._repository().describe
        with self._holdings.lease(assignment.key) as servable:
            return await asyncio.to_thread(describe, call, assignment, servable.signature)

    def check_load(self, body: bytes) -> None:
        """Refuse a body of ``load`` that asks for more than to load.

        Raises:
            InvalidRequest: It does.
        """
        self._repository()
        check_change(body)

    def _repository(self) -> Shelf:
        if self._shelf is None:
            raise EndpointMissing("This server has no model repository to manage.")
        return self._shelf

    def _server_ready(self) -> ServerReady:
        why = self._unready()
        if why:
            raise Unavailable(f"this server is not ready: {why}.")
        return ServerReady(ready=True, live=True)
