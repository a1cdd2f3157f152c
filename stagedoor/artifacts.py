"""Artifacts of the active run; without one, a run is started."""

import tempfile
from pathlib import Path
from typing import Any

from stagedoor.client import StagedoorClient
from stagedoor.models import fetch_uri
from stagedoor.runs import ensure_run
from tracking.errors import InvalidRequest
from tracking.wire import FileInfo


def log_artifact(local_path: str | Path, artifact_path: str | None = None) -> None:
    """Upload a file, or a folder under its own name, to the active run."""
    run = ensure_run()
    run.client.log_artifact(run.info.run_id, local_path, artifact_path)


def log_artifacts(local_dir: str | Path, artifact_path: str | None = None) -> None:
    """Upload every file beneath a folder to the active run."""
    run = ensure_run()
    run.client.log_artifacts(run.info.run_id, local_dir, artifact_path)


def log_text(text: str, artifact_file: str) -> None:
    """Write a text as an artifact of the active run."""
    run = ensure_run()
    run.client.log_text(run.info.run_id, text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str) -> None:
    """Write a value as an artifact of the active run: YAML by its name, JSON otherwise."""
    run = ensure_run()
    run.client.log_dict(run.info.run_id, dictionary, artifact_file)


def log_figure(figure: Any, artifact_file: str) -> None:
    """Write a matplotlib or plotly figure as an artifact of the active run."""
    run = ensure_run()
    run.client.log_figure(run.info.run_id, figure, artifact_file)


def list_artifacts(run_id: str, artifact_path: str | None = None) -> list[FileInfo]:
    """Return one level of a run's artifacts, paths from the run's root."""
    return StagedoorClient().list_artifacts(run_id, artifact_path)


def download_artifacts(
    artifact_uri: str | None = None,
    *,
    run_id: str | None = None,
    artifact_path: str = "",
    dst_path: str | Path | None = None,
) -> str:
    """Copy artifacts to a local folder and return where the copy is.

    Args:
        artifact_uri: ``runs:/…``, ``models:/…`` or ``mlflow-artifacts:/…``; or else
        run_id: a run, and
        artifact_path: a path from that run's root, all of it when empty.
        dst_path: The local folder; a new temporary one when not given.

    Raises:
        InvalidRequest: Both a URI and a run are given, or neither.
        ResourceMissing: There is nothing there.
    """
    if (artifact_uri is None) == (run_id is None):
        raise InvalidRequest("Give an artifact_uri, or a run_id and an artifact_path.")
    if run_id is not None:
        return StagedoorClient().download_artifacts(run_id, artifact_path, dst_path)
    into = Path(dst_path) if dst_path is not None else Path(tempfile.mkdtemp())
    return str(fetch_uri(str(artifact_uri), into))
