"""Sources that are broken, or made to do harm: named, left out whole, and never followed."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.contracts.transfer_house import House, mlflow_tables, reasons
from tracking.errors import StagedoorError
from tracking.wire import CreateRun, LogBatch, Metric


@pytest.fixture
def house(sqlite_uri: str, tmp_path: Path) -> Iterator[House]:
    made = House(sqlite_uri, tmp_path / "artifacts")
    yield made
    made.database.close()


LOST = b"{source_type: DATASET, source_id: x, destination_type: RUN}"

SPOILED: dict[str, Callable[[Path], object]] = {
    "no meta": lambda run: (run / "meta.yaml").unlink(),
    "broken meta": lambda run: (run / "meta.yaml").write_text("{unclosed", encoding="utf-8"),
    "another run's meta": lambda run: change(run, f"run_id: {run.name}", "run_id: ../../../etc"),
    "another experiment": lambda run: change(run, "experiment_id: '0'", "experiment_id: '../0'"),
    "unknown status": lambda run: change(run, "status: 1", "status: 17"),
    "linked meta": lambda run: put_link(run / "meta.yaml"),
    "broken metric": lambda run: (run / "metrics/m").write_text("1 one 1\n", encoding="utf-8"),
    "no UTF-8": lambda run: (run / "tags/broken").write_bytes(b"\xff"),
    "lost dataset": lambda run: put(run / "inputs/x/meta.yaml", LOST),
}
"""Ways to spoil a run."""


def change(run: Path, before: str, after: str) -> None:
    meta = run / "meta.yaml"
    told = meta.read_text(encoding="utf-8")
    assert before in told
    meta.write_text(told.replace(before, after), encoding="utf-8")


def put(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(data)


def put_link(file: Path) -> None:
    file.rename(file.with_name("real"))
    file.symlink_to(file.with_name("real"))


@pytest.fixture
def out(house: House, tmp_path: Path) -> Path:
    """A folder of MLflow's with a good run, and another one to be spoiled."""
    return write_out(house, tmp_path, "good", "bad")


def write_out(house: House, folder: Path, *names: str) -> Path:
    """Write out a database with runs of these names."""
    for name in names:
        run_id = house.tracking.create_run(CreateRun(run_name=name)).info.run_id
        point = Metric(key="m", value=1.0, timestamp=1, step=0)
        house.tracking.log_batch(LogBatch(run_id=run_id, metrics=[point]))
        house.artifacts.put(f"0/{run_id}/artifacts/a.txt", b"a")
    assert house.write_out(folder / "out").problems == []
    (folder / "secret.txt").write_text("secret", encoding="utf-8")
    return folder / "out"


def run_of(out: Path, name: str) -> Path:
    """Return the folder of the run of a name."""
    [tag] = [tag for tag in out.glob("0/*/tags/mlflow.runName") if tag.read_text() == name]
    return tag.parents[1]


def test_a_broken_run_is_named_and_left_out_whole(house: House, tmp_path: Path) -> None:
    out = write_out(house, tmp_path, "good", *SPOILED)
    runs = {how: run_of(out, how) for how in SPOILED}
    for how, spoil in SPOILED.items():
        spoil(runs[how])
    target = House(f"sqlite:///{tmp_path}/target.db", tmp_path / "target")

    tally = target.bring(out)

    told = " ".join(problem.what for problem in tally.problems)
    assert {how for how, run in runs.items() if run.name not in told} == set()
    [row] = target.rows()["runs"]
    assert dict(row)["run_name"] == "good"
    assert len(target.rows()["metrics"]) == 1
    assert [*target.files().values()] == [b"a"]
    target.database.close()


def test_links_lead_nowhere_and_are_named(out: Path, tmp_path: Path) -> None:
    run = run_of(out, "bad")
    (run / "artifacts/link.txt").symlink_to(tmp_path / "secret.txt")
    (run / "params/stolen").symlink_to(tmp_path / "secret.txt")
    (run / "artifacts/folder").symlink_to(tmp_path)
    target = House(f"sqlite:///{tmp_path}/target.db", tmp_path / "target")

    tally = target.bring(out)

    assert sorted(problem.what.rpartition("link ")[2] for problem in tally.problems) == [
        f"'0/{run.name}/params/stolen'",
        "'folder'",
        "'link.txt'",
    ]
    assert [*target.files().values()] == [b"a", b"a"]
    assert target.rows()["params"] == []
    target.database.close()


