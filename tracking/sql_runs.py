"""Runs in SQL: functions on a connection, inside the transaction of whoever calls.

Called by ``tracking.sql_store`` as pieces of work, on the writer's thread or the caller's.
"""

from functools import cache
from typing import Any, get_args

from sqlalchemy import Connection, Insert, Row, bindparam, select, update

from tracking.artifact_location import run_location
from tracking.errors import InvalidRequest, ResourceMissing
from tracking.limits import check_key, check_run_id, check_text, check_time, cut_tag
from tracking.schema import experiments, runs, tags
from tracking.sql_experiments import active_place
from tracking.sql_experiments import require_active as require_active_experiment
from tracking.sql_insert import insert_by, insert_many
from tracking.sql_reading import fetch
from tracking.sql_run_contents import to_info, to_runs
from tracking.sql_texts import put_texts
from tracking.wire import CreateRun, Run, RunData, RunInfo, RunInputs, RunStatus, Tag, UpdateRun

NAME_TAG = "mlflow.runName"

# Built once: that takes longer than running them.
_ONE = select(runs).where(runs.c.run_id == bindparam("run_id"))
_STATE = (
    select(runs.c.experiment_id, runs.c.is_deleted, experiments.c.is_deleted.label("is_in_deleted"))
    .join(experiments, experiments.c.experiment_id == runs.c.experiment_id)
    .where(runs.c.run_id == bindparam("run_id"))
)


def create(
    connection: Connection, request: CreateRun, *, run_id: str, spare_name: str, now_ms: int
) -> Run:
    """Start a run.

    Args:
        connection: In a write transaction.
        request: What the caller says of the run.
        run_id: The new run's id.
        spare_name: The run's name if the caller gives none.
        now_ms: Its start if the caller gives none.

    Raises:
        InvalidRequest: Name and name tag differ, a tag is not allowed, the experiment is deleted.
        ResourceMissing: There is no such experiment.
    """
    number, location = active_place(connection, request.experiment_id)
    texts = {check_key(tag.key): cut_tag(tag.value) for tag in request.tags}
    name = _agreed_name(request.run_name, texts.get(NAME_TAG)) or spare_name
    start = now_ms if request.start_time is None else check_time(request.start_time, "start_time")
    texts[NAME_TAG] = cut_tag(name)
    info = RunInfo(
        run_id=run_id,
        run_uuid=run_id,
        experiment_id=str(number),
        run_name=check_text(name, "run_name"),
        user_id=check_text(request.user_id, "user_id"),
        status="RUNNING",
        start_time=start,
        artifact_uri=run_location(location, run_id),
        lifecycle_stage="active",
    )
    insert_many(connection, _insert(connection.dialect.name), [_row(info)])
    put_texts(connection, tags, run_id, texts)
    listed = [Tag(key=key, value=value) for key, value in sorted(texts.items())]
    return Run(info=info, data=RunData(tags=listed), inputs=RunInputs())


def one(connection: Connection, run_id: str) -> Run:
    """Return a run with the last value of each metric, its params and tags.

    Raises:
        ResourceMissing: There is none of that id.
    """
    return to_runs(connection, [row_of(connection, run_id)])[0]


def change(connection: Connection, request: UpdateRun) -> RunInfo:
    """Change the status, end time or name of an active run, and return what it is now.

    Raises:
        InvalidRequest: The run is deleted, or a value is not allowed.
        ResourceMissing: There is no such run.
    """
    run_id = check_run_id(request.run_id or request.run_uuid)
    require_active(connection, run_id)
    values: dict[str, Any] = {}
    if request.status:
        values["status"] = _check_status(request.status)
    if request.end_time is not None:
        values["end_time"] = check_time(request.end_time, "end_time")
    if values:
        connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))
    if request.run_name:
        rename(connection, run_id, request.run_name)
        put_texts(connection, tags, run_id, {NAME_TAG: cut_tag(request.run_name)})
    return to_info(row_of(connection, run_id))


def rename(connection: Connection, run_id: str, name: str) -> None:
    """Give a run another name; its name tag is the caller's business."""
    values = {"run_name": check_text(name, "run_name")}
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def mark(connection: Connection, run_id: str, *, deleted_at: int | None) -> None:
    """Mark a run deleted at a time, or not any more; asking twice is fine.

    Raises:
        ResourceMissing: There is no such run.
    """
    row_of(connection, run_id)
    values = {
        "is_deleted": deleted_at is not None,
        "is_deleted_with_experiment": False,
        "deleted_at": deleted_at,
    }
    connection.execute(update(runs).where(runs.c.run_id == run_id).values(values))


def row_of(connection: Connection, run_id: str) -> Row[Any]:
    """Return the row of a run, also of a deleted one.

    Raises:
        InvalidRequest: No run can have such an id.
        ResourceMissing: There is none of that id.
    """
    row = connection.execute(_ONE, {"run_id": check_run_id(run_id)}).first()
    if row is None:
        raise _missing(run_id)
    return row


def require_active(connection: Connection, run_id: str) -> None:
    """Check that a run may be written to.

    Raises:
        InvalidRequest: It or its experiment is deleted.
        ResourceMissing: There is no such run.
    """
    found = fetch(connection, _STATE, {"run_id": check_run_id(run_id)})
    if not found:
        raise _missing(run_id)
    ((experiment_id, is_deleted, is_in_deleted),) = found
    if is_deleted:
        raise InvalidRequest(
            f"The run {run_id} must be in the 'active' state. It is deleted: restore it first."
        )
    if is_in_deleted:
        require_active_experiment(connection, str(experiment_id))


def _row(info: RunInfo) -> tuple[Any, ...]:
    """Return the row of a new run, whole, in the order of the table's columns."""
    return (
        info.run_id,
        int(info.experiment_id),
        info.run_name,
        info.user_id,
        info.status,
        info.start_time,
        None,
        info.artifact_uri,
        False,
        False,
        None,
    )


@cache
def _insert(dialect: str) -> Insert:
    return insert_by(dialect, runs)


def _missing(run_id: str) -> ResourceMissing:
    return ResourceMissing(f"Run with id={run_id} not found. Search the runs for its name.")


def _agreed_name(name: str | None, tagged_name: str | None) -> str | None:
    if name and tagged_name and name != tagged_name:
        raise InvalidRequest(
            f"The run_name {name!r} and the tag {NAME_TAG!r} = {tagged_name!r} differ."
            " Send one of them, or both the same."
        )
    return name or tagged_name


def _check_status(status: str) -> RunStatus:
    statuses: tuple[RunStatus, ...] = get_args(RunStatus)
    for known in statuses:
        if known == status:
            return known
    names = ", ".join(statuses)
    raise InvalidRequest(f"Invalid value {status[:50]!r} for parameter 'status': use {names}.")
