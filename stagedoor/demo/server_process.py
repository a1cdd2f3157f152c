"""A server of one's own, as a child process: started, waited for, and ended by its pid.

The demo and the load tests run theirs by it, from the main thread.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from stagedoor.demo.admin import Admin
from tracking.errors import Unavailable

HOST = "127.0.0.1"
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
_LOOK_EVERY_S = 0.05
_LOG_TAIL = 10


class ServerOptions(Struct, frozen=True):
    """How a server is started.

    Args:
        folder: Everything it writes goes in here.
        port: Where it listens; 0 takes a free one.
        workers: Worker processes.
        settings: Further settings by section, each as lines of TOML.
        has_auth: Whether callers need a token.
    """

    folder: Path
    port: int = 0
    workers: int = 2
    settings: Mapping[str, str] = {}
    has_auth: bool = False


class ServerProcess(Struct, frozen=True):
    """A server that is up.

    Args:
        url: Where it answers.
        process: Its supervisor.
        log: What it says.
    """

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path


@contextmanager
def run_server(options: ServerOptions) -> Iterator[ServerProcess]:
    """Start a server, and end it after the block.

    It has a session of its own: an interrupt at the terminal reaches this process alone, which then
    asks the server to drain.

    Raises:
        Unavailable: It ended, or was not ready in time; the message holds the end of its log.
    """
    with start_server(options) as server:
        _wait_until_ready(server)
        yield server


@contextmanager
def start_server(options: ServerOptions) -> Iterator[ServerProcess]:
    """Start a server without waiting for it, and end it after the block."""
    options.folder.mkdir(parents=True, exist_ok=True)
    log = options.folder / "server.log"
    url = f"http://{HOST}:{options.port or free_port()}"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            _command(options, url), stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        yield ServerProcess(url, process, log)
    finally:
        _stop(process)


def free_port(wanted: int = 0) -> int:
    """Return a port that is free now: the wanted one if it is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _command(options: ServerOptions, url: str) -> list[str]:
    folder = options.folder.resolve()
    config = folder / "stagedoor.toml"
    sections = {**options.settings, "storage": f'cache_dir = "{folder / "cache"}"'}
    config.write_text("".join(f"[{name}]\n{lines}\n" for name, lines in sections.items()))
    flags = {
        "--host": HOST,
        "--port": url.rpartition(":")[2],
        "--workers": str(options.workers),
        "--backend-store-uri": f"sqlite:///{folder / 'stagedoor.db'}",
        "--artifacts-destination": str(folder / "artifacts"),
        "--config": str(config),
    }
    given = [part for flag in flags.items() for part in flag]
    auth = "--auth" if options.has_auth else "--no-auth"
    return [sys.executable, "-m", "stagedoor", "server", auth, *given]


def _wait_until_ready(server: ServerProcess) -> None:
    ends_at = time.monotonic() + READY_TIMEOUT_S
    with Admin(server.url) as admin:
        while not admin.is_ready():
            if server.process.poll() is not None:
                raise Unavailable(f"The server ended at its start. {_last_words(server.log)}")
            if time.monotonic() > ends_at:
                message = f"The server was not ready after {READY_TIMEOUT_S:g} s."
                raise Unavailable(f"{message} {_last_words(server.log)}")
            time.sleep(_LOOK_EVERY_S)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL:]
    return "Its log ends with:\n" + "\n".join(lines)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Let it drain; end it when it takes too long."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
