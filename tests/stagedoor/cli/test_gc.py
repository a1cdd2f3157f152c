from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import stagedoor
from stagedoor.cli.main import cli


@pytest.fixture
def deleted_run(tmp_path: Path) -> str:
    """A run that was deleted, in a database beside its artifacts."""
    client = stagedoor.StagedoorClient(uri_of(tmp_path))
    run_id = client.create_run("0").info.run_id
    client.log_text(run_id, "hello", "note.txt")
    client.delete_run(run_id)
    return run_id


def uri_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'stagedoor.db'}"


def collect(folder: Path, *arguments: str) -> Result:
    places = [
        "--backend-store-uri",
        uri_of(folder),
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    return CliRunner().invoke(cli, ["gc", *places, *arguments])


def files(folder: Path) -> list[str]:
    return [path.name for path in (folder / "artifacts").rglob("*") if path.is_file()]


def test_a_dry_run_says_what_would_go_and_changes_nothing(tmp_path: Path, deleted_run: str) -> None:
    told = collect(tmp_path, "--dry-run")

    assert told.exit_code == 0
    assert deleted_run in told.output
    assert "Would remove 1 run." in told.output
    assert files(tmp_path) == ["note.txt"]


def test_what_was_deleted_goes_and_a_second_call_finds_nothing(
    tmp_path: Path, deleted_run: str
) -> None:
    young = collect(tmp_path, "--older-than", "30d")
    first = collect(tmp_path, "--run-ids", deleted_run)
    second = collect(tmp_path)

    assert "Removed nothing." in young.output
    assert "Removed 1 run." in first.output
    assert "Removed nothing." in second.output
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--older-than", "soon"), "no age"),
        (("--run-ids", "nowhere"), "no deleted run 'nowhere'"),
        (("--backend-store-uri", "sqlite:////nowhere/x.db"), "There is no database"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, deleted_run: str, arguments: tuple[str, str], message: str
) -> None:
    told = collect(tmp_path, *arguments)

    assert told.exit_code == 1
    assert message in told.output
    assert deleted_run not in told.output


def test_files_that_were_not_found_are_told_and_go_with_a_later_call(
    tmp_path: Path, deleted_run: str
) -> None:
    elsewhere = collect(tmp_path, "--artifacts-destination", f"{tmp_path}/elsewhere")
    left = files(tmp_path)
    later = collect(tmp_path)

    assert "There are no artifacts" in elsewhere.output
    assert (left, files(tmp_path)) == (["note.txt"], [])
    assert deleted_run not in later.output
    assert "Removed 1 folder." in later.output
