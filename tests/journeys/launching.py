"""Servers as forks of one process that has imported the libraries already.

A server's first second goes to importing libraries, in every one of fifty servers alike. Our own
modules are imported by each server itself, as when its command is called; the test of the demo
serves by the command as it is.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_LIBRARIES = [
    "alembic.command",
    "click",
    "cryptography.fernet",
    "httptools",
    "httpx",
    "litestar",
    "litestar.openapi.plugins",
    "msgspec",
    "numpy.typing",
    "obstore.store",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "uvicorn",
    "uvloop",
    "yaml",
]
"""All but prometheus_client, which looks at its environment when it is imported."""


class Launched:
    """A command of ours in a process of its own, with what a test asks of a Popen.

    Args:
        arguments: What follows ``stagedoor`` on the command line.
        folder: Where it runs.
        log: What takes all that it says.
    """

    def __init__(self, arguments: Sequence[str], *, folder: Path, log: Path) -> None:
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_LIBRARIES)
        environment = dict(os.environ)  # noqa: TID251 - handed on, not read
        order = json.dumps([list(arguments), str(folder), str(log), environment])
        self._process = context.Process(target=_run, args=(order,))
        self._process.start()
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        code: int | None = self._process.exitcode
        return code

    def wait(self, timeout_s: float) -> int:
        """Wait for its end, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: It goes on running.
        """
        self._process.join(timeout_s)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("stagedoor", timeout_s)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(order: str) -> None:
    """Become the command: its folder, its environment, its log, its arguments."""
    arguments, folder, log, environment = json.loads(order)
    os.chdir(folder)
    os.environ.clear()  # noqa: TID251 - replaced by the test's own
    os.environ.update(environment)  # noqa: TID251 - as above
    told = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (sys.stdout.fileno(), sys.stderr.fileno()):
        os.dup2(told, stream)
    os.close(told)
    sys.argv = ["stagedoor", *arguments]
    from stagedoor.cli.main import main  # noqa: PLC0415 - the server's own import of ours

    main()
