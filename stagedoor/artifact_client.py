"""Artifacts by run id: files and values on one side, the artifact store on the other."""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tracking.artifacts import ArtifactStore
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.paths import check_path, join_path, proxied_path
from tracking.store import TrackingStore
from tracking.wire import FileInfo


class ArtifactClient:
    """Artifacts of runs. Safe from any thread.

    Args:
        tracking: Tells where a run keeps its artifacts.
        artifacts: Where they are kept.
    """

    def __init__(self, tracking: TrackingStore, artifacts: ArtifactStore) -> None:
        self._runs = tracking
        self._artifacts = artifacts
        self._roots: dict[str, str] = {}

    def log_artifact(
        self, run_id: str, local_path: str | Path, artifact_path: str | None = None
    ) -> None:
        """Upload a file, or a folder under its own name.

        Raises:
            ResourceMissing: There is no such file.
        """
        path = Path(local_path)
        if path.is_dir():
            self.log_artifacts(run_id, path, join_path(artifact_path or "", path.name))
            return
        if not path.is_file():
            raise ResourceMissing(f"There is no file {str(local_path)!r} to log.")
        self._put(run_id, join_path(artifact_path or "", path.name), path)

    def log_artifacts(
        self, run_id: str, local_dir: str | Path, artifact_path: str | None = None
    ) -> None:
        """Upload every file beneath a folder.

        Raises:
            ResourceMissing: There is no such folder.
        """
        folder = Path(local_dir)
        if not folder.is_dir():
            raise ResourceMissing(f"There is no folder {str(local_dir)!r} to log.")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                named = path.relative_to(folder).as_posix()
                self._artifacts.put(
                    self._place(run_id, join_path(artifact_path or "", named)), path
                )

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Write a text, UTF-8, as an artifact."""
        self._put(run_id, artifact_file, text.encode())

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        """Write a value as an artifact: YAML when the name ends so, JSON otherwise."""
        if artifact_file.endswith((".yaml", ".yml")):
            text = yaml.safe_dump(dictionary, sort_keys=False, allow_unicode=True)
        else:
            text = msgspec.json.format(msgspec.json.encode(dictionary), indent=2).decode()
        self.log_text(run_id, text, artifact_file)

    def log_figure(self, run_id: str, figure: Any, artifact_file: str) -> None:
        """Write a matplotlib figure (by its own format) or a plotly one (HTML) as an artifact.

        Raises:
            InvalidRequest: It is no figure.
        """
        write = getattr(figure, "savefig", None) or getattr(figure, "write_html", None)
        if write is None:
            raise InvalidRequest(
                f"A {type(figure).__name__!r} is no figure: log one of matplotlib or plotly."
            )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(artifact_file).name
            write(str(path))
            self._put(run_id, artifact_file, path)

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """Return one level of a run's artifacts, paths from the run's root."""
        found = self._artifacts.list(self._place(run_id, path))
        return [
            FileInfo(
                path=join_path(path or "", Path(info.path).name),
                is_dir=info.is_dir,
                file_size=info.file_size,
            )
            for info in found
        ]

    def download_artifacts(
        self, run_id: str, path: str = "", dst_path: str | Path | None = None
    ) -> str:
        """Copy a file or a folder of a run's artifacts, and return where the copy is.

        Args:
            run_id: The run.
            path: From the run's root; all of it when empty.
            dst_path: A local folder; a new temporary one when not given.
        """
        into = Path(dst_path) if dst_path is not None else Path(tempfile.mkdtemp())
        place = self._place(run_id, path)
        beneath = Path(path) if self._artifacts.list(place) else Path(path).parent
        return str(self._artifacts.download(place, into / beneath))

    def _put(self, run_id: str, path: str, data: bytes | Path) -> None:
        self._artifacts.put(self._place(run_id, check_path(path)), data)

    def _place(self, run_id: str, path: str | None) -> str:
        """Return where beneath the artifact root a path of a run lies."""
        if run_id not in self._roots:
            self._roots[run_id] = proxied_path(self._runs.run(run_id).info.artifact_uri)
        return join_path(self._roots[run_id], path)
