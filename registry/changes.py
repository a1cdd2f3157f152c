"""The change log: one table in commit order, which every worker follows.

``seq`` comes from a one-row counter incremented in the same transaction; the lock on that row makes
the order of numbers the order of commits, so a reader that polls never misses a late one.
"""

from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection, func, insert, select, update

from registry.schema import change, change_counter

LAST_SEQ = "SELECT seq FROM change_counter"
"""Gives the number of the newest entry; 0 when there is none. Asked many times a second."""


class ChangeKind(StrEnum):
    """What moved."""

    MODEL = "model"
    """A model was created, renamed or deleted."""
    VERSION = "version"
    """A version was created, sealed or deleted."""
    STAGE = "stage"
    """A version carries another stage."""
    ALIAS = "alias"
    """An alias points elsewhere."""
    SWITCH_OPENED = "switch_opened"
    """Workers should prepare the next route."""
    ROUTE = "route"
    """A route was committed."""
    SWITCH_ABORTED = "switch_aborted"
    """A switch was given up; nothing changed for callers."""


class Changed(Struct, frozen=True):
    """The models that moved after a point of the log, and the point reached."""

    seq: int
    models: frozenset[str]


def record_change(connection: Connection, kind: ChangeKind, model: str, *, now_ms: int) -> int:
    """Append to the log and return the number of the entry."""
    counted = update(change_counter).values(seq=change_counter.c.seq + 1)
    seq = connection.execute(counted.returning(change_counter.c.seq)).scalar_one()
    connection.execute(insert(change).values(seq=seq, kind=kind, model=model, at=now_ms))
    return int(seq)


def changed_since(connection: Connection, cursor: int) -> Changed:
    """Return which models have entries after ``cursor``."""
    newer = select(change.c.model, func.max(change.c.seq)).where(change.c.seq > cursor)
    rows = connection.execute(newer.group_by(change.c.model)).all()
    return Changed(
        seq=max((int(seq) for _, seq in rows), default=cursor),
        models=frozenset(str(model) for model, _ in rows),
    )
