"""What the real MLflow client made is brought over, and it reads the same from us as before."""

import shutil
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from registry.sql_store import SqlRegistryStore
from registry.wire import TransitionStage
from stagedoor.cli.main import cli
from tests.contracts.tracking_server import TrackingServer
from tests.interop.real_client import RealClient
from tests.journeys.server import STAGEDOOR, Server, running
from tests.registry.transfer.rows import rows_of
from tracking.artifacts import open_artifacts
from tracking.database import open_database
from tracking.file_lock import FileLock
from tracking.schema import runs
from tracking.sql_store import SqlTrackingStore
from tracking.sqlite import lock_path

HARD = "Ünïcode / экс 🎉 %41"
OURS = {"/models/Iris RF/versions/1/stage", "/models/Iris RF/versions/2/source"}
"""What is not as it was: one Production only, and no path of somebody's disk."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealClient]:
    with RealClient(tmp_path_factory.mktemp("mlflow")) as started:
        yield started


@pytest.fixture(scope="module")
def imported(client: RealClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database into which all of MLflow's was brought."""
    folder = tmp_path_factory.mktemp("imported")
    done = bring(f"sqlite:///{client.folder}/mlflow.db", folder)
    assert done.exit_code == 0, done.output
    return folder


def bring(origin: str, folder: Path, *options: str) -> Result:
    """Import into the database of a folder."""
    arguments = ["--from", origin, "--to", uri_of(folder), *options]
    return CliRunner().invoke(cli, ["import", "mlflow", *arguments])


def uri_of(folder: Path) -> str:
    return f"sqlite:///{folder}/stagedoor.db"


def rows_at(folder: Path) -> dict[str, list[Any]]:
    database = open_database(uri_of(folder))
    with closing(database):
        return rows_of(database)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the database of a folder; give the address."""
    database = open_database(uri_of(folder))
    with closing(database), TrackingServer(folder / "artifacts") as server:
        server.store = SqlTrackingStore(database)
        server.registry = SqlRegistryStore(database, seal=lambda _m, _v: None, actor="ann")
        yield server.address


def differences(before: Any, after: Any, at: str = "") -> dict[str, tuple[Any, Any]]:
    """Return each value that is not the same in both, by the path to it."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in sorted(before.keys() | after.keys()):
            found |= differences(before.get(key), after.get(key), f"{at}/{key}")
        return found
    return {} if before == after else {at: (before, after)}


def test_the_client_reads_from_us_what_it_read_from_its_database(
    client: RealClient, imported: Path
) -> None:
    with served(imported) as address:
        read = client.read(address)

    assert differences(client.told["sqlite"], read).keys() == OURS
    assert len(read["runs"]) == 9
    assert read["models"]["Iris RF"]["versions"].keys() == {"1", "2", "3", "5", "6"}


def test_the_client_reads_from_us_what_it_read_from_its_folder(
    client: RealClient, tmp_path: Path
) -> None:
    moved = tmp_path / "moved to another place"
    shutil.copytree(client.folder / "mlruns", moved)

    done = bring(str(moved), tmp_path)

    assert done.exit_code == 0, done.output
    with served(tmp_path) as address:
        assert differences(client.told["folder"], client.read(address)).keys() == OURS


def test_a_planted_fault_is_seen(client: RealClient, imported: Path, tmp_path: Path) -> None:
    shutil.copytree(imported, tmp_path, dirs_exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "stagedoor.db")) as database, database:
        database.execute("DELETE FROM metrics WHERE key = 'loss' AND step = 150")
    [file] = tmp_path.glob("artifacts/*/*/artifacts/deep/er/*")
    file.write_text("x", encoding="utf-8")

    with served(tmp_path) as address:
        found = differences(client.told["sqlite"], client.read(address)).keys() - OURS

    assert sorted(path.partition("/")[2].split("/", 2)[2] for path in found) == [
        "files/deep/er/ünï code.txt",
        "points/loss",
    ]


def test_what_is_written_out_is_read_by_the_client_and_comes_back_the_same(
    client: RealClient, imported: Path, tmp_path: Path
) -> None:
    out, back = tmp_path / "out", tmp_path / "back"

    done = CliRunner().invoke(cli, ["export", "--from", uri_of(imported), "--to", str(out)])
    returned = bring(str(out), back)

    assert (done.exit_code, returned.exit_code) == (0, 0), done.output + returned.output
    assert differences(client.told["sqlite"], client.read(f"file://{out}")).keys() == OURS
    assert rows_at(back) == rows_at(imported)


def test_what_a_server_tells_comes_over(imported: Path, tmp_path: Path) -> None:
    with served(imported) as address:
        done = bring(address, tmp_path)

    assert done.exit_code == 0, done.output
    hidden = {"runs"}  # no client is told when a run was deleted
    ours, theirs = rows_at(tmp_path), rows_at(imported)
    assert {name for name in ours if ours[name] != theirs[name]} == hidden
    assert len(ours["runs"]) == len(theirs["runs"])


