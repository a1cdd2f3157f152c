"""Closing of switches that those who should have done it left open. Within a transaction."""

from sqlalchemy import Connection, select

from registry.attempts import Failures, attempt
from registry.fleet import IsLive
from registry.routes import lock_route
from registry.schema import switch
from registry.switches import (
    Switch,
    SwitchState,
    abort,
    commit_if_prepared,
    missing_workers,
    new_versions,
    read_switch,
    refuse,
)
from tracking.errors import StagedoorError


def sweep(connection: Connection, is_live: IsLive, *, now_ms: int, timeout_ms: int) -> Failures:
    """Close every switch that is decided, or whose time is up, whoever failed to do it.

    Each is tried. One that cannot be closed is given up when its time is up.

    Returns:
        Why which ones could not be closed.
    """
    failures: Failures = {}
    waiting = select(switch.c.seq, switch.c.model, switch.c.deadline_at).where(
        switch.c.state == SwitchState.PREPARING
    )
    for seq, model, deadline_at in connection.execute(waiting).all():
        with attempt(connection, model, failures):
            _close(connection, seq, is_live, now_ms=now_ms, timeout_ms=timeout_ms)
        if model in failures and now_ms > deadline_at:
            why = f"it could not be committed: {_told(failures[model])}"
            with attempt(connection, model, failures):
                _give_up(connection, seq, why, now_ms=now_ms, timeout_ms=timeout_ms)
    return failures


def _close(
    connection: Connection, seq: int, is_live: IsLive, *, now_ms: int, timeout_ms: int
) -> None:
    opened = _locked(connection, seq)
    if opened.state is not SwitchState.PREPARING:
        return
    if commit_if_prepared(connection, opened, is_live, now_ms=now_ms, timeout_ms=timeout_ms):
        return
    missing = missing_workers(connection, opened, is_live)
    if missing and now_ms > opened.deadline_at:
        why = f"not every worker was prepared in time: {', '.join(sorted(missing))}"
        _give_up(connection, seq, why, now_ms=now_ms, timeout_ms=timeout_ms)


def _give_up(connection: Connection, seq: int, why: str, *, now_ms: int, timeout_ms: int) -> None:
    """Abort a switch, and keep out of routes what it would have brought."""
    opened = _locked(connection, seq)
    refuse(connection, opened.model, dict.fromkeys(new_versions(connection, opened), why))
    abort(connection, opened, why, now_ms=now_ms, timeout_ms=timeout_ms)


def _locked(connection: Connection, seq: int) -> Switch:
    lock_route(connection, read_switch(connection, seq).model)
    return read_switch(connection, seq)


def _told(error: Exception) -> str:
    """Say what went wrong, without the SQL; the log has all of it."""
    return error.message if isinstance(error, StagedoorError) else type(error).__name__
