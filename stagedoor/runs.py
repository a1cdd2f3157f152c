"""Runs, and which one is active in this thread."""

import atexit
import getpass
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

from stagedoor.client import StagedoorClient
from stagedoor.entities import Run, RunData
from stagedoor.experiments import chosen_experiment_id
from tracking.errors import InvalidRequest
from tracking.settings import client_settings
from tracking.wire import RunInfo

_PARENT_TAG = "mlflow.parentRunId"
_NOTE_TAG = "mlflow.note.content"
_PAGE_RUNS = 1000


class RunOptions(TypedDict, total=False):
    """What may be said of a run when it starts."""

    experiment_id: str | None
    run_name: str | None
    nested: bool
    tags: Mapping[str, Any] | None
    description: str | None


class ActiveRun:
    """A run that is open in this thread; as a context manager it ends itself.

    Args:
        run: As it was when it started.
        client: What it was started with.
    """

    def __init__(self, run: Run, client: StagedoorClient) -> None:
        self.info: RunInfo = run.info
        self.data: RunData = run.data
        self.client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _close(self, "FINISHED" if kind is None else "FAILED")


class _Open(threading.local):
    """The runs that are open in one thread, innermost last."""

    def __init__(self) -> None:
        self.runs: list[ActiveRun] = []


_open = _Open()


def start_run(run_id: str | None = None, **options: Unpack[RunOptions]) -> ActiveRun:
    """Open a run and make it the active one of this thread.

    Args:
        run_id: A run to go on with; without one, a new run (or the one the environment names).
        **options: ``experiment_id``, ``run_name``, ``tags``, ``description`` of a new run, and
            ``nested`` to open it inside the active one.

    Raises:
        InvalidRequest: A run is active and ``nested`` is not given.
        ResourceMissing: There is no such run.
    """
    if _open.runs and not options.get("nested"):
        active = _open.runs[-1].info
        raise InvalidRequest(
            f"The run {active.run_name!r} ({active.run_id}) is active: end it with end_run(), "
            "or start this one with nested=True."
        )
    client = StagedoorClient()
    named = run_id or (None if _open.runs else client_settings().run_id)
    run = _resume(client, named) if named else _create(client, options)
    active_run = ActiveRun(run, client)
    _open.runs.append(active_run)
    return active_run


def active_run() -> ActiveRun | None:
    """Return the innermost open run of this thread, or ``None``."""
    return _open.runs[-1] if _open.runs else None


def end_run(status: str = "FINISHED") -> None:
    """End the innermost open run of this thread; without one, do nothing.

    Args:
        status: FINISHED, FAILED or KILLED.
    """
    if _open.runs:
        _close(_open.runs[-1], status)


def ensure_run() -> ActiveRun:
    """Return the active run, starting one when there is none."""
    return active_run() or start_run()


def get_run(run_id: str) -> Run:
    """Return a run with the last value of each metric, its params and tags."""
    return StagedoorClient().get_run(run_id)


def delete_run(run_id: str) -> None:
    """Mark a run deleted."""
    StagedoorClient().delete_run(run_id)


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: str = "ACTIVE_ONLY",
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: Literal["pandas", "list"] = "pandas",
) -> Any:
    """Return the runs that match, of the chosen experiment when none is named.

    Args:
        experiment_ids: Where to look.
        filter_string: Such as ``metrics.accuracy > 0.9``.
        run_view_type: ACTIVE_ONLY, DELETED_ONLY or ALL.
        max_results: At most so many.
        order_by: Such as ``metrics.accuracy DESC``.
        output_format: ``pandas`` for a DataFrame with a column for each metric, param and tag,
            ``list`` for a list of runs.
    """
    client = StagedoorClient()
    where = list(experiment_ids or [chosen_experiment_id()])
    found: list[Run] = []
    token: str | None = None
    while len(found) < max_results:
        page = client.search_runs(
            where,
            filter_string,
            run_view_type,
            max_results=min(_PAGE_RUNS, max_results - len(found)),
            order_by=order_by,
            page_token=token,
        )
        found.extend(page)
        token = page.token
        if token is None:
            break
    return found if output_format == "list" else _as_frame(found)


def _create(client: StagedoorClient, options: RunOptions) -> Run:
    tags = _context_tags() | {key: str(value) for key, value in (options.get("tags") or {}).items()}
    if _open.runs:
        tags[_PARENT_TAG] = _open.runs[-1].info.run_id
    if description := options.get("description"):
        tags[_NOTE_TAG] = description
    return client.create_run(
        experiment_id=options.get("experiment_id") or _experiment_id(),
        tags=tags,
        run_name=options.get("run_name"),
    )


def _experiment_id() -> str:
    return _open.runs[-1].info.experiment_id if _open.runs else chosen_experiment_id()


def _resume(client: StagedoorClient, run_id: str) -> Run:
    run = client.get_run(run_id)
    if run.info.lifecycle_stage == "deleted":
        raise InvalidRequest(f"The run {run_id!r} is deleted: restore it before going on with it.")
    client.update_run(run_id, status="RUNNING")
    return run


def _close(run: ActiveRun, status: str) -> None:
    if run in _open.runs:
        # What was opened inside it and left open goes with it, as far as this thread is concerned.
        del _open.runs[_open.runs.index(run) :]
        run.client.set_terminated(run.info.run_id, status)


def _context_tags() -> dict[str, str]:
    source = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "interactive"
    return {
        "mlflow.user": _user(),
        "mlflow.source.name": source,
        "mlflow.source.type": "LOCAL",
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _as_frame(runs: list[Run]) -> Any:
    import pandas as pd

    return pd.DataFrame([_as_row(run) for run in runs])


def _as_row(run: Run) -> dict[str, Any]:
    info = run.info
    return {
        "run_id": info.run_id,
        "experiment_id": info.experiment_id,
        "status": info.status,
        "artifact_uri": info.artifact_uri,
        "start_time": info.start_time,
        "end_time": info.end_time,
        **{f"metrics.{key}": value for key, value in run.data.metrics.items()},
        **{f"params.{key}": value for key, value in run.data.params.items()},
        **{f"tags.{key}": value for key, value in run.data.tags.items()},
    }


@atexit.register
def _end_open_runs() -> None:
    """Leave no run of the main thread RUNNING when the program ends without ending it."""
    while _open.runs:
        end_run()
