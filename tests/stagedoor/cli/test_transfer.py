"""What ``stagedoor import`` and ``export`` say, and how they end."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import stagedoor
from stagedoor.cli.main import cli


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that was written out, of a database with one run that has a file."""
    client = stagedoor.StagedoorClient(f"sqlite:///{tmp_path}/one.db")
    run_id = client.create_run("0", run_name="first").info.run_id
    client.log_metric(run_id, "m", 1.0)
    client.log_text(run_id, "hello", "note.txt")
    done = call("export", "--from", f"sqlite:///{tmp_path}/one.db", "--to", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "runs: 1 added" in done.output
    return tmp_path / "out"


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli, arguments, env=environment)


def bring(origin: Path | str, folder: Path, *options: str) -> Result:
    places = ("--to", f"sqlite:///{folder}/two.db", "--artifacts-destination", f"{folder}/files")
    return call("import", "mlflow", "--from", str(origin), *places, *options)


def test_a_dry_run_counts_and_makes_nothing(out: Path, tmp_path: Path) -> None:
    told = bring(out, tmp_path, "--dry-run")

    assert told.exit_code == 0
    for line in ("runs: 1 added", "metric points: 1 added", "files: 1 added", "this was a dry run"):
        assert line in told.output
    assert not (tmp_path / "two.db").exists()
    assert not (tmp_path / "files").exists()


def test_what_comes_is_counted_and_a_second_call_says_that_nothing_changed(
    out: Path, tmp_path: Path
) -> None:
    first, second = bring(out, tmp_path), bring(out, tmp_path)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.output.endswith("Done.\n")
    assert second.output.endswith("Nothing has changed.\n")
    assert "runs: 1 unchanged" in second.output


def test_every_failure_is_named_and_the_exit_code_says_so(out: Path, tmp_path: Path) -> None:
    [meta] = out.glob("0/*/meta.yaml")
    meta.write_text("{unclosed", encoding="utf-8")

    told = bring(out, tmp_path)

    assert told.exit_code == 1
    assert f"failed: run {meta.parent.name}: its meta.yaml cannot be read" in told.output
    assert "1 thing failed" in told.output


def test_what_was_made_to_fit_is_told_and_is_no_failure(out: Path, tmp_path: Path) -> None:
    [meta] = out.glob("0/*/meta.yaml")
    told_time = re.sub(r"start_time: \d+", "start_time: -5", meta.read_text(encoding="utf-8"))
    meta.write_text(told_time, encoding="utf-8")

    told, again = bring(out, tmp_path), bring(out, tmp_path)

    assert (told.exit_code, again.exit_code) == (0, 0)
    line = f"changed: run {meta.parent.name}: its start_time was before 1970, and is 0\n"
    assert line in told.output
    assert line in again.output


def test_names_of_somebody_else_do_not_reach_the_terminal_raw(out: Path, tmp_path: Path) -> None:
    [run] = (meta.parent for meta in out.glob("0/*/meta.yaml"))
    run.rename(run.with_name("\x1b[2Jgone [red]"))

    told = bring(out, tmp_path)

    assert told.exit_code == 1
    assert "run \\x1b[2Jgone [red]" in told.output


def test_traces_are_said_to_be_left_out(out: Path, tmp_path: Path) -> None:
    (out / "0/traces/tr-1").mkdir(parents=True)

    told = bring(out, tmp_path)

    assert told.exit_code == 0
    assert "left out: 1 traces" in told.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "http://127.0.0.1:5000"), "Give the database that the server works on"),
        (("--from", "mysql://root:secret@h/mlflow"), "Start MLflow's server on it"),
        (("--experiment", "nowhere"), "There is no experiment 'nowhere'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    out: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    told = bring(out, tmp_path, *options)

    assert told.exit_code == 1
    assert told.output.startswith("Error: ")
    assert message in told.output
    assert "secret" not in told.output


def test_the_tracking_uri_is_where_things_go(out: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/three.db"

    told = call("import", "mlflow", "--from", str(out), STAGEDOOR_TRACKING_URI=uri)

    assert told.exit_code == 0
    with closing(sqlite3.connect(tmp_path / "three.db")) as database:
        assert database.execute("SELECT run_name FROM runs").fetchall() == [("first",)]


def test_a_folder_that_holds_something_is_not_written_to(out: Path, tmp_path: Path) -> None:
    told = call("export", "--from", f"sqlite:///{tmp_path}/one.db", "--to", str(out))

    assert told.exit_code == 1
    assert "holds something" in told.output
