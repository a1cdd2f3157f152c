"""The seam to a store that runs and models are brought over from: read, and never written to.

``registry.transfer.importer`` and ``exporter`` read it in one thread. What cannot be read is told
in its place as ``Broken``, and the rest goes on. Next hops: ``mlflow_database``, ``mlflow_folder``,
``store_source``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from registry.wire import ModelVersion, RegisteredModel
from tracking.past import PastLoggedModel, PastRun
from tracking.wire import Experiment, Metric


class Broken(Struct, frozen=True):
    """Something that cannot be read or kept: what it is, and why."""

    what: str
    why: str


class PastVersion(Struct, frozen=True):
    """A version as it was kept elsewhere.

    Args:
        version: As on the wire.
        files: Where its files are there, as that place has it, or none.
    """

    version: ModelVersion
    files: str | None = None


class PastModel(Struct, frozen=True):
    """A registered model as it was kept elsewhere.

    Args:
        model: As on the wire; its newest versions are not looked at.
        versions: In the order of their numbers, with gaps where some were deleted.
        last_version: The highest number there ever was, as far as that is known.
    """

    model: RegisteredModel
    versions: Sequence[PastVersion]
    last_version: int


class Source(Protocol):
    """A store elsewhere. For one thread.

    Raises:
        InvalidRequest: It is not what it was said to be.
        Unavailable: It does not answer.
    """

    @property
    def name(self) -> str:
        """What it is and where, without a password."""

    @property
    def folder(self) -> Path | None:
        """The folder of this machine that it is in, if it is in one."""

    def experiments(self) -> Iterator[Experiment | Broken]:
        """Yield all experiments, deleted ones too."""

    def count_runs(self, experiment_id: str) -> int | None:
        """Return how many runs an experiment has, if that is cheap to tell."""

    def runs(self, experiment_id: str) -> Iterator[Sequence[PastRun | Broken]]:
        """Yield the runs of an experiment, deleted ones too, some at a time."""

    def points(self, run: PastRun) -> Iterator[Sequence[Metric]]:
        """Yield the points of all metrics of a run, a bounded number at a time."""

    def logged_models(self, experiment_id: str) -> Iterator[PastLoggedModel | Broken]:
        """Yield the logged models of an experiment."""

    def models(self) -> Iterator[PastModel | Broken]:
        """Yield the registered models, each with its versions."""

    def left_out(self) -> Mapping[str, int]:
        """Return how many there are of each kind that is not brought over."""

    def close(self) -> None:
        """Let go of it."""