def test_a_second_call_changes_nothing_and_a_third_brings_what_is_new(
    client: RealClient, imported: Path, tmp_path: Path
) -> None:
    shutil.copytree(imported, tmp_path, dirs_exist_ok=True)
    origin = tmp_path / "mlflow.db"
    copy_database(client.folder / "mlflow.db", origin)
    roots = ("--artifacts-root", str(client.folder))
    before = (tmp_path / "stagedoor.db").read_bytes()

    second = bring(f"sqlite:///{origin}", tmp_path, *roots)
    unchanged = (tmp_path / "stagedoor.db").read_bytes() == before
    with closing(sqlite3.connect(origin)) as database, database:
        add_runs(database, 1, points=100)
        database.execute("UPDATE runs SET status = 'FINISHED' WHERE name = 'running'")
        database.execute("UPDATE tags SET value = 'new' WHERE key = 'emoji'")
    third = bring(f"sqlite:///{origin}", tmp_path, *roots)

    assert second.exit_code == third.exit_code == 0, second.output + third.output
    assert "Nothing has changed." in second.output
    assert unchanged
    assert "runs: 1 added, 2 updated, 7 unchanged" in third.output
    assert "metric points: 100 added, 312 unchanged" in third.output


def test_a_call_that_is_killed_is_finished_by_the_next(client: RealClient, tmp_path: Path) -> None:
    origin = tmp_path / "mlflow.db"
    copy_database(client.folder / "mlflow.db", origin)
    with closing(sqlite3.connect(origin)) as database, database:
        add_runs(database, 20, points=2)
    roots = ("--artifacts-root", str(client.folder))
    killed, whole = tmp_path / "killed", tmp_path / "whole"

    count = kill_in_the_middle(origin, killed, roots)
    again = bring(f"sqlite:///{origin}", killed, *roots)
    bring(f"sqlite:///{origin}", whole, *roots)

    assert 1 < count < 29, "it was not killed in the middle"
    assert again.exit_code == 0, again.output
    assert rows_at(killed) == rows_at(whole)
    assert files_at(killed) == files_at(whole)


def test_a_model_of_mlflows_answers_at_its_stage(imported: Path, tmp_path: Path) -> None:
    shutil.copytree(imported, tmp_path / "server")
    leave_only_production(tmp_path / "server")

    with running(Server(tmp_path / "server", "--workers", "1")) as server:
        server.wait_until(
            lambda: server.status("Iris%20RF")["is_converged"], "converged", pause_s=0.1
        )
        replies = [
            server.predict(f"Iris%20RF{ref}", [[0.0, 1.0], [1.0, 0.0]])
            for ref in ("/Production", "", "@champion")
        ]

    assert [reply.predictions for reply in replies] == [[0, 1]] * 3
    assert [reply.version for reply in replies] == [2] * 3


def leave_only_production(folder: Path) -> None:
    """Unstage the version in Staging: loading a second one costs seconds, and shows nothing new."""
    database = open_database(uri_of(folder))
    with closing(database):
        store = SqlRegistryStore(database, seal=lambda _m, _v: None, actor="ann")
        store.transition_stage(TransitionStage(name="Iris RF", version="3", stage="None"))
        store.delete_alias("Iris RF", "next_one")


def copy_database(origin: Path, copy: Path) -> None:
    """Copy a database that the client has open still."""
    with closing(sqlite3.connect(origin)) as one, closing(sqlite3.connect(copy)) as two:
        one.backup(two)


def add_runs(database: sqlite3.Connection, count: int, *, points: int) -> None:
    """Add runs with points to a database of MLflow's."""
    number = database.execute("SELECT max(experiment_id) FROM experiments").fetchone()[0]
    for _ in range(count):
        run_id = uuid.uuid4().hex
        database.execute(
            "INSERT INTO runs (run_uuid, name, status, start_time, lifecycle_stage, experiment_id,"
            " artifact_uri) VALUES (?, 'added', 'FINISHED', 1, 'active', ?, '')",
            (run_id, number),
        )
        database.executemany(
            "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan)"
            " VALUES (?, 'm', ?, 1, ?, 0)",
            [(run_id, float(step), step) for step in range(points)],
        )


def kill_in_the_middle(origin: Path, folder: Path, options: tuple[str, ...]) -> int:
    """Start an import, kill it when some runs are there, and return how many were.

    It cannot go on in between: nobody writes without the lock.
    """
    folder.mkdir()
    database = open_database(uri_of(folder))
    lock = FileLock(lock_path(folder / "stagedoor.db"))
    command: list[str | Path] = [
        STAGEDOOR,
        "import",
        "mlflow",
        "--from",
        f"sqlite:///{origin}",
        "--to",
    ]
    process = subprocess.Popen([*command, uri_of(folder), *options], stderr=subprocess.DEVNULL)
    with closing(database), closing(lock):
        while process.poll() is None:
            with lock.held():
                count = count_runs(database)
                if count > 1:
                    process.kill()
                    process.wait()
                    return count
            time.sleep(0.001)
    return 0


def count_runs(database: Any) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(runs)).scalar_one())


def files_at(folder: Path) -> dict[str, bytes]:
    """Return the files that a store shows: of one that was killed while it wrote, nothing."""
    store = open_artifacts(str(folder / "artifacts"))
    return {file.path: store.get_bytes(file.path) for file in store.walk()}
