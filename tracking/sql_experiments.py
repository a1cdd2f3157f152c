"""Experiments in SQL: functions on a connection, inside the transaction of whoever calls.

Called by ``tracking.sql_store`` as pieces of work, on the writer's thread or the caller's.
"""

import re
from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from tracking.artifact_location import check_location, default_location
from tracking.chunks import chunks
from tracking.errors import InvalidRequest, ResourceExists, ResourceMissing
from tracking.limits import check_experiment_name, check_experiment_tag, require
from tracking.schema import experiment_tags, experiments, runs
from tracking.sql_reading import fetch
from tracking.sql_texts import put_text_rows
from tracking.wire import (
    CreateExperiment,
    Experiment,
    SetExperimentTag,
    Tag,
    UpdateExperiment,
    ViewType,
)

DEFAULT_ID = 0
_DEFAULT_NAME = "Default"
_MOST_DIGITS = 18
_ID = re.compile(r"-?[0-9]+")
_MOST_TOGETHER = 15_000
# Built once: that takes longer than running it.
_ONE = select(experiments).where(experiments.c.experiment_id == bindparam("number"))
_PLACE = select(experiments.c.artifact_location).where(
    experiments.c.experiment_id == bindparam("number"), experiments.c.is_deleted.is_(False)
)


def ensure_default(connection: Connection, *, root: str, now_ms: int) -> None:
    """Make the experiment ``Default`` with id 0, if it is not there yet."""
    if _find_row(connection, DEFAULT_ID) is not None:
        return
    connection.execute(
        insert(experiments).values(
            experiment_id=DEFAULT_ID,
            **_new_values(_DEFAULT_NAME, default_location(root, DEFAULT_ID), now_ms),
        )
    )


def has_default(connection: Connection) -> bool:
    """Tell whether ``ensure_default`` was done."""
    return _find_row(connection, DEFAULT_ID) is not None


def create(connection: Connection, request: CreateExperiment, *, root: str, now_ms: int) -> str:
    """Create an experiment and return its id.

    Raises:
        InvalidRequest: Its name, location or a tag is not allowed.
        ResourceExists: The name is taken, perhaps by a deleted experiment.
    """
    name = check_experiment_name(request.name)
    location = check_location(request.artifact_location) if request.artifact_location else ""
    _require_free(connection, name)
    values = _new_values(name, location, now_ms)
    statement = insert(experiments).values(values).returning(experiments.c.experiment_id)
    number = connection.execute(statement).scalar_one()
    if not location:
        _change(connection, number, artifact_location=default_location(root, number))
    _put_tags(connection, number, request.tags)
    return str(number)


def one(connection: Connection, experiment_id: str) -> Experiment:
    """Return an experiment, also a deleted one.

    Raises:
        InvalidRequest: No experiment can have such an id.
        ResourceMissing: There is none of that id.
    """
    return to_experiments(connection, [_row(connection, experiment_id)])[0]


def find(connection: Connection, name: str) -> Experiment | None:
    """Return the experiment of that name, also a deleted one, or ``None``.

    Raises:
        InvalidRequest: No name is given.
    """
    require(name, "experiment_name")
    row = connection.execute(select(experiments).where(experiments.c.name == name)).first()
    return None if row is None else to_experiments(connection, [row])[0]


def rename(connection: Connection, request: UpdateExperiment, *, now_ms: int) -> None:
    """Rename an active experiment.

    Raises:
        InvalidRequest: It is deleted, or the name is not allowed.
        ResourceExists: The name is taken.
    """
    row = require_active(connection, request.experiment_id)
    if require(request.new_name, "new_name") == row.name:
        return
    name = check_experiment_name(request.new_name)
    _require_free(connection, name)
    _change(connection, row.experiment_id, name=name, last_update_time=now_ms)


def remove(connection: Connection, experiment_id: str, *, now_ms: int) -> None:
    """Mark an active experiment and its active runs deleted.

    Raises:
        ResourceMissing: There is no active one of that id.
    """
    number = _row(connection, experiment_id, is_deleted=False).experiment_id
    _change(connection, number, is_deleted=True, last_update_time=now_ms)
    connection.execute(
        update(runs)
        .where(runs.c.experiment_id == number, ~runs.c.is_deleted)
        .values(is_deleted=True, is_deleted_with_experiment=True, deleted_at=now_ms)
    )


def restore(connection: Connection, experiment_id: str, *, now_ms: int) -> None:
    """Bring a deleted experiment back, with the runs deleted along with it.

    Raises:
        ResourceMissing: There is no deleted one of that id.
    """
    number = _row(connection, experiment_id, is_deleted=True).experiment_id
    _change(connection, number, is_deleted=False, last_update_time=now_ms)
    connection.execute(
        update(runs)
        .where(runs.c.experiment_id == number, runs.c.is_deleted_with_experiment)
        .values(is_deleted=False, is_deleted_with_experiment=False, deleted_at=None)
    )


def set_tag(connection: Connection, request: SetExperimentTag, *, now_ms: int) -> None:
    """Set or overwrite a tag of an active experiment.

    Raises:
        InvalidRequest: The experiment is deleted, or the tag is not allowed.
    """
    number = require_active(connection, request.experiment_id).experiment_id
    _put_tags(connection, number, [Tag(key=request.key, value=request.value)])
    _change(connection, number, last_update_time=now_ms)


