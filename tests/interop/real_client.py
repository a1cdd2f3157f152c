"""The real MLflow client in a process of its own: made stores to import, and reads others."""

import json
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.interop.client import ROOT, TIMEOUT_S, python_of


class RealClient:
    """Runs ``mlflow_sources.py`` for a block; starting it costs seconds, so once for all.

    Attributes:
        folder: Where ``mlflow.db``, ``files`` and ``mlruns`` are.
        told: What the client reads from the stores that it made, by kind.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: dict[str, Any] = {}
        self._asked = 0

    def __enter__(self) -> Self:
        answers = self.folder / "answers.json"
        self._log = (self.folder / "log").open("wb")
        self._process = subprocess.Popen(
            [python_of("mlflow"), Path(__file__).with_name("mlflow_sources.py"), answers],
            env={
                "HOME": str(self.folder),
                "MLFLOW_ALLOW_FILE_STORE": "true",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
                "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
                "PATH": "/usr/bin:/bin",
                "PYTHONPATH": str(ROOT),
            },
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
        )
        self.told = self._await(answers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def read(self, uri: str) -> Any:
        """Return what the client reads from a store."""
        self._asked += 1
        answer = self.folder / f"answer-{self._asked}.json"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{answer} {uri}\n".encode())
        self._process.stdin.flush()
        return self._await(answer)

    def _await(self, answer: Path) -> Any:
        ends_at = time.monotonic() + TIMEOUT_S
        while not answer.exists():
            is_alive = self._process.poll() is None and time.monotonic() < ends_at
            assert is_alive, (self.folder / "log").read_text(encoding="utf-8")[-4000:]
            time.sleep(0.01)
        return json.loads(answer.read_text(encoding="utf-8"))
