"""Many clients that write at once over kept connections: what each was told is written down.

Each client is a thread with a run of its own. Judged afterwards by ``history``, from a file.
"""

import hashlib
import http.client
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from tests.journeys.history import Written
from tests.journeys.server import Server

MLFLOW = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
KINDS = ("metric", "param", "tag", "batch", "artifact")
ARTIFACT_BYTES = 70_000
ANSWER_TIMEOUT_S = 60.0
_CREATE = f"{MLFLOW}/runs/create"
_OK = 200
_PIECE = 256


class Client:
    """One kept connection, opened anew when it broke. One thread only."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)

    def call(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        """Send JSON, or bytes as they are; return the status and the body of the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        try:
            self._connection.request(method, path, raw, {"Content-Type": kind})
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()


class Writers:
    """Clients that write until each has written so much, or until told to end.

    Args:
        server: Whom to write to.
        clients: How many at once.
        each: How many writes each makes after it has made its run.
        kinds: What is written, in turn.
    """

    def __init__(
        self, server: Server, *, clients: int, each: int, kinds: tuple[str, ...] = KINDS
    ) -> None:
        self.history: list[Written] = []
        self._each = each
        self._kinds = kinds
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._write_all, args=(Client(server.port),), daemon=True)
            for _ in range(clients)
        ]

    def start(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def acknowledged(self) -> int:
        """Return how many writes were acknowledged so far."""
        return sum(1 for write in self.history if write.status == _OK)

    def refused(self) -> int:
        """Return how many writes got another answer so far."""
        return sum(1 for write in self.history if write.status not in {0, _OK})

    def end(self) -> list[Written]:
        """Begin nothing more, wait for what is under way, and return what happened."""
        self._ending.set()
        return self.join()

    def join(self) -> list[Written]:
        """Wait until everything is written, and return what happened."""
        for thread in self._threads:
            thread.join(2 * ANSWER_TIMEOUT_S)
            assert not thread.is_alive(), "a client hangs"
        return self.history

    def _write_all(self, client: Client) -> None:
        run_id = self._make_run(client)
        for number in range(self._each):
            if not run_id or self._ending.is_set():
                break
            kind = self._kinds[number % len(self._kinds)]
            call = partial(client.call, *_request(kind, run_id, f"w{number}"))
            self._write(f"{run_id} {kind} w{number}", call)
        client.close()

    def _make_run(self, client: Client) -> str:
        """Make a run by a name of its own; return its id, or nothing if none came."""
        name = uuid.uuid4().hex
        asked = {"experiment_id": "0", "run_name": name}
        body = self._write(f"run {name}", partial(client.call, "POST", _CREATE, asked))
        return str(json.loads(body)["run"]["info"]["run_id"]) if body else ""

    def _write(self, name: str, call: Callable[[], tuple[int, bytes]]) -> bytes:
        """Make one call and write down what became of it; return the answer to a good one."""
        begun_s = time.monotonic()
        try:
            status, body = call()
        except (OSError, http.client.HTTPException) as error:
            status, body = 0, repr(error).encode()
        is_good = status == _OK
        told = "" if is_good else body.decode(errors="replace")
        self.history.append(Written(name, begun_s, time.monotonic(), status, told))
        return body if is_good else b""


def write_until_killed(server: Server, clients: int, enough: int) -> list[Written]:
    """Kill everything once so many writes were acknowledged; start again; return what was told."""
    writers = Writers(server, clients=clients, each=10_000).start()
    server.wait_until(lambda: writers.acknowledged() >= enough, "written", pause_s=0.001)
    server.kill_everything()
    history = writers.end()
    server.start()
    return history


def integrity(server: Server) -> str:
    """Return what SQLite finds wrong with a server's file, or ``ok``."""
    with closing(sqlite3.connect(server.folder / "stagedoor.db")) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])


def content_of(run_id: str, key: str) -> bytes:
    """Return what the artifact of a run is made of: no two are alike, in any of their pieces."""
    seed = hashlib.sha256(f"{run_id}/{key}".encode()).digest() * (_PIECE // 32)
    return (seed * (ARTIFACT_BYTES // _PIECE + 1))[:ARTIFACT_BYTES]


def found_writes(server: Server) -> Iterator[str]:
    """Yield the names of all writes that the server has, by its own answers.

    An artifact that is not whole is found by another name.
    """
    asked = {"experiment_ids": ["0"], "max_results": 50_000}
    for run in server.post(f"{MLFLOW}/runs/search", asked).json().get("runs", []):
        run_id, data = run["info"]["run_id"], run["data"]
        yield f"run {run['info']['run_name']}"
        keys = {
            kind: {entry["key"] for entry in data.get(f"{kind}s", [])}
            for kind in ("metric", "param", "tag")
        }
        for kind, present in keys.items():
            yield from (f"{run_id} {kind} {key}" for key in present)
        whole = keys["metric"] & keys["param"] & keys["tag"]
        yield from (f"{run_id} batch {key}" for key in whole)
        yield from _found_artifacts(server, run_id)


def _found_artifacts(server: Server, run_id: str) -> Iterator[str]:
    listed = server.get(f"{ARTIFACTS}?path=0/{run_id}/artifacts").json().get("files", [])
    for file in listed:
        body = server.get(f"{ARTIFACTS}/0/{run_id}/artifacts/{file['path']}").body
        is_whole = body == content_of(run_id, file["path"])
        yield f"{run_id} {'artifact' if is_whole else 'torn artifact'} {file['path']}"


def _request(kind: str, run_id: str, key: str) -> tuple[str, str, Any]:
    text = {"key": key, "value": "1"}
    point = {"key": key, "value": 1.0, "timestamp": 1, "step": 0}
    paths: dict[str, tuple[str, str, Any]] = {
        "metric": ("POST", f"{MLFLOW}/runs/log-metric", {"run_id": run_id, **point}),
        "param": ("POST", f"{MLFLOW}/runs/log-parameter", {"run_id": run_id, **text}),
        "tag": ("POST", f"{MLFLOW}/runs/set-tag", {"run_id": run_id, **text}),
        "batch": (
            "POST",
            f"{MLFLOW}/runs/log-batch",
            {"run_id": run_id, "metrics": [point], "params": [text], "tags": [text]},
        ),
        "artifact": (
            "PUT",
            f"{ARTIFACTS}/0/{run_id}/artifacts/{key}",
            content_of(run_id, key),
        ),
    }
    return paths[kind]
