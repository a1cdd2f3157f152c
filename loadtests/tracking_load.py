"""Writes to a tracking server over raw HTTP: several connections, one call at a time on each."""

import http.client
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import msgspec

API = "/api/2.0/mlflow"
_TIMEOUT_S = 120
_SUCCESS = 200
_POINTS = 1_000


class Connection:
    """One kept connection to a server. Of one thread.

    Args:
        url: Where the server is.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url).netloc
        self._http = http.client.HTTPConnection(address, timeout=_TIMEOUT_S)

    def post(self, path: str, body: Mapping[str, Any]) -> bytes:
        """POST beneath the API and return the answer's bytes.

        Raises:
            RuntimeError: The server refused.
        """
        headers = {"Content-Type": "application/json"}
        self._http.request("POST", f"{API}/{path}", msgspec.json.encode(body), headers)
        return self._answer(path)

    def get(self, path: str) -> bytes:
        """GET beneath the API, with what is asked for in the path, and return the answer's bytes.

        Raises:
            RuntimeError: The server refused.
        """
        self._http.request("GET", f"{API}/{path}")
        return self._answer(path)

    def _answer(self, path: str) -> bytes:
        answer = self._http.getresponse()
        content = answer.read()
        if answer.status != _SUCCESS:
            raise RuntimeError(f"{path} answered {answer.status}: {content[:500]!r}")
        return content

    def start_run(self, experiment_id: str = "0") -> str:
        """Start a run and return its id."""
        body = {"experiment_id": experiment_id, "start_time": time.time_ns() // 1_000_000}
        made = msgspec.json.decode(self.post("runs/create", body))
        run_id: str = made["run"]["info"]["run_id"]
        return run_id

    def close(self) -> None:
        """Let go of it."""
        self._http.close()


Write = Callable[[Connection, str, int], None]
"""One call: on a connection, to a run of its own, with the number of the call."""


def _log_metric(connection: Connection, run_id: str, number: int) -> None:
    point = {"key": "loss", "value": 1.0 / (number + 1), "timestamp": number, "step": number}
    connection.post("runs/log-metric", {"run_id": run_id, **point})


def _log_batch(connection: Connection, run_id: str, number: int) -> None:
    first = number * _POINTS
    points = [
        {"key": f"m{step % 10}", "value": step / 7, "timestamp": step, "step": step}
        for step in range(first, first + _POINTS)
    ]
    connection.post("runs/log-batch", {"run_id": run_id, "metrics": points})


def _create_run(connection: Connection, _run_id: str, number: int) -> None:
    tags = [{"key": "mlflow.user", "value": "bench"}, {"key": "number", "value": str(number)}]
    body = {"experiment_id": "0", "run_name": uuid.uuid4().hex, "start_time": number, "tags": tags}
    connection.post("runs/create", body)


WRITES: dict[str, Write] = {
    "log_metric": _log_metric,
    "log_batch of 1,000": _log_batch,
    "create_run": _create_run,
}


def rate_of(url: str, write: Write, *, connections: int, seconds: float) -> float:
    """Return how many calls a second all connections together reach."""
    started_s = time.perf_counter()
    ends_at = started_s + seconds
    done = [0] * connections
    faults: list[BaseException] = []

    def work(place: int) -> None:
        try:
            connection = Connection(url)
            run_id = connection.start_run()
            for number in count():
                write(connection, run_id, number)
                done[place] += 1
                if time.perf_counter() > ends_at:
                    break
            connection.close()
        except (OSError, RuntimeError, http.client.HTTPException) as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return sum(done) / (time.perf_counter() - started_s)


def ask(url: str, path: str, body: Mapping[str, Any]) -> float:
    """Send one call and return how many seconds its answer took."""
    connection = Connection(url)
    started_s = time.perf_counter()
    connection.post(path, body)
    took_s = time.perf_counter() - started_s
    connection.close()
    return took_s
