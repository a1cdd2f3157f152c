import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import ServerSettings, Settings
from gateway.supervisor import (
    MAX_RESTART_DELAY_S,
    MOST_FIRST_TRIES,
    is_hopeless,
    restart_delay_s,
    serve,
)
from gateway.worker import live_worker_ids
from tracking.errors import InvalidRequest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "supervised_app.py"
DEADLINE_S = 20.0


class Server:
    """A supervisor with its workers, in processes of their own."""

    def __init__(self, folder: Path, fault: str = "", **settings: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.run_dir = folder / "s.db.run"
        chosen = {"server.port": self.port, "storage.backend_store_uri": f"sqlite:///{folder}/s.db"}
        chosen |= {path.replace("__", "."): value for path, value in settings.items()}
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), json.dumps(chosen), fault], cwd=ROOT, stderr=self.log
        )

    def ask(self, path: str = "/") -> Any:
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())

    def answering(self) -> dict[int, int]:
        """Return pid by index of the workers that answered some new connections."""
        answers = [self.ask() for _ in range(12)]
        return {answer["index"]: answer["pid"] for answer in answers}

    def wait_for(self, claim: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, HTTPException):
                if value := claim():
                    return value
            threading.Event().wait(0.02)
        message = f"not within {DEADLINE_S} s: {self.logged()}"
        raise AssertionError(message)

    def both(self) -> dict[int, int]:
        def both_answer() -> dict[int, int] | None:
            workers = self.answering()
            return workers if len(workers) == 2 else None

        workers: dict[int, int] = self.wait_for(both_answer)
        return workers

    def replaced(self, index: int, pid: int) -> dict[int, int]:
        """Wait until both answer and the worker of that index is another process."""
        self.wait_for(lambda: self.answering().get(index, pid) != pid)
        return self.both()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def logged(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(**settings: Any) -> Server:
        servers.append(Server(tmp_path, **settings))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.end()
        server.log.close()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_workers_answer_and_end_when_told_to(start: Callable[..., Server]) -> None:
    server = start()

    workers = server.both()
    live = live_worker_ids(server.run_dir)
    code = server.end()

    assert len(live) == 2
    assert code == 0
    assert not any(is_alive(pid) for pid in workers.values())
    assert list(server.run_dir.iterdir()) == []


def test_a_killed_worker_is_replaced_and_the_other_stays(start: Callable[..., Server]) -> None:
    server = start()
    before = server.both()

    os.kill(before[0], signal.SIGKILL)
    after = server.replaced(0, before[0])

    assert after[1] == before[1]
    assert len(live_worker_ids(server.run_dir)) == 2


@pytest.mark.parametrize("fault", ["raise", "exit"])
def test_a_worker_that_cannot_start_does_not_stop_the_others(
    start: Callable[..., Server], fault: str
) -> None:
    server = start(fault=fault)

    server.wait_for(lambda: server.logged().count("worker 1 ended") >= 3)

    assert set(server.answering()) == {0}
    assert server.end() == 0


def test_a_server_of_which_no_worker_can_start_ends(start: Callable[..., Server]) -> None:
    server = start(fault="refuse")

    assert server.process.wait(DEADLINE_S) == 1
    logged = server.logged()
    assert logged.count("worker 0 cannot start: this will never work") == MOST_FIRST_TRIES
    assert "no worker can start" in logged.splitlines()[-1]
    assert "Traceback" not in logged


def test_a_bucket_of_which_too_little_is_said_is_a_clear_end(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)

    server = start(storage__artifacts_destination="az://c/x")

    assert server.process.wait(DEADLINE_S) == 1
    [line] = server.logged().splitlines()
    assert "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY" in line
    assert "Traceback" not in line


@pytest.mark.parametrize(
    ("failures", "expected"), [([4, 4], True), ([9, 3], False), ([0], False), ([4], True)]
)
def test_a_server_gives_up_when_every_slot_has_failed(
    failures: list[int], *, expected: bool
) -> None:
    assert is_hopeless(failures) is expected


def test_a_stopped_worker_is_killed_and_replaced(start: Callable[..., Server]) -> None:
    server = start(server__worker_hang_timeout_s=2)
    before = server.both()

    os.kill(before[0], signal.SIGSTOP)
    after = server.replaced(0, before[0])

    assert not is_alive(before[0])
    assert after[1] == before[1]


def test_what_a_dead_worker_started_dies_with_it(start: Callable[..., Server]) -> None:
    server = start(server__workers=1)
    server.wait_for(server.ask)
    runner = server.ask("/runner")
    worker = server.ask()["pid"]

    os.kill(worker, signal.SIGKILL)

    server.wait_for(lambda: not is_alive(runner))


def test_workers_do_not_outlive_the_supervisor(start: Callable[..., Server]) -> None:
    server = start()
    workers = server.both()

    server.end(signal.SIGKILL)

    server.wait_for(lambda: not any(is_alive(pid) for pid in workers.values()))


def test_a_running_request_is_finished_before_the_end(start: Callable[..., Server]) -> None:
    """Also where a worker is told by a service manager, and by the supervisor once more."""
    server = start(server__workers=1)
    worker = server.wait_for(server.ask)["pid"]
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(server.ask("/slow")["index"]))
    asking.start()
    server.wait_for(lambda: "slow began" in server.logged())
    os.kill(worker, signal.SIGTERM)
    code = server.end()
    asking.join()

    assert (answers, code) == ([0], 0)


def test_a_second_signal_ends_everything_at_once(start: Callable[..., Server]) -> None:
    server = start(server__workers=1)
    pid = server.wait_for(server.ask)["pid"]
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET /stuck HTTP/1.1\r\nhost: localhost\r\n\r\n")
        server.process.send_signal(signal.SIGINT)
        server.wait_for(lambda: "told to end" in server.logged())
        code = server.end(signal.SIGINT)

    assert code == 1
    assert not is_alive(pid)
    assert "told to end again; killing 1 workers with the requests they have" in server.logged()
    assert "does not end" not in server.logged()


def test_counts_do_not_fall_when_a_worker_dies(start: Callable[..., Server]) -> None:
    server = start()
    before = server.both()
    counts = [server.ask("/count") for _ in range(6)]

    os.kill(before[0], signal.SIGKILL)
    server.replaced(0, before[0])

    counts += [server.ask("/count") for _ in range(6)]
    assert counts == [float(times) for times in range(1, 13)]


def test_the_first_start_with_auth_shows_a_token_and_the_second_none(
    start: Callable[..., Server],
) -> None:
    shown = []
    for _ in range(2):
        server = start(auth__enabled=True)
        server.wait_for(server.ask)
        shown.append("Admin token" in server.logged())
        server.end()

    assert shown == [True, False]


def test_a_database_that_cannot_be_used_is_a_clear_end(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "s.db").write_bytes(b"this is no database, just some text" * 100)

    server = start()

    assert server.process.wait(DEADLINE_S) != 0
    assert server.logged()


def test_a_wide_bind_without_auth_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="--auth"):
        serve(Settings(server=ServerSettings(host="0.0.0.0", port=0)))


def test_the_wait_before_a_restart_grows_to_a_limit() -> None:
    delays = [restart_delay_s(crashes) for crashes in range(12)]

    assert delays[:5] == [0.0, 0.0, 0.5, 1.0, 2.0]
    assert delays[-1] == MAX_RESTART_DELAY_S