def test_a_place_outside_is_read_only_when_it_is_named(out: Path, tmp_path: Path) -> None:
    run = run_of(out, "bad")
    shutil.rmtree(run / "artifacts")
    outside = tmp_path / "elsewhere/art"
    outside.mkdir(parents=True)
    (outside / "b.txt").write_text("b", encoding="utf-8")
    told = f"artifact_uri: {(out / '0' / run.name / 'artifacts').as_uri()}"
    change(run, told, f"artifact_uri: {outside}")
    target = House(f"sqlite:///{tmp_path}/target.db", tmp_path / "target")

    refused = target.bring(out)
    allowed = target.bring(out, str(tmp_path / "elsewhere"))

    assert [problem.what for problem in refused.problems] == [f"run {run.name}"]
    assert allowed.problems == []
    assert sorted(target.files().values()) == [b"a", b"b"]
    target.database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_database_of_an_old_mlflow_lacks_tables_and_comes_all_the_same(
    request: pytest.FixtureRequest, house: House, tmp_path: Path, kind: str
) -> None:
    uri = f"sqlite:///{tmp_path}/old.db"
    if kind == "postgresql":
        uri = request.getfixturevalue("empty_postgres_uri")
    mlflow_tables(uri, is_old=True)

    tally = house.bring(uri)

    assert reasons(tally) == []
    run = house.tracking.run("a" * 32)
    assert (run.info.experiment_id, run.info.run_name) == ("5", "named by its tag")
    points = house.tracking.metric_history("a" * 32, "m").metrics
    assert [(p.value, p.timestamp, p.step) for p in points] == [(1.5, 7, 0), ("NaN", 8, 1)]


def test_values_of_wrong_types_are_named_and_the_rest_comes(house: House, tmp_path: Path) -> None:
    """SQLite keeps anything in any column."""
    mlflow_tables(f"sqlite:///{tmp_path}/odd.db")
    run = "INSERT INTO runs SELECT '{}', {}, NULL, status, {}, 2, 'active', '', 5 FROM runs LIMIT 1"
    with closing(sqlite3.connect(tmp_path / "odd.db")) as database, database:
        database.execute(run.format("b" * 32, "x'ff00'", 1))
        database.execute(run.format("c" * 32, "NULL", "'soon'"))
        database.execute(run.format("d" * 32, "NULL", 1))
        database.execute(f"INSERT INTO metrics VALUES (x'00', 'high', 7, '{'d' * 32}', 0, 0)")
        database.execute("INSERT INTO experiments VALUES (6, NULL, '', 'active', 1, 1)")

    tally = house.bring(f"sqlite:///{tmp_path}/odd.db")

    named = sorted(problem.what for problem in tally.problems)
    assert named == ["experiment None", *(f"run {letter * 32}" for letter in "bcd")]
    assert [dict(row)["run_id"] for row in house.rows()["runs"]] == ["a" * 32]


def test_a_database_that_is_none_is_refused_and_nothing_is_written(
    house: House, tmp_path: Path
) -> None:
    before = house.rows()
    mlflow_tables(f"sqlite:///{tmp_path}/whole.db")
    whole = (tmp_path / "whole.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) - 4096])
    (tmp_path / "text.db").write_bytes(b"no database at all, but long enough to be one" * 100)
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE experiments (id INTEGER)")

    for name in ("cut.db", "text.db", "other.db", "missing.db"):
        with pytest.raises(StagedoorError, match="database"):
            house.bring(f"sqlite:///{tmp_path}/{name}")

    assert house.rows() == before
    assert not (tmp_path / "missing.db").exists()


def test_a_folder_or_url_that_is_none_is_refused(house: House, tmp_path: Path) -> None:
    for origin in (tmp_path / "missing", tmp_path, "mysql://u:secret@h/d", "ftp://x"):
        with pytest.raises(StagedoorError) as refused:
            house.bring(origin)
        assert "secret" not in refused.value.message
