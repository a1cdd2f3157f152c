"""A folder ``mlruns``, in which MLflow keeps experiments, runs and models without a database.

Every path is opened beneath the folder without following links, also those that its own files
name. Next hop: ``tracking.folder_artifacts``.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from registry.transfer.folder_files import TRASH, FolderFiles
from registry.transfer.folder_metas import (
    MODEL_STATUSES,
    RUN_STATUSES,
    DatasetMeta,
    ExperimentMeta,
    LinkMeta,
    LoggedModelMeta,
    RunMeta,
)
from registry.transfer.folder_registry import read_models
from registry.transfer.source import Broken, PastModel
from tracking.errors import InvalidRequest, ResourceMissing, StagedoorError
from tracking.past import PastLoggedModel, PastRun
from tracking.wire import (
    Dataset,
    DatasetInput,
    Experiment,
    LifecycleStage,
    Metric,
    ModelInput,
    ModelOutput,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
    Tag,
)
from tracking.wire_models import LoggedModel, LoggedModelData, LoggedModelInfo, LoggedModelStatus

S = TypeVar("S", RunStatus, LoggedModelStatus)

MODELS = "models"

_RUNS_AT_ONCE = 200
_POINTS_AT_ONCE = 20_000
_NO_RUNS = {"tags", "datasets", "traces", MODELS}
_NAME_TAG = "mlflow.runName"


class MlflowFolder:
    """One folder of MLflow's. For one thread.

    Args:
        root: The folder.

    Raises:
        InvalidRequest: It is none of MLflow's.
        ResourceMissing: There is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ResourceMissing(f"There is no folder {str(root)!r}.")
        self.folder = root.absolute()
        self.name = f"the folder {str(root)!r}"
        self._files = FolderFiles(self.folder)
        self._experiments = dict(self._find_experiments())
        if not self._experiments and not self._files.folders(MODELS):
            raise InvalidRequest(
                f"The folder {str(root)!r} holds no experiments: name the one that MLflow calls"
                " mlruns, in which each experiment has a folder with a meta.yaml."
            )

    def experiments(self) -> Iterator[Experiment | Broken]:
        """See ``Source``."""
        for link in self._files.links():
            yield Broken(f"link {link!r}", "links are not followed; put the file itself there")
        for number, path in self._experiments.items():
            try:
                yield self._read_experiment(number, path)
            except StagedoorError as error:
                yield Broken(f"experiment in folder {path!r}", error.message)

    def count_runs(self, experiment_id: str) -> int | None:
        """See ``Source``."""
        return len(self._run_folders(experiment_id))

    def runs(self, experiment_id: str) -> Iterator[Sequence[PastRun | Broken]]:
        """See ``Source``."""
        datasets = self._read_datasets(experiment_id)
        waiting = iter(self._run_folders(experiment_id))
        while names := list(islice(waiting, _RUNS_AT_ONCE)):
            yield [self._read_run(experiment_id, name, datasets) for name in names]

    def points(self, run: PastRun) -> Iterator[Sequence[Metric]]:
        """See ``Source``."""
        path = f"{self._experiments[run.run.info.experiment_id]}/{run.id}/metrics"
        for key in self._files.names(path):
            lines = iter(self._files.text(f"{path}/{key}").splitlines())
            while part := list(islice(lines, _POINTS_AT_ONCE)):
                yield [_to_point(key, line) for line in part]

    def logged_models(self, experiment_id: str) -> Iterator[PastLoggedModel | Broken]:
        """See ``Source``."""
        path = f"{self._experiments[experiment_id]}/{MODELS}"
        for name in self._files.folders(path):
            try:
                yield self._read_logged_model(experiment_id, f"{path}/{name}")
            except StagedoorError as error:
                yield Broken(f"logged model {name}", error.message)

    def models(self) -> Iterator[PastModel | Broken]:
        """See ``Source``."""
        yield from read_models(self._files)

    def left_out(self) -> Mapping[str, int]:
        """See ``Source``."""
        traces = sum(
            len(self._files.folders(f"{path}/traces")) for path in self._experiments.values()
        )
        return {"traces": traces} if traces else {}

    def close(self) -> None:
        """See ``Source``."""

    def _find_experiments(self) -> Iterator[tuple[str, str]]:
        """Yield the id and the path of every folder that may be an experiment's."""
        for name in self._files.folders(""):
            if name != MODELS and not name.startswith("."):
                yield name, name
        for name in self._files.folders(TRASH):
            yield name, f"{TRASH}/{name}"

    def _read_experiment(self, number: str, path: str) -> Experiment:
        meta = self._files.meta(path, ExperimentMeta)
        if str(meta.experiment_id) != number:
            raise InvalidRequest("its meta.yaml is that of another experiment")
        return Experiment(
            experiment_id=number,
            name=meta.name,
            artifact_location=meta.artifact_location or "",
            lifecycle_stage=_stage(meta.lifecycle_stage),
            creation_time=meta.creation_time or 0,
            last_update_time=meta.last_update_time or meta.creation_time or 0,
            tags=self._files.texts(f"{path}/tags", Tag),
        )

    def _run_folders(self, experiment_id: str) -> list[str]:
        found = self._files.folders(self._experiments[experiment_id])
        return [name for name in found if name not in _NO_RUNS and not name.startswith(".")]

    def _read_run(
        self, experiment_id: str, name: str, datasets: Mapping[str, Dataset]
    ) -> PastRun | Broken:
        path = f"{self._experiments[experiment_id]}/{name}"
        try:
            meta = self._files.meta(path, RunMeta)
            tags = self._files.texts(f"{path}/tags", Tag)
            info = self._to_info(meta, path, tags)
            if (info.experiment_id, info.run_id) != (experiment_id, name):
                raise InvalidRequest("its meta.yaml is that of another run")
            run = Run(
                info=info,
                data=RunData(params=self._files.texts(f"{path}/params", Param), tags=tags),
                inputs=self._read_inputs(path, datasets),
                outputs=self._read_outputs(path),
            )
            return PastRun(run, meta.deleted_time)
        except StagedoorError as error:
            return Broken(f"run {name}", error.message)

    def _to_info(self, meta: RunMeta, path: str, tags: Sequence[Tag]) -> RunInfo:
        run_id = meta.run_id or meta.run_uuid or ""
        return RunInfo(
            run_id=run_id,
            run_uuid=run_id,
            experiment_id=str(meta.experiment_id),
            run_name=meta.run_name or next((t.value for t in tags if t.key == _NAME_TAG), ""),
            user_id=meta.user_id or "",
            status=_status(RUN_STATUSES, meta.status or 1),
            start_time=meta.start_time or 0,
            end_time=meta.end_time,
            artifact_uri=self._files.location(meta.artifact_uri or "", f"{path}/artifacts"),
            lifecycle_stage=_stage(meta.lifecycle_stage),
        )

    def _read_datasets(self, experiment_id: str) -> dict[str, Dataset]:
        """Return the datasets of an experiment by the name of their folder."""
        path = f"{self._experiments[experiment_id]}/datasets"
        metas = {n: self._files.meta(f"{path}/{n}", DatasetMeta) for n in self._files.folders(path)}
        return {
            name: Dataset(
                name=meta.name,
                digest=meta.digest,
                source_type=meta.source_type or "",
                source=meta.source or "",
                schema=meta.schema or "",
                profile=meta.profile or "",
            )
            for name, meta in metas.items()
        }

    def _read_inputs(self, path: str, datasets: Mapping[str, Dataset]) -> RunInputs:
        links = self._read_links(f"{path}/inputs")
        read = [link for link in links if link.source_type == "DATASET"]
        lost = next((link.source_id for link in read if link.source_id not in datasets), None)
        if lost is not None:
            raise InvalidRequest(f"it names the dataset {lost[:100]!r}, which is not there")
        return RunInputs(
            dataset_inputs=[
                DatasetInput(
                    dataset=datasets[link.source_id],
                    tags=[Tag(key=key, value=value) for key, value in link.tags.items()],
                )
                for link in read
            ],
            model_inputs=[
                ModelInput(model_id=link.source_id) for link in links if link.source_type == "MODEL"
            ],
        )

    def _read_outputs(self, path: str) -> RunOutputs:
        made = [
            ModelOutput(model_id=link.source_id, step=link.step)
            for link in self._read_links(f"{path}/outputs")
        ]
        return RunOutputs(model_outputs=made)

    def _read_links(self, path: str) -> list[LinkMeta]:
        return [self._files.meta(f"{path}/{n}", LinkMeta) for n in self._files.folders(path)]

    def _read_logged_model(self, experiment_id: str, path: str) -> PastLoggedModel:
        meta = self._files.meta(path, LoggedModelMeta)
        if (str(meta.experiment_id), meta.model_id) != (experiment_id, path.rpartition("/")[2]):
            raise InvalidRequest("its meta.yaml is that of another model")
        info = LoggedModelInfo(
            model_id=meta.model_id,
            experiment_id=experiment_id,
            name=meta.name,
            creation_timestamp_ms=meta.creation_timestamp,
            last_updated_timestamp_ms=meta.last_updated_timestamp,
            artifact_uri=self._files.location(meta.artifact_location or "", f"{path}/artifacts"),
            status=_status(MODEL_STATUSES, meta.status or 0),
            model_type=meta.model_type or "",
            source_run_id=meta.source_run_id or "",
            tags=self._files.texts(f"{path}/tags", Tag),
        )
        metrics = [
            _to_model_point(meta.model_id, key, line)
            for key in self._files.names(f"{path}/metrics")
            for line in self._files.text(f"{path}/metrics/{key}").splitlines()
        ]
        data = LoggedModelData(params=self._files.texts(f"{path}/params", Param), metrics=metrics)
        return PastLoggedModel(LoggedModel(info, data), meta.lifecycle_stage == "deleted")


