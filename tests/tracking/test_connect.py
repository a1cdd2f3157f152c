"""From a URI to what is behind it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tracking.artifacts import connect_artifacts
from tracking.connect import connect
from tracking.errors import InvalidRequest
from tracking.http_store import HttpTrackingStore
from tracking.sql_store import SqlTrackingStore


def test_a_file_and_a_server_are_connected(sqlite_uri: str) -> None:
    assert isinstance(connect(sqlite_uri), SqlTrackingStore)
    assert isinstance(connect("http://127.0.0.1:1"), HttpTrackingStore)


@pytest.mark.parametrize("uri", ["", "nonsense", "ftp://h", "databricks", "./mlruns", "http:"])
def test_another_uri_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match=r"http://host:5000"):
        connect(uri)


def test_local_artifacts_lie_beside_the_database(tmp_path: Path) -> None:
    connect_artifacts(f"sqlite:///{tmp_path}/a.db").put("x", b"1")

    assert (tmp_path / "artifacts" / "x").read_bytes() == b"1"


def test_local_artifacts_lie_where_they_are_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/a.db"
    monkeypatch.setenv("STAGEDOOR_ARTIFACTS_DESTINATION", str(tmp_path / "told"))

    connect_artifacts(uri).put("x", b"1")
    connect_artifacts(uri, str(tmp_path / "given")).put("x", b"2")

    assert (tmp_path / "told" / "x").read_bytes() == b"1"
    assert (tmp_path / "given" / "x").read_bytes() == b"2"


def test_a_client_of_a_server_imports_no_database_and_no_client_before_it_calls() -> None:
    code = (
        "import sys; from tracking.connect import connect;"
        " from tracking.artifacts import connect_artifacts;"
        " connect('http://h'); connect_artifacts('http://h');"
        " print([m for m in ('sqlalchemy', 'httpx', 'obstore', 'litestar') if m in sys.modules])"
    )

    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )

    assert run.stdout.strip() == "[]"
