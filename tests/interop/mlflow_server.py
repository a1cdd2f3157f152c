"""MLflow's own server, from the environment of the real client, on a port of its own."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.interop.client import PYTHON

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 30.0


@contextmanager
def mlflow_server(folder: Path, *, workers: int = 1) -> Iterator[str]:
    """Run it on a fresh SQLite file for a block, and give its URL.

    Its processes are a group of their own, and end together.
    """
    assert PYTHON.exists(), "the mlflow client is not installed: run `make interop-env`"
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                PYTHON.with_name("mlflow"),
                "server",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workers",
                str(workers),
                "--backend-store-uri",
                f"sqlite:///{folder}/mlflow.db",
                "--artifacts-destination",
                folder / "artifacts",
            ],
            env={
                "HOME": str(folder),
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "PATH": f"{PYTHON.parent}:/usr/bin:/bin",
            },
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, folder / "log")
        yield url
    finally:
        _end(process)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    ends_at = time.monotonic() + _START_TIMEOUT_S
    while True:
        assert process.poll() is None, log.read_text(errors="replace")[-4000:]
        assert time.monotonic() < ends_at, "mlflow server did not start"
        try:
            httpx.get(f"{url}/health", trust_env=False, timeout=2).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return


def _end(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_TIMEOUT_S)
