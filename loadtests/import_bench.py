"""How fast runs come over from a database of MLflow's: ``python -m loadtests.import_bench``.

Makes a database as MLflow lays it out, with runs of 10 metrics of 100 points each, imports it into
a new one of ours, and again. Prints seconds of the clock and of the processor: on a machine that is
shared, only the latter mean anything.
"""

import argparse
import sqlite3
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

from registry.transfer.importer import import_into
from registry.transfer.opening import open_source
from registry.transfer.selection import Selection
from registry.transfer.target import FileTarget, Target
from tracking.artifacts import open_artifacts
from tracking.database import open_database
from tracking.sql_past import Effect

METRICS = 10
POINTS = 100
_TABLES = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, artifact_location TEXT,
    lifecycle_stage TEXT, creation_time BIGINT, last_update_time BIGINT);
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, user_id TEXT, status TEXT,
    start_time BIGINT, end_time BIGINT, lifecycle_stage TEXT, artifact_uri TEXT,
    experiment_id INTEGER);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT, PRIMARY KEY (key, run_uuid));
CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT,
    is_nan BOOLEAN, PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
INSERT INTO experiments VALUES (1, 'bench', '', 'active', 1, 1);
"""


class Silent:
    """Looks on, and says nothing."""

    def begin(self, what: str, total: int | None) -> None:
        """Be told what comes next."""

    def advance(self, count: int) -> None:
        """Be told how many are done."""


def make(path: Path, count: int) -> None:
    """Make a database of so many runs."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_TABLES)
        for number in range(count):
            run_id = uuid.UUID(int=number + 1).hex
            row = (run_id, f"run {number}", number)
            database.execute(
                "INSERT INTO runs VALUES (?, ?, 'ann', 'FINISHED', ?, 9, 'active', '', 1)", row
            )
            params = [(f"p{i}", str(i), run_id) for i in range(METRICS)]
            database.executemany("INSERT INTO params VALUES (?, ?, ?)", params)
            points = [
                (f"m{key}", number + step / POINTS, 1_000 + step, run_id, step)
                for key in range(METRICS)
                for step in range(POINTS)
            ]
            database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)", points)


def bring(origin: Path, folder: Path) -> str:
    """Import once, and tell how long that took."""
    source, places = open_source(f"sqlite:///{origin}")
    database = open_database(f"sqlite:///{folder}/stagedoor.db")
    target = Target(database, FileTarget(open_artifacts(str(folder / "artifacts"))))
    began, began_cpu = time.perf_counter(), time.process_time()
    with closing(source), closing(database):
        tally = import_into(target, source, places, Selection(), Silent())
    clock_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    points = sum(tally.counts["point", effect] for effect in Effect)
    return (
        f"{points:,} points: {cpu_s:.1f} s of the processor ({points / cpu_s:,.0f} points/s),"
        f" {clock_s:.1f} s of the clock"
    )


def main() -> None:
    """Make a database, and import it twice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1_000)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "mlflow.db", count)
        print(f"{count:,} runs of {METRICS} metrics x {POINTS} points, SQLite to SQLite")
        print("first: ", bring(folder / "mlflow.db", folder))
        print("again: ", bring(folder / "mlflow.db", folder))


if __name__ == "__main__":
    main()
