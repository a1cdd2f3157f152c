"""An application of these load tests under plain uvicorn, for the length of a block."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from stagedoor.demo.server_process import HOST, free_port

_ROOT = Path(__file__).parents[1]
_FLAGS = "--http httptools --loop uvloop --lifespan off --no-access-log --log-level error"
_START_TIMEOUT_S = 60.0
_LOOK_EVERY_S = 0.05


@contextmanager
def bare_uvicorn(app: str, *, workers: int = 1) -> Iterator[tuple[str, int]]:
    """Run ``module:app`` with httptools and uvloop; give its address and its process."""
    port = free_port()
    options = ["--host", HOST, "--port", str(port), "--workers", str(workers)]
    command = [sys.executable, "-m", "uvicorn", app, *_FLAGS.split(), *options]
    process = subprocess.Popen(command, cwd=_ROOT)
    url = f"http://{HOST}:{port}"
    try:
        _wait_for(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            httpx.get(url, trust_env=False).raise_for_status()
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > ends_at:
                raise
            time.sleep(_LOOK_EVERY_S)
            continue
        return
