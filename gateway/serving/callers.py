"""Who asks, for those who wait: whose request goes first, and what share each gets. Pure.

``lines`` reads it from a request's head, ``intake`` tells it to whoever has to choose later, by
``CALLER``; ``turns`` orders by it.
"""

from contextvars import ContextVar
from enum import IntEnum

from msgspec import Struct

from tracking.errors import InvalidRequest

HEADER = b"stagedoor-priority"


class Priority(IntEnum):
    """How much a request matters; the last are turned away first."""

    CRITICAL = 0
    """Before all others."""
    DEFAULT = 1
    """Of who says nothing."""
    BATCH = 2
    """Nobody waits for it right now."""
    SHADOW = 3
    """Nobody is told the answer."""


class Caller(Struct, frozen=True):
    """Who asks. Immutable, hashable.

    Args:
        key: Whoever has the same one shares what each gets; empty means nobody in particular.
        priority: Of the request.
    """

    key: str = ""
    priority: Priority = Priority.DEFAULT


ANYBODY = Caller()

CALLER: ContextVar[Caller] = ContextVar("CALLER", default=ANYBODY)
"""Who asks in this task."""

_BY_NAME = {priority.name.lower(): priority for priority in Priority}
_BY_NUMBER = {0: Priority.DEFAULT} | {priority + 1: priority for priority in Priority}
"""Triton's numbers: 1 comes first, 0 leaves it to the server."""


def priority_of(told: object) -> Priority:
    """Read a priority: a name, or one of Triton's numbers, from 1 for critical to 4.

    Raises:
        InvalidRequest: There is none of that name.
    """
    if isinstance(told, bytes):
        told = told.decode("latin-1")
    found = _BY_NAME.get(told.strip().lower()) if isinstance(told, str) else None
    if type(told) is int:
        found = _BY_NUMBER.get(told)
    if found is None:
        message = f"There is no priority {told!r}: send one of {', '.join(_BY_NAME)}."
        raise InvalidRequest(message)
    return found
