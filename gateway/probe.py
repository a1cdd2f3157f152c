"""The moments of one request that is watched: when each of its phases began and ended.

``watching`` sets a probe for a request, on whatever path it goes; whoever does a phase notes it.
Most requests have none: then nothing is noted.
"""

import time
from contextvars import ContextVar
from typing import Any

from msgspec import Struct


class Phase(Struct, frozen=True, gc=False):
    """One phase. Times in seconds, of ``time.perf_counter``.

    Args:
        name: ``queue``, ``decode``, ``predict`` or ``encode``.
        started_s: When it began.
        ended_s: When it was over.
    """

    name: str
    started_s: float
    ended_s: float


class Ending(Struct, frozen=True):
    """What became of a request.

    Args:
        request_id: Ours.
        status: As HTTP has it.
        code: The error's code, or empty.
        rpc_status: As gRPC has it, or empty.
        model: Whose version it was for, or empty.
        version: Its number, or empty.
        variant: ``stable``, ``candidate``, or empty when the caller named the version.
        reason: Why it was this version, or empty.
        epoch: Of the route that decided.
        is_split: Whether callers are told apart: the variant was chosen.
        fallback: Why stable answered in the candidate's place, or empty.
        key: The sticky key, as received.
    """

    request_id: str
    status: int
    code: str = ""
    rpc_status: str = ""
    model: str = ""
    version: str = ""
    variant: str = ""
    reason: str = ""
    epoch: int = 0
    is_split: bool = False
    fallback: str = ""
    key: bytes = b""


class Probe:
    """Collects what happens to one request, in the order in which it ends. Event loop only.

    Args:
        started_s: When its head was read.
        trace: What ``tracing`` knows of it, if it is traced.
    """

    __slots__ = ("ending", "phases", "started_s", "timed", "trace")

    def __init__(self, started_s: float, trace: Any = None) -> None:
        self.started_s = started_s
        self.trace = trace
        self.phases: list[Phase] = []
        self.ending: Ending | None = None
        self.timed: tuple[tuple[str, ...], float] | None = None
        """The series it was counted in, and the seconds it took."""

    def note(self, name: str, started_s: float, ended_s: float) -> None:
        """Take in a phase."""
        self.phases.append(Phase(name, started_s, ended_s))

    def note_call(self, asked_s: float, called_s: float, answered_s: float) -> None:
        """Take in a call of a model: first the rows waited, then they were answered."""
        self.note("queue", asked_s, called_s)
        self.note("predict", called_s, answered_s)


PROBE: ContextVar[Probe | None] = ContextVar("probe", default=None)
"""That of the request at hand, if it is watched."""


class During:
    """A block that is a phase of the request at hand, if that is watched."""

    __slots__ = ("_name", "_probe", "_started_s")

    def __init__(self, name: str) -> None:
        self._name = name
        self._probe = PROBE.get()
        self._started_s = 0.0

    def __enter__(self) -> None:
        """Begin."""
        if self._probe is not None:
            self._started_s = time.perf_counter()

    def __exit__(self, *_error: object) -> None:
        """End."""
        if self._probe is not None:
            self._probe.note(self._name, self._started_s, time.perf_counter())
