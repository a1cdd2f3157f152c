"""Scripts of other clients, run by their own Python against a server of ours."""

import json
import secrets
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 150.0
_LOWEST_PORT, _PORTS = 10_000, 20_000


def python_of(client: str) -> Path:
    """Return the Python of a client's own environment."""
    python = ROOT / ".venvs" / client / "bin" / "python"
    assert python.exists(), f"{client} is not installed: run `make interop-env`"
    return python


def run_script(name: str, *, url: str, folder: Path, client: str = "mlflow") -> Any:
    """Run a script of this folder with a real client; return what it wrote.

    The client gets an environment of its own: the server's URI and no retries, so that an answer of
    5xx fails at once.
    """
    answers = folder / "answers.json"
    done = subprocess.run(
        [python_of(client), Path(__file__).with_name(name), answers],
        env={
            "HOME": str(folder),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "MLFLOW_TRACKING_URI": url,
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),  # scripts share what they tell
            "SERVER_ADDRESS": url.removeprefix("http://"),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(answers.read_text(encoding="utf-8"))


def free_port() -> int:
    """Return a port of this host that nobody listens on now.

    It is beneath those that the kernel gives to whoever asks for any, so that no other test gets it
    before a server has bound it.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
