"""Writing what was kept elsewhere: functions on a connection, for ``registry/transfer``.

Ids, times and states are taken as they are. What is here already is compared first, so that doing
it again changes nothing; what the other place says wins, what it does not mention stays, and what
was deleted here stays deleted.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, func, insert, or_, select, text, update

from tracking.artifact_location import default_location
from tracking.chunks import chunks
from tracking.past import PastLoggedModel, PastRun
from tracking.schema import (
    experiment_tags,
    experiments,
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
    params,
    runs,
    tags,
)
from tracking.sql_experiments import find, find_number, one
from tracking.sql_input_logging import link_datasets, link_inputs, link_outputs
from tracking.sql_insert import insert_by, insert_new
from tracking.sql_logged_models import to_models
from tracking.sql_logging import check_point
from tracking.sql_run_contents import to_runs
from tracking.sql_texts import put_text_rows
from tracking.wire import Experiment, Metric, Run, RunInputs, RunOutputs
from tracking.wire_models import LoggedModel

# Folders of MLflow number their experiments with 18 digits at random: the next number after such
# a one could be too long, so those get a new one.
_HIGHEST_KEPT_NUMBER = 2**31 - 1


class Effect(StrEnum):
    """What writing something came to."""

    ADDED = "added"
    """It was not here."""
    UPDATED = "updated"
    """It was here, and different."""
    UNCHANGED = "unchanged"
    """It was here, and the same."""


def find_namesake(
    connection: Connection, given: Experiment, run_ids: Sequence[str]
) -> Experiment | None:
    """Return the experiment here that a given one is: of its name, or else the one with its runs.

    Args:
        connection: The snapshot.
        given: As it is elsewhere; its id there means nothing here.
        run_ids: Some of its runs.
    """
    named = find(connection, given.name)
    if named is not None:
        return named
    of = select(runs.c.experiment_id).where(runs.c.run_id.in_(run_ids)).limit(1)
    number = connection.execute(of).scalar()
    return None if number is None else one(connection, str(number))


def put_experiment(
    connection: Connection, given: Experiment, here: Experiment | None, *, root: str
) -> tuple[Experiment, Effect]:
    """Write an experiment, and return it as it is here.

    Args:
        connection: In a write transaction.
        given: As it is elsewhere, checked. It keeps its number where that is free.
        here: What ``find_namesake`` found.
        root: Beneath it lie the artifacts of a new one.
    """
    if here is None:
        number = _add_experiment(connection, given, root)
    else:
        number = int(here.experiment_id)
        if _is_within(given.tags, here.tags) and _same_state(given, here):
            return here, Effect.UNCHANGED
        of = experiments.c.experiment_id == number
        values = _experiment_values(given)
        values["is_deleted"] |= here.lifecycle_stage == "deleted"
        connection.execute(update(experiments).where(of).values(values))
    rows = [(number, tag.key, tag.value) for tag in given.tags]
    put_text_rows(connection, experiment_tags, rows)
    effect = Effect.ADDED if here is None else Effect.UPDATED
    return one(connection, str(number)), effect


def effects_on_runs(connection: Connection, given: Sequence[PastRun]) -> dict[str, Effect]:
    """Return what writing these runs would come to."""
    there = _runs_here(connection, [past.id for past in given])
    return {past.id: _effect_on_run(past.run, there.get(past.id)) for past in given}


def put_runs(connection: Connection, given: Sequence[PastRun]) -> dict[str, Effect]:
    """Write runs of experiments that are here, each with the experiment's id here.

    A run that is here in another experiment stays there.
    """
    effects = effects_on_runs(connection, given)
    going = [past for past in given if effects[past.id] is not Effect.UNCHANGED]
    if not going:
        return effects
    with_experiment = _deleted_experiments(connection, going)
    statement = insert_by(connection.dialect.name, runs)
    kept = {"run_id", "experiment_id"}
    new = statement.excluded
    changed: dict[str, Any] = {c.name: new[c.name] for c in runs.c if c.name not in kept}
    for name in ("is_deleted", "is_deleted_with_experiment"):
        changed[name] = or_(runs.c[name], new[name])
    changed["deleted_at"] = func.coalesce(runs.c.deleted_at, new.deleted_at)
    statement = statement.on_conflict_do_update(index_elements=[runs.c.run_id], set_=changed)
    connection.execute(statement, [_run_values(past, with_experiment) for past in going])
    put_text_rows(connection, params, _texts(going, "params"))
    put_text_rows(connection, tags, _texts(going, "tags"))
    for past in going:
        _link(connection, past.run)
    return effects


def effect_on_model(connection: Connection, given: PastLoggedModel) -> Effect:
    """Return what writing this logged model would come to."""
    row = connection.execute(
        select(logged_models).where(logged_models.c.model_id == given.id)
    ).first()
    if row is None:
        return Effect.ADDED
    [here] = to_models(connection, [row])
    wanted = given.model
    is_same = (
        replace(wanted.info, tags=[], experiment_id=here.info.experiment_id)
        == replace(here.info, tags=[])
        and row.is_deleted >= given.is_deleted
        and _is_within(wanted.info.tags, here.info.tags)
        and _is_within(wanted.data.params, here.data.params)
        and _point_keys(wanted) <= _point_keys(here)
    )
    return Effect.UNCHANGED if is_same else Effect.UPDATED


def put_logged_model(connection: Connection, given: PastLoggedModel) -> Effect:
    """Write a logged model of an experiment that is here; its points name runs that are here."""
    effect = effect_on_model(connection, given)
    if effect is Effect.UNCHANGED:
        return effect
    values = _model_values(given)
    statement = insert_by(connection.dialect.name, logged_models).values(values)
    new = statement.excluded
    changed: dict[str, Any] = {name: new[name] for name in values.keys() - {"experiment_id"}}
    changed["is_deleted"] = or_(logged_models.c.is_deleted, new.is_deleted)
    connection.execute(
        statement.on_conflict_do_update(index_elements=[logged_models.c.model_id], set_=changed)
    )
    info, data = given.model.info, given.model.data
    for table, entries in ((logged_model_params, data.params), (logged_model_tags, info.tags)):
        rows = [(info.model_id, entry.key, entry.value) for entry in entries]
        put_text_rows(connection, table, rows)
    points = [_model_point(given.id, metric) for metric in data.metrics]
    if points:
        connection.execute(insert_new(connection.dialect.name, logged_model_metrics), points)
    return effect


def known_runs(connection: Connection, run_ids: Sequence[str]) -> frozenset[str]:
    """Return which of these runs are here."""
    found: set[str] = set()
    for part in chunks(run_ids):
        of = select(runs.c.run_id).where(runs.c.run_id.in_(part))
        found.update(connection.execute(of).scalars())
    return frozenset(found)


def _add_experiment(connection: Connection, given: Experiment, root: str) -> int:
    wanted = find_number(given.experiment_id)
    values = {"artifact_location": "", **_experiment_values(given)}
    table = experiments.c.experiment_id
    if wanted is not None and wanted <= _HIGHEST_KEPT_NUMBER:
        taken = connection.execute(select(table).where(table == wanted)).scalar()
        values |= {} if taken is not None else {"experiment_id": wanted}
    statement = insert(experiments).values(values).returning(table)
    number = int(connection.execute(statement).scalar_one())
    location = default_location(root, number)
    connection.execute(
        update(experiments).where(table == number).values(artifact_location=location)
    )
    if connection.dialect.name == "postgresql":
        _count_on(connection)
    return number


def _count_on(connection: Connection) -> None:
    """Let PostgreSQL count on after the highest number: it does not see numbers that are given."""
    connection.execute(
        text(
            "SELECT setval('experiments_experiment_id_seq', greatest("
            "(SELECT max(experiment_id) FROM experiments), "
            "(SELECT last_value FROM experiments_experiment_id_seq)))"
        )
    )


def _experiment_values(given: Experiment) -> dict[str, Any]:
    return {
        "name": given.name,
        "is_deleted": given.lifecycle_stage == "deleted",
        "creation_time": given.creation_time or 0,
        "last_update_time": given.last_update_time or 0,
    }


def _same_state(given: Experiment, here: Experiment) -> bool:
    is_going = given.lifecycle_stage == "deleted" and here.lifecycle_stage != "deleted"
    return not is_going and (given.name, given.creation_time, given.last_update_time) == (
        here.name,
        here.creation_time,
        here.last_update_time,
    )


def _runs_here(connection: Connection, run_ids: Sequence[str]) -> dict[str, Run]:
    rows = [
        row
        for part in chunks(run_ids)
        for row in connection.execute(select(runs).where(runs.c.run_id.in_(part)))
    ]
    return {run.info.run_id: run for run in to_runs(connection, rows)}


def _effect_on_run(wanted: Run, here: Run | None) -> Effect:
    if here is None:
        return Effect.ADDED
    read, read_here = wanted.inputs or RunInputs(), here.inputs or RunInputs()
    made, made_here = wanted.outputs or RunOutputs(), here.outputs or RunOutputs()
    info = replace(wanted.info, experiment_id=here.info.experiment_id)
    if here.info.lifecycle_stage == "deleted":
        info = replace(info, lifecycle_stage="deleted")
    is_same = (
        info == here.info
        and _is_within(wanted.data.params, here.data.params)
        and _is_within(wanted.data.tags, here.data.tags)
        and {_dataset_key(d) for d in read.dataset_inputs}
        <= {_dataset_key(d) for d in read_here.dataset_inputs}
        and _is_within(read.model_inputs, read_here.model_inputs)
        and _is_within(made.model_outputs, made_here.model_outputs)
    )
    return Effect.UNCHANGED if is_same else Effect.UPDATED


def _dataset_key(given: Any) -> tuple[str, str]:
    """Return what identifies an input: its tags are written once, with it."""
    return given.dataset.name, given.dataset.digest


def _is_within(wanted: Sequence[Any], here: Sequence[Any]) -> bool:
    return set(wanted) <= set(here)


def _deleted_experiments(connection: Connection, given: Sequence[PastRun]) -> frozenset[str]:
    numbers = {int(past.run.info.experiment_id) for past in given}
    table = experiments.c
    of = select(table.experiment_id).where(table.experiment_id.in_(numbers), table.is_deleted)
    return frozenset(str(number) for number in connection.execute(of).scalars())


def _run_values(past: PastRun, with_experiment: frozenset[str]) -> dict[str, Any]:
    info = past.run.info
    is_deleted = info.lifecycle_stage == "deleted"
    return {
        "run_id": info.run_id,
        "experiment_id": int(info.experiment_id),
        "run_name": info.run_name,
        "user_id": info.user_id,
        "status": info.status,
        "start_time": info.start_time or 0,
        "end_time": info.end_time,
        "artifact_uri": info.artifact_uri,
        "is_deleted": is_deleted,
        "is_deleted_with_experiment": is_deleted and info.experiment_id in with_experiment,
        "deleted_at": past.deleted_at if is_deleted else None,
    }


def _texts(given: Sequence[PastRun], which: str) -> list[tuple[str, str, str]]:
    return [
        (past.id, entry.key, entry.value)
        for past in given
        for entry in getattr(past.run.data, which)
    ]


def _link(connection: Connection, run: Run) -> None:
    run_id, inputs = run.info.run_id, run.inputs or RunInputs()
    link_datasets(connection, run_id, int(run.info.experiment_id), inputs.dataset_inputs)
    link_inputs(connection, run_id, inputs.model_inputs)
    link_outputs(connection, run_id, (run.outputs or RunOutputs()).model_outputs)


def _model_point(model_id: str, metric: Metric) -> dict[str, Any]:
    key, (step, timestamp, value, is_nan) = check_point(metric)
    return {
        "model_id": model_id,
        "run_id": metric.run_id or "",
        "key": key,
        "timestamp": timestamp,
        "step": step,
        "value": value,
        "is_nan": is_nan,
        "dataset_name": metric.dataset_name or "",
        "dataset_digest": metric.dataset_digest or "",
    }


def _point_keys(model: LoggedModel) -> set[tuple[Any, ...]]:
    """Return what makes the points of a model different from each other."""
    points = (_model_point(model.info.model_id, metric) for metric in model.data.metrics)
    return {tuple(point.values()) for point in points}


def _model_values(given: PastLoggedModel) -> dict[str, Any]:
    info = given.model.info
    return {
        "model_id": info.model_id,
        "experiment_id": int(info.experiment_id),
        "name": info.name,
        "model_type": info.model_type,
        "source_run_id": info.source_run_id,
        "artifact_uri": info.artifact_uri,
        "status": info.status,
        "is_deleted": given.is_deleted,
        "creation_time": info.creation_timestamp_ms,
        "last_update_time": info.last_updated_timestamp_ms,
    }
