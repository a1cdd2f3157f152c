"""MLflow's own server and client, from an environment of their own: what ours is compared with."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import msgspec

from loadtests.cpu import cpu_s

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venvs" / "mlflow" / "bin" / "python"

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 30.0
_REST_S = 3.0
_RESTING_SHARE = 0.05
"""Of one CPU: what its idle processes take."""


def require_client() -> None:
    """Check that the environment of the real client is there.

    Raises:
        RuntimeError: It is not.
    """
    if not PYTHON.exists():
        raise RuntimeError("the mlflow client is not installed: run `make interop-env`")


def run_client_script(name: str, *, url: str, arguments: Sequence[str]) -> dict[str, float]:
    """Run a script of this folder with the real client, and return the numbers it wrote."""
    require_client()
    with tempfile.TemporaryDirectory(prefix="stagedoor-client-") as folder:
        answers = Path(folder) / "answers.json"
        environment = {
            "HOME": folder,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_TRACKING_URI": url,
            "PATH": "/usr/bin:/bin",
        }
        command = [str(PYTHON), str(Path(__file__).with_name(name)), str(answers), *arguments]
        subprocess.run(command, env=environment, cwd=folder, check=True)
        return msgspec.json.decode(answers.read_bytes(), type=dict[str, float])


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run it on a fresh SQLite file for a block, and give its URL.

    Its processes are a group of their own, and end together. It has one worker, not its default of
    four: those starve each other on SQLite until they drop connections.
    """
    require_client()
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    with (folder / "log").open("wb") as log:
        process = _start(folder, port, log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process, folder / "log")
        _await_rest(process.pid)
        yield url
    finally:
        _end(process)


def _start(folder: Path, port: int, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    address = f"--host 127.0.0.1 --port {port} --workers 1".split()
    kept = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    files = ["--artifacts-destination", str(folder / "artifacts")]
    return subprocess.Popen(
        [str(PYTHON.with_name("mlflow")), "server", *address, *kept, *files],
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


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    ends_at = time.monotonic() + _START_TIMEOUT_S
    while True:
        if process.poll() is not None or time.monotonic() > ends_at:
            raise RuntimeError(f"mlflow server: {log.read_text(errors='replace')[-4000:]}")
        try:
            httpx.get(f"{url}/health", trust_env=False, timeout=2).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return


def _await_rest(pid: int) -> None:
    """Wait until it only waits: half a minute after its first answer it still starts processes.

    They would take the CPUs from whatever is measured first.
    """
    ends_at = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < ends_at:
        before_s = cpu_s(pid) or 0.0
        time.sleep(_REST_S)
        if (cpu_s(pid) or 0.0) - before_s < _REST_S * _RESTING_SHARE:
            return


def _end(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_TIMEOUT_S)