def delete_tag(connection: Connection, experiment_id: str, key: str, *, now_ms: int) -> None:
    """Remove one tag of an active experiment.

    Raises:
        InvalidRequest: The experiment is deleted.
        ResourceMissing: There is no such experiment, or it has no such tag.
    """
    number = require_active(connection, experiment_id).experiment_id
    table = experiment_tags
    entry = delete(table).where(table.c.experiment_id == number, table.c.key == require(key, "key"))
    if connection.execute(entry).rowcount == 0:
        raise ResourceMissing(f"No tag with name: {key!r} in experiment with id {experiment_id}.")
    _change(connection, number, last_update_time=now_ms)


def require_active(connection: Connection, experiment_id: str) -> Row[Any]:
    """Return the row of an experiment that may be changed.

    Raises:
        InvalidRequest: It is deleted, or no experiment can have such an id.
        ResourceMissing: There is none of that id.
    """
    row = _row(connection, experiment_id)
    if row.is_deleted:
        raise InvalidRequest(
            f"The experiment {experiment_id!r} must be in the 'active' state. It is deleted:"
            " restore it first."
        )
    return row


def active_place(connection: Connection, experiment_id: str) -> tuple[int, str]:
    """Return the number of an experiment that may be changed, and where its artifacts are.

    Raises:
        InvalidRequest: It is deleted, or no experiment can have such an id.
        ResourceMissing: There is none of that id.
    """
    number = find_number(_checked_id(experiment_id))
    found = () if number is None else fetch(connection, _PLACE, {"number": number})
    if number is None or not found:
        row = require_active(connection, experiment_id)
        return row.experiment_id, row.artifact_location
    ((location,),) = found
    return number, location


def find_number(experiment_id: str) -> int | None:
    """Return the number that an experiment's id stands for, or ``None`` if it stands for none."""
    is_number = experiment_id.isascii() and experiment_id.isdecimal()
    return int(experiment_id) if is_number and len(experiment_id) <= _MOST_DIGITS else None


def find_numbers(experiment_ids: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers that experiments' ids stand for, once each; others are left out.

    Raises:
        InvalidRequest: They are more than a database takes in one statement, or one is none.
    """
    if len(experiment_ids) > _MOST_TOGETHER:
        raise InvalidRequest(
            f"At most {_MOST_TOGETHER} experiment_ids can be searched together, not"
            f" {len(experiment_ids)}. Split them."
        )
    numbers = dict.fromkeys(find_number(_checked_id(told)) for told in experiment_ids)
    return tuple(number for number in numbers if number is not None)


def parse_view(view: str) -> ViewType:
    """Return which lifecycle stages to show; as on the wire, an unknown value counts as unset."""
    return next((known for known in get_args(ViewType) if known == view), "ACTIVE_ONLY")


def to_experiments(connection: Connection, rows: list[Row[Any]]) -> list[Experiment]:
    """Return the experiments of these rows, with their tags, in order."""
    numbers = [row.experiment_id for row in rows]
    tags: dict[int, list[Tag]] = {number: [] for number in numbers}
    table = experiment_tags
    for chunk in chunks(numbers):
        statement = select(table).where(table.c.experiment_id.in_(chunk)).order_by(table.c.key)
        for tag in connection.execute(statement):
            tags[tag.experiment_id].append(Tag(key=tag.key, value=tag.value))
    return [_to_experiment(row, tags[row.experiment_id]) for row in rows]


def _to_experiment(row: Row[Any], tags: list[Tag]) -> Experiment:
    return Experiment(
        experiment_id=str(row.experiment_id),
        name=row.name,
        artifact_location=row.artifact_location,
        lifecycle_stage="deleted" if row.is_deleted else "active",
        creation_time=row.creation_time,
        last_update_time=row.last_update_time,
        tags=tags,
    )


def _checked_id(experiment_id: str) -> str:
    """Return an experiment's id: a whole number, written as a text."""
    if not _ID.fullmatch(require(experiment_id, "experiment_id")):
        raise InvalidRequest(
            f"Invalid experiment ID {experiment_id[:100]!r}. Experiment ID must be a valid integer."
            " Search the experiments for its name."
        )
    return experiment_id


def _find_row(connection: Connection, number: int) -> Row[Any] | None:
    return connection.execute(_ONE, {"number": number}).first()


def _row(connection: Connection, experiment_id: str, *, is_deleted: bool | None = None) -> Row[Any]:
    """Return the row of that id, and in that state where one is given."""
    number = find_number(_checked_id(experiment_id))
    row = None if number is None else _find_row(connection, number)
    if row is None or is_deleted not in {None, row.is_deleted}:
        state = {None: "", True: "deleted ", False: "active "}[is_deleted]
        raise ResourceMissing(
            f"No Experiment with id={experiment_id} exists. Search the {state}experiments for its"
            " name."
        )
    return row


def _require_free(connection: Connection, name: str) -> None:
    taken = find(connection, name)
    if taken is not None:
        raise ResourceExists(
            f"Experiment(name={name}) already exists. It has id {taken.experiment_id!r} and is"
            f" {taken.lifecycle_stage}; choose another name, or use that one."
        )


def _new_values(name: str, location: str, now_ms: int) -> dict[str, Any]:
    return {
        "name": name,
        "artifact_location": location,
        "is_deleted": False,
        "creation_time": now_ms,
        "last_update_time": now_ms,
    }


def _change(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(
        update(experiments).where(experiments.c.experiment_id == number).values(values)
    )


def _put_tags(connection: Connection, number: int, tags: Sequence[Tag]) -> None:
    rows = [(number, *check_experiment_tag(tag.key, tag.value)) for tag in tags]
    put_text_rows(connection, experiment_tags, rows)
