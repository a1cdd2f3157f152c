"""A tiny application under the real supervisor; started by test_supervisor.py as a process.

Arguments: settings as a JSON object by path, and what the worker of index 1 does wrong, or
each of them.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from typing import Any

from gateway.http_server import DoorConfig, DoorServer
from gateway.settings import Settings, load_settings
from gateway.supervisor import serve
from gateway.worker import WorkerIdentity
from tracking.errors import InvalidRequest


class TinyApp:
    """Answers ``/`` with the worker's id, pid and index; other paths do something first."""

    def __init__(self, identity: WorkerIdentity) -> None:
        self.identity = identity

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                await send({"type": (await receive())["type"] + ".complete"})
            return
        body = json.dumps(await self.answer(scope["path"])).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def answer(self, path: str) -> Any:
        if path == "/slow":
            sys.stderr.write("slow began\n")
            await asyncio.sleep(1.0)
        if path == "/stuck":
            await asyncio.sleep(600.0)
        if path == "/runner":
            return start_runner()
        if path == "/count":
            return count()
        return {"id": self.identity.id, "pid": os.getpid(), "index": self.identity.index}


def start_runner() -> int:
    return subprocess.Popen(["sleep", "600"]).pid


def count() -> float:
    from gateway import metrics  # noqa: PLC0415 - after the metrics folder is set

    metrics.RELOADS.labels("m").inc()
    lines = metrics.scrape().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("stagedoor_reloads"))


def target(settings: Settings, listening: socket.socket, identity: WorkerIdentity) -> None:
    fault = sys.argv[2] if identity.index == 1 else ""
    if sys.argv[2] == "refuse":
        message = "this will never work"
        raise InvalidRequest(message)
    if fault == "raise":
        message = "cannot start"
        raise RuntimeError(message)
    if fault == "exit":
        os._exit(3)
    server = DoorServer(DoorConfig(TinyApp(identity), settings), on_drain=lambda: None)
    server.run(sockets=[listening])


if __name__ == "__main__":
    sys.exit(serve(load_settings(json.loads(sys.argv[1])).settings, target=target))
