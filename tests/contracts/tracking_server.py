"""A real HTTP server in front of two stores: our handlers, Litestar and uvicorn."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import uvicorn
from litestar import Litestar
from litestar.di import Provide

from gateway.api.mlflow import (
    artifact_pages,
    artifact_transfers,
    artifacts,
    experiments,
    logged_models,
    metrics,
    model_versions,
    registered_models,
    runs,
)
from gateway.api.mlflow.decoding import mlflow_router
from gateway.api.mlflow.short_way import ShortWay
from gateway.api.refusals import EXCEPTION_HANDLERS
from gateway.asgi import App, Receive, Scope, Send, send_answer
from gateway.dispatch import REWRITES, rewrite
from gateway.errors import render
from registry.store import RegistryStore
from tracking.artifacts import ServedArtifacts, open_artifacts
from tracking.errors import StagedoorError
from tracking.sql_store import SqlTrackingStore
from tracking.store import TrackingStore

_START_DEADLINE_S = 20


class TrackingServer:
    """Serves a store on a free port, in a thread, for a block. Gives itself.

    ``store``, ``registry``, ``artifacts`` and ``sealed`` may be exchanged between requests.
    """

    def __init__(self, artifacts_folder: Path) -> None:
        self.store: TrackingStore | None = None
        self.registry: RegistryStore | None = None
        self.artifacts: ServedArtifacts = open_artifacts(str(artifacts_folder))
        self.sealed: Callable[[str], bool] = lambda _path: False
        self._server = uvicorn.Server(
            uvicorn.Config(_app(self), log_level="error", lifespan="off", http="httptools")
        )
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self._server.started:
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not start")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _app(server: TrackingServer) -> App:
    handlers = [
        *experiments.HANDLERS,
        *runs.HANDLERS,
        *metrics.HANDLERS,
        *artifacts.HANDLERS,
        *artifact_pages.HANDLERS,
        *artifact_transfers.HANDLERS,
        *logged_models.HANDLERS,
        *registered_models.HANDLERS,
        *model_versions.HANDLERS,
    ]
    control = Litestar(
        [mlflow_router(handlers)],
        dependencies={
            "registry": Provide(lambda: server.registry, sync_to_thread=False),
            "tracking": Provide(lambda: server.store, sync_to_thread=False),
            "artifacts": Provide(lambda: server.artifacts, sync_to_thread=False),
            "sealed": Provide(lambda: server.sealed, sync_to_thread=False),
        },
        exception_handlers=EXCEPTION_HANDLERS,
    )

    async def dispatched(scope: Scope, receive: Receive, send: Send) -> None:
        rewrite(scope, REWRITES)
        app, store = cast("App", control), server.store
        if isinstance(store, SqlTrackingStore):
            app = ShortWay(app, store)
        try:
            await app(scope, receive, send)
        except StagedoorError as error:
            refusal = render(error, "")
            headers = [(b"content-type", b"application/json"), *refusal.headers()]
            await send_answer(send, refusal.status, refusal.body(), headers)

    return dispatched
