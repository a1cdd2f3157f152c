"""Bringing everything over from another store: experiments, runs, files; models and stages last.

What is here already is compared first; so a call that was killed, or one that comes a second time,
adds only what is missing. One thread reads and decides. Next hops: ``run_import``,
``model_import``.
"""

from collections.abc import Iterator
from typing import Protocol

from registry.transfer.file_copy import FileCopier
from registry.transfer.model_import import ModelImport
from registry.transfer.places import Places
from registry.transfer.run_import import RunImport
from registry.transfer.selection import Selection
from registry.transfer.source import Broken, PastModel, Source
from registry.transfer.tally import Tally
from registry.transfer.target import Target
from tracking.errors import InvalidRequest
from tracking.wire import Experiment


class Watcher(Protocol):
    """Somebody who looks on."""

    def begin(self, what: str, total: int | None) -> None:
        """Be told what comes next, and of how many runs or versions it consists, if known."""

    def advance(self, count: int) -> None:
        """Be told how many of them are done."""


class Importer:
    """Brings over what a source has. For one thread.

    Args:
        source: Where everything is now.
        places: What may be read of its files.
        target: Where it goes.
        selection: What is taken.
        watcher: Told of the progress.
    """

    def __init__(
        self,
        source: Source,
        places: Places,
        target: Target,
        *,
        selection: Selection,
        watcher: Watcher,
    ) -> None:
        self._source = source
        self._selection = selection
        self._watcher = watcher
        self._tally = Tally()
        copier = FileCopier(places, target.files, self._tally)
        self._copier = copier
        self._runs = RunImport(source, target, copier, self._tally)
        self._models = ModelImport(target, copier, self._tally)

    def run(self) -> Tally:
        """Bring it over, and return what that came to.

        Raises:
            InvalidRequest: The source is damaged as a whole, or something that was named is not
                there; nothing was written.
            Unavailable: Source or target do not answer; what was written stays, and the next call
                goes on.
        """
        experiments = list(self._experiments())
        models = list(self._models_of_source())
        self._check_named(experiments, models)
        try:
            for experiment in experiments:
                self._bring_experiment(experiment)
            taken = [m for m in models if self._selection.has_model(m, self._runs.run_ids)]
            self._watcher.begin("models", sum(len(past.versions) for past in taken))
            for past in taken:
                self._models.bring(past)
                self._watcher.advance(len(past.versions))
        finally:
            self._copier.close()
        self._tally.leave_out(self._source.left_out())
        return self._tally

    def _bring_experiment(self, experiment: Experiment) -> None:
        total = self._source.count_runs(experiment.experiment_id)
        self._watcher.begin(f"experiment {experiment.name!r}", total)
        for count in self._runs.bring(experiment):
            self._watcher.advance(count)

    def _experiments(self) -> Iterator[Experiment]:
        for found in self._source.experiments():
            if isinstance(found, Broken):
                self._tally.fail(found.what, found.why)
            elif self._selection.has_experiment(found.name):
                yield found

    def _models_of_source(self) -> Iterator[PastModel]:
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
