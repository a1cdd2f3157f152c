"""The order in which things go, into our database or out of it: experiments first, models last.

One thread. Called by ``importer`` and ``exporter``, which say what becomes of each.
"""

from collections.abc import Collection, Iterator
from typing import Protocol

from registry.transfer.selection import Selection
from registry.transfer.source import Broken, PastModel, Source
from registry.transfer.tally import Tally
from tracking.errors import InvalidRequest
from tracking.wire import Experiment


class Watcher(Protocol):
    """Somebody who looks on."""

    def begin(self, what: str, total: int | None) -> None:
        """Be told what comes next, and of how many runs or versions it consists, if known."""

    def advance(self, count: int) -> None:
        """Be told how many of them are done."""


class RunBringer(Protocol):
    """Who takes experiments."""

    @property
    def run_ids(self) -> Collection[str]:
        """The runs that were taken."""

    def bring(self, given: Experiment) -> Iterator[int]:
        """Take an experiment with all that is in it; yield how many runs are done."""


class ModelBringer(Protocol):
    """Who takes registered models."""

    def bring(self, past: PastModel) -> None:
        """Take a model with all its versions."""


class Passage:
    """One way through a source. For one thread.

    Args:
        source: What is read.
        selection: What of it.
        tally: Told what cannot be read.
        watcher: Told of the progress.
    """

    def __init__(
        self, source: Source, selection: Selection, tally: Tally, watcher: Watcher
    ) -> None:
        self._source = source
        self._selection = selection
        self._tally = tally
        self._watcher = watcher

    def go(self, runs: RunBringer, models: ModelBringer) -> None:
        """Hand everything over.

        Raises:
            InvalidRequest: Something that was named is not there; nothing was handed over.
        """
        experiments = list(self._experiments())
        found = list(self._models())
        self._check_named(experiments, found)
        for experiment in experiments:
            if self._selection.has_experiment(experiment.name):
                total = self._source.count_runs(experiment.experiment_id)
                self._watcher.begin(f"experiment {experiment.name!r}", total)
                for count in runs.bring(experiment):
                    self._watcher.advance(count)
        taken = [past for past in found if self._selection.has_model(past, runs.run_ids)]
        self._watcher.begin("versions", sum(len(past.versions) for past in taken))
        for past in taken:
            models.bring(past)
            self._watcher.advance(len(past.versions))
        self._tally.leave_out(self._source.left_out())

    def _experiments(self) -> Iterator[Experiment]:
        for found in self._source.experiments():
            if isinstance(found, Broken):
                self._tally.fail(found.what, found.why)
            else:
                yield found

    def _models(self) -> Iterator[PastModel]:
        for found in self._source.models():
            if isinstance(found, Broken):
                self._tally.fail(found.what, found.why)
            else:
                yield found

    def _check_named(self, experiments: list[Experiment], models: list[PastModel]) -> None:
        missing = self._selection.missing(
            [experiment.name for experiment in experiments], [past.model.name for past in models]
        )
        if missing:
            raise InvalidRequest(f"There is no {missing[0]} in {self._source.name}.")
