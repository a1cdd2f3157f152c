"""Experiments with their runs and logged models, from a source into our database and artifacts.

A run comes whole, in one transaction with its points and with other runs; only one of very many
points takes several. Called by ``registry.transfer.importer``.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from registry.garbage_rules import proxied_folder
from registry.transfer.file_copy import FileCopier
from registry.transfer.run_mending import mend_experiment, mend_logged_model, mend_run
from registry.transfer.source import Broken, Source
from registry.transfer.tally import Tally
from registry.transfer.target import Target
from tracking.artifact_location import default_location, model_location, run_location
from tracking.buckets import Point
from tracking.errors import InvalidRequest, ResourceExists
from tracking.past import PastLoggedModel, PastRun, check_experiment, check_logged_model, check_run
from tracking.paths import proxied_path
from tracking.sql_experiments import find_number
from tracking.sql_logging import by_key, check_point
from tracking.sql_past import (
    Effect,
    effect_on_model,
    effects_on_runs,
    find_namesake,
    known_runs,
    put_experiment,
    put_logged_model,
    put_runs,
)
from tracking.sql_points import count_new, put_points
from tracking.wire import Experiment, Metric
from tracking.wire_models import LoggedModel

ROOT = "mlflow-artifacts:/"

_POINTS_AT_ONCE = 20_000


class Group(Struct, frozen=True):
    """Runs that are written together, as they are to be here, and points by run and key.

    A run that comes with an earlier group may have further points in the next one.
    """

    runs: list[PastRun]
    points: list[tuple[str, str, Point]]

    def without(self, run_id: str) -> "Group":
        """Return the same without a run."""
        return Group(
            [past for past in self.runs if past.id != run_id],
            [point for point in self.points if point[0] != run_id],
        )


class RunImport:
    """Brings over experiments. For one thread.

    Args:
        source: Where they are.
        target: Where they go.
        copier: Copies their files.
        tally: Told what became of everything.

    Attributes:
        run_ids: The runs that were brought over.
    """

    def __init__(self, source: Source, target: Target, copier: FileCopier, tally: Tally) -> None:
        self._source = source
        self._target = target
        self._copier = copier
        self._tally = tally
        self.run_ids: set[str] = set()

    def bring(self, given: Experiment) -> Iterator[int]:
        """Bring over an experiment with all that is in it; yield how many runs are done."""
        batches = self._source.runs(given.experiment_id)
        first = next(batches, [])
        try:
            mended, told = mend_experiment(given)
            here = self._put_experiment(check_experiment(mended), first)
        except (InvalidRequest, ResourceExists) as error:
            self._tally.fail(f"experiment {given.name!r}", error.message)
            return
        self._tell(f"experiment {given.name!r}", told)
        for batch in chain([first], batches):
            yield from self._bring_runs(here, batch)
        for past in self._source.logged_models(given.experiment_id):
            self._bring_model(here, past)

    def _put_experiment(self, given: Experiment, some: Sequence[PastRun | Broken]) -> Experiment:
        ids = [past.id for past in some if isinstance(past, PastRun)]
        with self._target.database.read() as connection:
            here = find_namesake(connection, given, ids)
        if self._target.is_dry:
            self._tally.count("experiment", Effect.ADDED if here is None else Effect.UNCHANGED)
            location = default_location(ROOT, find_number(given.experiment_id) or 0)
            return here or replace(given, artifact_location=location)
        written, effect = self._target.database.write(
            partial(put_experiment, given=given, here=here, root=ROOT)
        )
        self._tally.count("experiment", effect)
        if written.experiment_id != given.experiment_id:
            self._tally.note(
                f"experiment {given.name!r} has id {written.experiment_id} here, and"
                f" {given.experiment_id} there"
            )
        return written

    def _bring_runs(self, here: Experiment, batch: Sequence[PastRun | Broken]) -> Iterator[int]:
        group = Group([], [])
        for past in batch:
            if isinstance(past, Broken):
                self._tally.fail(past.what, past.why)
                continue
            try:
                group.runs.append(self._moved(here, past))
                for piece in self._source.points(past):
                    group.points.extend(
                        (past.id, key, point)
                        for _, key, point in self._sound(f"run {past.id}", piece)
                    )
                    if len(group.points) >= _POINTS_AT_ONCE:
                        yield self._write(group)
                        group = Group([], [])
            except InvalidRequest as error:
                self._tally.fail(f"run {past.id}", error.message)
                self.run_ids.discard(past.id)
                group = group.without(past.id)
        yield self._write(group)

    def _sound(self, what: str, piece: Iterable[Metric]) -> Iterator[tuple[Metric, str, Point]]:
        """Yield the points that may be kept; of the others, tell of the first of each key."""
        refused: dict[str, str] = {}
        for metric in piece:
            try:
                key, point = check_point(metric)
            except InvalidRequest as error:
                refused.setdefault(metric.key, error.message)
            else:
                yield metric, key, point
        self._tell(
            what, [f"points of {k!r:.300} are left out: {why}" for k, why in refused.items()]
        )

    def _tell(self, what: str, sentences: Iterable[str]) -> None:
        self._tally.change(Broken(what, sentence) for sentence in sentences)

    def _moved(self, here: Experiment, past: PastRun) -> PastRun:
        """Return a run as it is to be here, and note where its files are and where they go."""
        past, told = mend_run(past)
        info = check_run(past).run.info
        location = run_location(here.artifact_location, info.run_id)
        self.run_ids.add(info.run_id)
        moved = replace(
            info,
            experiment_id=here.experiment_id,
            artifact_uri=self._settle(info.artifact_uri, location),
        )
        self._tell(f"run {past.id}", told)
        return replace(past, run=replace(past.run, info=moved))

    def _settle(self, location: str, here: str) -> str:
        """Return where files are from now on: here, unless they stay in their bucket."""
        if self._copier.leaves(location):
            return location
        folder = proxied_folder(here)
        if folder is None:
            raise InvalidRequest(f"its experiment here keeps files at {here[:200]!r}: move them")
        self._copier.expect(location, folder)
        return here

    def _copy(self, what: str, here: str) -> None:
        if not self._copier.leaves(here):
            self._copier.copy(what, proxied_path(here))

    def _write(self, group: Group) -> int:
        if self._target.is_dry:
            with self._target.database.read() as connection:
                effects = effects_on_runs(connection, group.runs)
                added = sum(count_new(connection, *one) for one in _by_run(group))
        else:
            effects, added = self._target.database.write(partial(_put, group=group))
        self._tally.count_all("run", effects.values())
        self._tally.count("point", Effect.ADDED, added)
        self._tally.count("point", Effect.UNCHANGED, len(group.points) - added)
        for past in group.runs:
            self._copy(f"run {past.id}", past.run.info.artifact_uri)
        return len(group.runs)

    def _bring_model(self, here: Experiment, past: PastLoggedModel | Broken) -> None:
        if isinstance(past, Broken):
            self._tally.fail(past.what, past.why)
            return
        try:
            moved = self._moved_model(here, past)
        except InvalidRequest as error:
            self._tally.fail(f"logged model {past.id}", error.message)
            return
        if self._target.is_dry:
            with self._target.database.read() as connection:
                effect = effect_on_model(connection, moved)
        else:
            effect = self._target.database.write(partial(put_logged_model, given=moved))
        self._tally.count("logged model", effect)
        self._copy(f"logged model {past.id}", moved.model.info.artifact_uri)

    def _moved_model(self, here: Experiment, past: PastLoggedModel) -> PastLoggedModel:
        what = f"logged model {past.id}"
        past, told = mend_logged_model(past)
        info, data = check_logged_model(past).model.info, past.model.data
        self._tell(what, told)
        metrics = [metric for metric, _, _ in self._sound(what, data.metrics)]
        with self._target.database.read() as connection:
            known = known_runs(connection, [metric.run_id or "" for metric in metrics])
        known |= self.run_ids if self._target.is_dry else set()
        location = model_location(here.artifact_location, info.model_id)
        moved = replace(
            info,
            experiment_id=here.experiment_id,
            artifact_uri=self._settle(info.artifact_uri, location),
        )
        kept = [metric for metric in metrics if metric.run_id in known]
        if len(kept) < len(metrics):
            self._tally.note(f"points of logged model {past.id} by runs that are not here")
        return replace(past, model=LoggedModel(moved, replace(data, metrics=kept)))


def _put(connection: Connection, group: Group) -> tuple[dict[str, Effect], int]:
    effects = put_runs(connection, group.runs)
    return effects, sum(put_points(connection, *one) for one in _by_run(group))


def _by_run(group: Group) -> Iterator[tuple[str, dict[str, list[Point]]]]:
    for run_id, of_run in groupby(group.points, key=itemgetter(0)):
        yield run_id, by_key((key, point) for _, key, point in of_run)
