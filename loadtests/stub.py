"""Our whole predict path but for the model: HTTP, door, routing, decode and encode, no predict.

``bench`` runs it as ``python -m loadtests.stub --port N``: one process, compared with the floor.
"""

import argparse
import math
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np

from gateway.asgi import Message, Receive, Scope, Send
from gateway.auth.door import Door
from gateway.auth.hosts import host_policy
from gateway.dispatch import Dispatch
from gateway.http_server import DoorConfig, DoorServer
from gateway.place import Place
from gateway.predict import Predict
from gateway.routing.table import ModelRoute, RouteTable
from gateway.serving.lease import Holder, Lease
from gateway.settings import Settings
from registry.route import Route, VersionKey, VersionRecord
from registry.signature import Signature, TensorSpec
from registry.tensors import Batch, Prediction

MODEL = "A"
COLUMNS = 4
_KEY = VersionKey(MODEL, 1, "stub")


class Fixed:
    """A servable that answers 0 at once."""

    key = _KEY
    signature: Signature | None = Signature(inputs=(TensorSpec("float64", (-1, COLUMNS)),))

    def __init__(self) -> None:
        self._answer = Prediction(("output",), (np.zeros(1, dtype=np.int64),))

    async def predict(
        self,
        batch: Batch,  # noqa: ARG002
        params: Mapping[str, Any],  # noqa: ARG002
        deadline_s: float = math.inf,  # noqa: ARG002
    ) -> Prediction:
        """Answer 0 for one row."""
        return self._answer

    def check_admission(self, rows: int = 0, deadline_s: float = math.inf) -> None:
        """Let everybody in."""

    def close(self) -> None:
        """Hold nothing."""


class Held:
    """Holdings with the one servable."""

    def __init__(self) -> None:
        self._holder = Holder(Fixed(), lambda _: None)  # type: ignore[arg-type] # never restarted

    def is_ready(self, key: VersionKey) -> bool:
        """Say that it is there."""
        return key == _KEY

    def lease(self, _key: VersionKey) -> Lease:
        """Lend it."""
        return Lease(self._holder)


async def control(scope: Scope, receive: Receive, send: Send) -> None:
    """Stand where Litestar would: answer the lifespan and nothing else."""
    if scope["type"] != "lifespan":
        return
    for stage in ("startup", "shutdown"):
        await receive()
        message: Message = {"type": f"lifespan.{stage}.complete"}
        await send(message)


def application() -> Dispatch:
    """Return the predict path with the servable above."""
    records = {1: VersionRecord(_KEY, "", "Production")}
    table = RouteTable({MODEL: ModelRoute(MODEL, 1, Route(production=1), records)})
    predict = Predict(
        lambda: table,
        Held(),
        lambda _: None,  # type: ignore[arg-type,return-value] # everything is loaded
        lambda: "",
        Place(worker="stub", default=None, load_timeout_s=1.0),
    )
    door = Door(host_policy("127.0.0.1", ()), None, max_body_bytes=2**24, max_upload_bytes=2**24)
    return Dispatch(predict, control, door, permission_of=lambda *_: None, worker_id="stub")


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="loadtests.stub", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    listening = socket.create_server(("127.0.0.1", port), backlog=2048)
    settings = Settings()
    server = DoorServer(DoorConfig(application(), settings), on_drain=lambda: None)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
