"""A real server for a story: its processes, its folder, its log, and how to call it over TCP."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.worker import live_worker_ids
from tests.journeys.launching import Launched

STAGEDOOR = Path(sys.executable).with_name("stagedoor")
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 40.0
WAIT_TIMEOUT_S = 45.0
CALL_TIMEOUT_S = 90.0
_LISTENING = re.compile(r"listening on http://[^ ]*:(\d+) ")


class Reply(Struct, frozen=True):
    """One answer: status, headers by lower-case name, and the bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def predictions(self) -> list[Any]:
        found: list[Any] = self.json()["predictions"]
        return found

    @property
    def version(self) -> int:
        return int(self.headers["stagedoor-version"])


class Server:
    """One ``stagedoor server`` in a folder of its own; what it keeps outlives a restart.

    Args:
        folder: Where it runs, and keeps database, artifacts, cache and log.
        options: Further command-line options.
        command: What is started.
        settings: Values by section and name, for its TOML file.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        command: Iterable[str] = ("server",),
        settings: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self.folder = folder
        self.port = 0
        self._command = (*command, *options)
        self._settings = settings or {}
        self._log_path = folder / "log"
        self._run_dir = folder / "run"
        self._read_from = 0
        self._process: Launched | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> Launched:
        assert self._process is not None, "the server was not started"
        return self._process

    @property
    def log(self) -> str:
        """All that this start has logged."""
        if not self._log_path.exists():
            return ""
        with self._log_path.open("rb") as file:
            file.seek(self._read_from)
            return file.read().decode(errors="replace")

    def start(self) -> "Server":
        """Start and wait until each worker is ready."""
        self.launch()
        self.wait_until(self.is_ready, "ready", timeout_s=START_TIMEOUT_S)
        self.wait_until(self._are_all_ready, "all ready", timeout_s=START_TIMEOUT_S)
        return self

    def launch(self) -> None:
        """Start and wait until it listens, no longer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "settings.toml"
        config.write_text(self._toml(), encoding="utf-8")
        self._read_from = self._log_path.stat().st_size if self._log_path.exists() else 0
        self._process = Launched(
            [*self._command, "--port", str(self.port), "--config", str(config)],
            folder=self.folder,
            log=self._log_path,
        )
        self.wait_until(
            lambda: _LISTENING.search(self.log) is not None,
            "listening",
            timeout_s=START_TIMEOUT_S,
        )
        found = _LISTENING.search(self.log)
        assert found is not None
        self.port = int(found.group(1))

    def stop(self) -> int:
        """End the server as an operator would, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End the supervisor at once; its workers notice and end by themselves."""
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)

    def kill_everything(self) -> None:
        """End the supervisor, its workers and their runners at once, in the middle of anything."""
        beneath = descendants_of(self.process.pid)
        self.process.kill()
        for pid in beneath:
            with suppress(ProcessLookupError):
                kill_hard([pid])
        self.process.wait(STOP_TIMEOUT_S)

    def restart(self) -> None:
        """End it, and start it again at the same port."""
        assert self.stop() == 0, self.log[-4000:]
        self.start()

    def is_ready(self) -> bool:
        try:
            return self.get("/health/ready").status == 200
        except OSError:
            return False

    def _are_all_ready(self) -> bool:
        replies = self.ask_every_worker(lambda: self.get("/health/ready")).values()
        return {reply.status for reply in replies} == {200}

    # --- calling ----------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make one call over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_TIMEOUT_S)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.call("GET", path, headers=_named(headers))

    def send(self, method: str, path: str, content: object, **headers: str) -> Reply:
        """Make one call with a JSON body."""
        told = {"Content-Type": "application/json", **_named(headers)}
        return self.call(method, path, json.dumps(content), told)

    def post(self, path: str, content: object, **headers: str) -> Reply:
        return self.send("POST", path, content, **headers)

    def predict(self, target: str, rows: list[list[float]], **headers: str) -> Reply:
        """Ask for predictions; ``target`` is what stands between /models/ and /invocations."""
        return self.post(f"/models/{target}/invocations", {"inputs": rows}, **headers)

    def promote(self, model: str, version: int | None = None, **request: object) -> Reply:
        """Promote and wait until every worker serves it."""
        asked = {"wait": "active", **request}
        if version is not None:
            asked["version"] = version
        return self.post(f"/admin/models/{model}/promote", asked)

    def transition(self, model: str, version: int, stage: str, *, archive: bool = False) -> Reply:
        """Move a stage as an MLflow client does."""
        asked = {
            "name": model,
            "version": str(version),
            "stage": stage,
            "archive_existing_versions": archive,
        }
        return self.post("/api/2.0/mlflow/model-versions/transition-stage", asked)

    def status(self, model: str) -> Any:
        """Return what is desired, committed and served."""
        reply = self.get(f"/admin/models/{model}")
        assert reply.status == 200, reply.body
        return reply.json()

    def ask_every_worker(self, ask: Callable[[], Reply]) -> dict[str, Reply]:
        """Call over new connections until each live worker has answered; return their last."""
        answers: dict[str, Reply] = {}

        def everybody_answered() -> bool:
            reply = ask()
            answers[reply.headers["stagedoor-worker"]] = reply
            return answers.keys() >= set(self.worker_ids())

        self.wait_until(everybody_answered, "answers of every worker", pause_s=0.0)
        return {worker: answers[worker] for worker in self.worker_ids() if worker in answers}

    def wait_for_replacement(self, before: list[str]) -> str:
        """Wait until a new worker has come for one of those before; return its id."""

        def has_come() -> bool:
            now = self.worker_ids()
            return len(now) == len(before) and len(set(now) - set(before)) == 1

        self.wait_until(has_come, "a replacement")
        return next(iter(set(self.worker_ids()) - set(before)))

    # --- processes --------------------------------------------------------------------------------

    def worker_ids(self) -> list[str]:
        """Return the workers that hold their locked file, by its name."""
        return sorted(live_worker_ids(self._run_dir))

    def worker_pids(self) -> list[int]:
        return children_of(self.process.pid)

    def runner_pids(self) -> list[int]:
        """Return the processes in which models answer."""
        return [pid for worker in self.worker_pids() for pid in descendants_of(worker)]

    def wait_until(
        self,
        claim: Callable[[], bool],
        what: str,
        *,
        timeout_s: float = WAIT_TIMEOUT_S,
        pause_s: float = 0.02,
    ) -> None:
        """Poll until something is the case."""
        ends_at = time.monotonic() + timeout_s
        while not claim():
            code = self.process.poll()
            assert code is None, f"the server ended with {code}:\n{self.log[-4000:]}"
            late = f"not {what} within {timeout_s} s:\n{self.log[-4000:]}"
            assert time.monotonic() < ends_at, late
            time.sleep(pause_s)

    # --- its log ----------------------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """Return the lines of the whole log that tell of a bug of ours.

        What a model's process printed is logged as a message, and is the model's.
        """
        lines = self._log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return [line for line in lines if line.startswith("Traceback") or '"exception":' in line]

    def _toml(self) -> str:
        kept: dict[str, object] = {
            "cache_dir": str(self.folder / "cache"),
            "run_dir": str(self._run_dir),
        }
        sections: dict[str, dict[str, object]] = {"storage": kept}
        for section, values in self._settings.items():
            sections.setdefault(section, {}).update(values)
        return "\n".join(
            f"[{section}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items())
            for section, values in sections.items()
        )


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Start a server, and stop it whatever happens; its log must hold no stack."""
    try:
        yield server.start()
    finally:
        code = server.stop()
    complaints = server.complaints()
    assert not complaints, complaints
    assert code == 0, server.log[-4000:]


def children_of(pid: int) -> list[int]:
    """Return the living children of a process, of all its threads."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:
            continue
    return sorted(child for child in found if _is_alive(child))


def descendants_of(pid: int) -> list[int]:
    """Return all processes beneath one."""
    below = children_of(pid)
    return below + [further for child in below for further in descendants_of(child)]


def kill_hard(pids: Iterable[int]) -> None:
    """End processes of a server under test, by their own ids."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers by their names on the wire: ``stagedoor_key`` is ``stagedoor-key``."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
