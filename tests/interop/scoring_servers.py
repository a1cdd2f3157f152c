"""A real ``mlflow models serve`` for each model, and how an answer is told."""

import http.client
import json
import math
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import stagedoor
from tests.interop.client import free_port, python_of
from tests.interop.scoring_bodies import MODELS, Case

START_TIMEOUT_S = 120.0
CALL_TIMEOUT_S = 60.0


def save_models(folder: Path) -> None:
    """Save every model in a folder of its own, as MLflow reads it."""
    for name, (model, signature, _example) in MODELS.items():
        stagedoor.sklearn.save_model(model, folder / name, signature=signature)


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, int]]:
    """Serve the models in a folder by MLflow; give the port of each."""
    python = python_of("mlflow")
    ports = {name: free_port() for name in MODELS}
    processes = []
    try:
        for name, port in ports.items():
            command: list[str | Path] = [
                python,
                "-m",
                "mlflow",
                "models",
                "serve",
                "-m",
                folder / name,
            ]
            command += ["-p", str(port), "-h", "127.0.0.1", "--env-manager", "local"]
            with (folder / f"{name}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        [*command, "--workers", "1"],
                        env={
                            "HOME": str(folder),
                            "MLFLOW_DISABLE_TELEMETRY": "true",
                            "PATH": f"{python.parent}:/usr/bin:/bin",
                        },
                        cwd=folder,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        for process, port in zip(processes, ports.values(), strict=True):
            _wait_until_up(process, port)
        yield ports
    finally:
        for process in processes:
            os.killpg(process.pid, 9)
            process.wait()


def ask(port: int, path: str, case: Case) -> list[Any]:
    """Send a request, and return what came: the status, and predictions if there are any."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_TIMEOUT_S)
    try:
        headers = {"Content-Type": case.content_type}
        connection.request("POST", path, body=case.body.encode(), headers=headers)
        answer = connection.getresponse()
        return told(answer.status, answer.read())
    finally:
        connection.close()


def told(status: int, body: bytes) -> list[Any]:
    """Return status and predictions; a number that is not finite is its name."""
    if status != http.client.OK:
        return [status, None]
    return [status, _plain(json.loads(body)["predictions"])]


def _plain(value: Any) -> Any:
    """Write down both servers' answers alike: NaN is a token there and null here."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int) -> None:
    ends_at = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            assert process.poll() is None, "mlflow ended: its log says why"
            assert time.monotonic() < ends_at, "mlflow does not answer"
            time.sleep(0.1)
