"""Writing a folder ``mlruns`` as MLflow lays it out, for its client to open.

Called by ``registry.transfer.exporter``, which gives the folder its name when all is written; so
single files are not forced to the disk one by one. Next hop: ``registry.transfer.folder_metas``.
"""

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from registry.transfer.folder_files import TRASH
from registry.transfer.folder_metas import (
    MODEL_STATUSES,
    RUN_STATUSES,
    DatasetMeta,
    ExperimentMeta,
    LinkMeta,
    LoggedModelMeta,
    Meta,
    ModelMeta,
    RunMeta,
    VersionMeta,
    write_meta,
)
from registry.transfer.mlflow_folder import MODELS
from registry.transfer.mlflow_registry import DELETED
from registry.wire import ModelVersion, RegisteredModel
from tracking.errors import InvalidRequest
from tracking.past import PastLoggedModel, PastRun
from tracking.paths import check_path
from tracking.wire import (
    Dataset,
    Experiment,
    LifecycleStage,
    Metric,
    Param,
    RunInputs,
    RunOutputs,
    Tag,
)

_LOCAL_SOURCE = 4
_NO_NAMES = "/%"


class FolderWriter:
    """Writes into one folder that is not there yet. For one thread.

    Args:
        root: Where it is written.
        final: Where it will be, for the locations that its files tell.
    """

    def __init__(self, root: Path, final: Path) -> None:
        self._root = root
        self._final = final
        (root / TRASH).mkdir(parents=True)
        (root / MODELS).mkdir()

    def folder_of(self, experiment: Experiment) -> str:
        """Return the folder of an experiment: deleted ones are apart."""
        number = experiment.experiment_id
        return f"{TRASH}/{number}" if experiment.lifecycle_stage == "deleted" else number

    def uri(self, path: str) -> str:
        """Return where a path of the folder will be."""
        return (self._final / path).as_uri()

    def put_experiment(self, experiment: Experiment) -> None:
        """Write an experiment.

        Raises:
            InvalidRequest: Something of it cannot be the name of a file.
        """
        path = self.folder_of(experiment)
        meta = ExperimentMeta(
            experiment_id=experiment.experiment_id,
            name=experiment.name,
            artifact_location=self.uri(experiment.experiment_id),
            lifecycle_stage=experiment.lifecycle_stage,
            creation_time=experiment.creation_time,
            last_update_time=experiment.last_update_time,
        )
        self._put_meta(path, meta)
        self._put_texts(f"{path}/tags", experiment.tags)

    def put_run(self, folder: str, past: PastRun) -> None:
        """Write a run without its points; ``folder`` is that of its experiment.

        Raises:
            InvalidRequest: Something of it cannot be the name of a file.
        """
        info, path = past.run.info, f"{folder}/{past.id}"
        meta = RunMeta(
            experiment_id=info.experiment_id,
            run_id=info.run_id,
            run_uuid=info.run_id,
            run_name=info.run_name,
            user_id=info.user_id,
            status=RUN_STATUSES.index(info.status or "RUNNING") + 1,
            start_time=info.start_time,
            end_time=info.end_time,
            deleted_time=past.deleted_at,
            lifecycle_stage=info.lifecycle_stage,
            artifact_uri=self.uri(f"{info.experiment_id}/{past.id}/artifacts"),
            entry_point_name="",
            source_name="",
            source_type=_LOCAL_SOURCE,
            source_version="",
        )
        self._put_meta(path, meta)
        for name in ("metrics", "artifacts"):
            (self._root / path / name).mkdir(exist_ok=True)
        self._put_texts(f"{path}/params", past.run.data.params)
        self._put_texts(f"{path}/tags", past.run.data.tags)
        self._put_inputs(folder, path, past.run.inputs or RunInputs())
        for made in (past.run.outputs or RunOutputs()).model_outputs:
            link = LinkMeta(
                source_type="RUN_OUTPUT",
                source_id=made.model_id,
                destination_type="MODEL_OUTPUT",
                destination_id=made.model_id,
                step=made.step or 0,
            )
            self._put_meta(f"{path}/outputs/{made.model_id}", link)

    def add_points(self, folder: str, run_id: str, points: Sequence[Metric]) -> None:
        """Add points to the metrics of a run.

        Raises:
            InvalidRequest: A key cannot be the name of a file.
        """
        self._add_lines(
            f"{folder}/{run_id}/metrics",
            ((p.key, f"{p.timestamp} {_number(p.value)} {p.step or 0}") for p in points),
        )

    def put_logged_model(self, folder: str, past: PastLoggedModel) -> None:
        """Write a logged model; ``folder`` is that of its experiment.

        Raises:
            InvalidRequest: Something of it cannot be the name of a file.
        """
        info, data = past.model.info, past.model.data
        path = f"{folder}/{MODELS}/{past.id}"
        stage: LifecycleStage = "deleted" if past.is_deleted else "active"
        meta = LoggedModelMeta(
            model_id=info.model_id,
            experiment_id=info.experiment_id,
            name=info.name,
            creation_timestamp=info.creation_timestamp_ms,
            last_updated_timestamp=info.last_updated_timestamp_ms,
            artifact_location=self.uri(f"{info.experiment_id}/{MODELS}/{past.id}/artifacts"),
            status=MODEL_STATUSES.index(info.status or "LOGGED_MODEL_PENDING") + 1,
            model_type=info.model_type or None,
            source_run_id=info.source_run_id or None,
            lifecycle_stage=stage,
        )
        self._put_meta(path, meta)
        self._put_texts(f"{path}/params", data.params)
        self._put_texts(f"{path}/tags", info.tags)
        self._add_lines(f"{path}/metrics", ((m.key, _model_line(m)) for m in data.metrics))

    def put_model(self, model: RegisteredModel) -> None:
        """Write a registered model without its versions.

        Raises:
            InvalidRequest: Its name cannot be that of a folder.
        """
        path = self.model_folder(model.name)
        meta = ModelMeta(
            name=model.name,
            creation_timestamp=model.creation_timestamp,
            last_updated_timestamp=model.last_updated_timestamp,
            description=model.description,
        )
        self._put_meta(path, meta)
        self._put_texts(f"{path}/tags", model.tags)
        aliases = [Tag(key=entry.alias, value=entry.version) for entry in model.aliases]
        self._put_texts(f"{path}/aliases", aliases)

    def put_version(self, version: ModelVersion, storage: str | None) -> None:
        """Write a version; ``storage`` is where its files will be."""
        path = f"{self.model_folder(version.name)}/version-{version.version}"
        meta = VersionMeta(
            name=version.name,
            version=int(version.version),
            creation_timestamp=version.creation_timestamp,
            last_updated_timestamp=version.last_updated_timestamp,
            current_stage=version.current_stage,
            description=version.description,
            user_id=version.user_id,
            source=version.source,
            storage_location=storage,
            run_id=version.run_id,
            run_link=version.run_link,
            model_id=version.model_id,
            status="READY",
        )
        self._put_meta(path, meta)
        self._put_texts(f"{path}/tags", version.tags)

    def put_gap(self, model: str, number: int) -> None:
        """Write what keeps the number of a deleted version from being used again."""
        version = ModelVersion(name=model, version=str(number), current_stage=DELETED, source="")
        self.put_version(version, None)

    def drop(self, path: str) -> None:
        """Take back what was written at a path."""
        shutil.rmtree(self._root / path, ignore_errors=True)

    def model_folder(self, name: str) -> str:
        """Return the folder of a registered model.

        Raises:
            InvalidRequest: Its name cannot be that of a folder.
        """
        if any(character in name for character in _NO_NAMES):
            raise InvalidRequest(f"a folder of MLflow's takes no name with any of {_NO_NAMES!r}")
        return check_path(f"{MODELS}/{name}")

    def _put_inputs(self, folder: str, path: str, inputs: RunInputs) -> None:
        run_id = path.rpartition("/")[2]
        for read in inputs.dataset_inputs:
            dataset_id = _joined_id(read.dataset.name, read.dataset.digest)
            self._put_meta(f"{folder}/datasets/{dataset_id}", _dataset_meta(read.dataset))
            link = LinkMeta(
                source_type="DATASET",
                source_id=dataset_id,
                destination_type="RUN",
                destination_id=dataset_id,
                tags={tag.key: tag.value for tag in read.tags},
            )
            self._put_meta(f"{path}/inputs/{_joined_id(dataset_id, run_id)}", link)
        for model in inputs.model_inputs:
            link = LinkMeta(
                source_type="MODEL",
                source_id=model.model_id,
                destination_type="RUN",
                destination_id=model.model_id,
            )
            self._put_meta(f"{path}/inputs/{_joined_id(model.model_id, run_id)}", link)

    def _put_meta(self, path: str, meta: Meta) -> None:
        folder = self._root / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.yaml").write_bytes(write_meta(meta))

    def _put_texts(self, path: str, entries: Iterable[Param | Tag]) -> None:
        (self._root / path).mkdir(parents=True, exist_ok=True)
        for entry in entries:
            self._named(path, entry.key).write_bytes(entry.value.encode())

    def _add_lines(self, path: str, lines: Iterable[tuple[str, str]]) -> None:
        (self._root / path).mkdir(parents=True, exist_ok=True)
        by_key: dict[str, list[str]] = {}
        for key, line in lines:
            by_key.setdefault(key, []).append(f"{line}\n")
        for key, of_key in by_key.items():
            with self._named(path, key).open("a", encoding="utf-8") as file:
                file.writelines(of_key)

    def _named(self, path: str, key: str) -> Path:
        """Return the file of a key, with the folders that its slashes make."""
        file = self._root / check_path(f"{path}/{key}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise _clash(key) from None
        if file.is_dir():
            raise _clash(key)
        return file


def _clash(key: str) -> InvalidRequest:
    return InvalidRequest(
        f"the key {key[:200]!r} and another one that begins with it cannot both be files"
    )


def _dataset_meta(dataset: Dataset) -> DatasetMeta:
    return DatasetMeta(
        name=dataset.name,
        digest=dataset.digest,
        source_type=dataset.source_type,
        source=dataset.source,
        schema=dataset.schema,
        profile=dataset.profile,
    )


def _joined_id(first: str, second: str) -> str:
    """Return the id that MLflow gives to two ids together; no secret depends on it."""
    return hashlib.md5((first + second).encode(), usedforsecurity=False).hexdigest()


def _model_line(metric: Metric) -> str:
    line = f"{metric.timestamp} {_number(metric.value)} {metric.step or 0} {metric.run_id or ''}"
    if metric.dataset_name and metric.dataset_digest:
        return f"{line} {metric.dataset_name} {metric.dataset_digest}"
    return line


def _number(value: float | str) -> str:
    return repr(float(value))