def _to_point(key: str, line: str) -> Metric:
    """Return the point of a line: time, value, step, and perhaps a dataset."""
    try:
        time, value, step = (*line.split(" "), "0")[:3]
        return Metric(key=key, value=_number(value), timestamp=int(time), step=int(step))
    except ValueError as error:
        raise InvalidRequest(f"its metric {key!r} has a line {line[:100]!r}") from error


def _to_model_point(model_id: str, key: str, line: str) -> Metric:
    """Return the point of a line: time, value, step, run, and perhaps a dataset."""
    try:
        time, value, step, run_id, *dataset = line.split(" ")
        name, digest = dataset or (None, None)
        return Metric(
            key=key,
            value=_number(value),
            timestamp=int(time),
            step=int(step),
            run_id=run_id,
            model_id=model_id,
            dataset_name=name,
            dataset_digest=digest,
        )
    except ValueError as error:
        raise InvalidRequest(f"its metric {key!r} has a line {line[:100]!r}") from error


def _number(text: str) -> float | str:
    number = float(text)
    return "NaN" if number != number else number  # noqa: PLR0124 - true of NaN alone


def _status(known: Sequence[S], number: int) -> S:
    """Return the status of a number, which counts from 1."""
    if not 1 <= number <= len(known):
        raise InvalidRequest(f"its status is {number}, which is none")
    return known[number - 1]


def _stage(text: str | None) -> LifecycleStage:
    return "deleted" if text == "deleted" else "active"
