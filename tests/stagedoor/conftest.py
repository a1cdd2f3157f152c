"""A fresh local database and an empty environment for each test of the SDK."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import stagedoor

_VARIABLES = (
    "TRACKING_URI",
    "TRACKING_TOKEN",
    "TRACKING_USERNAME",
    "TRACKING_PASSWORD",
    "EXPERIMENT_NAME",
    "RUN_ID",
    "ARTIFACTS_DESTINATION",
)


@pytest.fixture(autouse=True)
def tracking_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The tracking URI in force: a database of this test alone."""
    for name in _VARIABLES:
        monkeypatch.delenv(f"STAGEDOOR_{name}", raising=False)
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    uri = f"sqlite:///{tmp_path / 'stagedoor.db'}"
    stagedoor.set_tracking_uri(uri)
    yield uri
    while stagedoor.active_run():
        stagedoor.end_run()
    stagedoor.set_tracking_uri("")
