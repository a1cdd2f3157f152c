"""Which requests are watched phase by phase: some of each model for the metrics, and traced ones.

Asked by ``predict`` and ``grpc_server`` for each request; without tracing that costs a comparison
of times. A watched request goes all the way, never the short one: see ``flights``.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from gateway.asgi import Scope
from gateway.exemplars import EXEMPLARS
from gateway.probe import PROBE, Ending, Probe
from gateway.protocols.call import pattern_of
from gateway.routing.table import Assignment, RouteTable
from gateway.tallies import Level
from gateway.trace_context import Parent, read_parent
from gateway.work_metrics import observe_phase

WATCH_EVERY_S = 0.05
"""Of one model, as often as this in each worker."""
_TRACE, _PROBE = "stagedoor.trace", "stagedoor.probe"
_TRACEPARENT, _TRACESTATE = b"traceparent", b"tracestate"


class Asking(Struct, frozen=True):
    """A request to be traced.

    Args:
        name: Of its span.
        attributes: What is known of it from its head.
        parent: The caller's span, or none: then it is the first of a trace.
    """

    name: str
    attributes: dict[str, Any]
    parent: Parent | None


class Tracer(Protocol):
    """What records spans; ``tracing`` has one."""

    def chooses(self) -> bool:
        """Whether a request that belongs to no trace yet begins one."""

    def record(self, asking: Asking, probe: Probe) -> int:
        """Take in a request that is over; return the id of its trace."""


class Watcher:
    """Chooses who is watched. One per worker, event loop only.

    Args:
        tracer: Records traces; none where tracing is off.
        every_s: Time between two requests of a model that are timed for the metrics.
    """

    def __init__(self, tracer: Tracer | None = None, *, every_s: float = WATCH_EVERY_S) -> None:
        self.tracer = tracer
        self._every_s = every_s
        self._elsewhere = _Elsewhere()

    def probe(self, level: Level | None, scope: Scope, now_s: float) -> Probe | None:
        """Return the probe of a request if it is watched; for one request always the same.

        Args:
            level: Of its model; none if its path does not tell.
            scope: The request's.
            now_s: When its head was read.
        """
        known: Probe | None = scope["state"].get(_PROBE)
        is_due = level is None or now_s >= level.watch_at_s
        if known is not None or (self.tracer is None and not is_due):
            return known
        trace = None if self.tracer is None else self._trace(self.tracer, scope)
        probe = self._probe(level or self._elsewhere, trace, now_s)
        if probe is not None:
            scope["state"][_PROBE] = probe
        return probe

    def send_aside(self, level: Level, now_s: float) -> None:
        """Note that a request leaves the short way to be watched: one, however many are there."""
        level.aside_at_s = now_s + self._every_s

    def begin_call(
        self, name: str, metadata: Iterable[tuple[str, Any]], now_s: float
    ) -> Probe | None:
        """Return the probe of a call over gRPC that is watched."""
        trace = None
        if self.tracer is not None:
            told = {key.encode(): _bytes(value) for key, value in metadata}
            attributes = {"rpc.system.name": "grpc", "rpc.method": name}
            trace = _chosen(self.tracer, told, name, attributes)
        return self._probe(self._elsewhere, trace, now_s)

    def finish(self, probe: Probe) -> None:
        """Hand on what was noted of a request that is over."""
        ending = probe.ending
        if ending is None:
            return  # the caller left
        if ending.model:
            for phase in probe.phases:
                observe_phase(ending.model, phase.name, phase.ended_s - phase.started_s)
        if self.tracer is not None and probe.trace is not None:
            trace_id = self.tracer.record(probe.trace, probe)
            if probe.timed is not None:
                EXEMPLARS.note(*probe.timed, trace_id)

    @contextmanager
    def watching(self, probe: Probe) -> Iterator[None]:
        """Watch a block; what it did is handed on at its end."""
        token = PROBE.set(probe)
        try:
            yield
        finally:
            PROBE.reset(token)
            self.finish(probe)

    def _probe(
        self, level: "Level | _Elsewhere", trace: Asking | None, now_s: float
    ) -> Probe | None:
        if now_s >= level.watch_at_s:
            level.watch_at_s = now_s + self._every_s
        elif trace is None:
            return None
        return Probe(now_s, trace)

    def _trace(self, tracer: Tracer, scope: Scope) -> Asking | None:
        """Decide once for each request whether it is traced."""
        state = scope["state"]
        if _TRACE not in state:
            asking = _chosen(tracer, dict(scope["headers"]), scope["method"], {})
            state[_TRACE] = None if asking is None else _described(asking, scope)
        found: Asking | None = state[_TRACE]
        return found


class _Elsewhere:
    """Whose turn it is among requests whose model is not known yet."""

    watch_at_s = 0.0


def note_ending(table: RouteTable, assignment: Assignment | None, ending: Ending) -> None:
    """Note how the request at hand ended, if it is watched.

    Args:
        table: The snapshot of routes.
        assignment: The version that answered, or is to blame; none if it never came to one.
        ending: All else.
    """
    probe = PROBE.get()
    if probe is None:
        return
    if assignment is None:
        probe.ending = ending
        return
    entry = table.models.get(assignment.model)
    is_split = entry is not None and entry.route.split is not None
    probe.ending = msgspec.structs.replace(
        ending,
        model=assignment.model,
        version=str(assignment.key.version),
        variant=assignment.variant,
        reason=str(assignment.reason),
        epoch=assignment.epoch,
        is_split=is_split and bool(assignment.variant),
    )


def _described(asking: Asking, scope: Scope) -> Asking:
    """Add what the conventions for HTTP servers ask for; the name has no model in it."""
    pattern = pattern_of(scope["raw_path"])
    attributes = {
        "http.request.method": scope["method"],
        "http.route": pattern,
        "url.path": scope["raw_path"].decode("latin-1"),
        "url.scheme": scope.get("scheme", "http"),
    }
    name = f"{scope['method']} {pattern}".rstrip()
    return msgspec.structs.replace(asking, name=name, attributes=attributes)


def _chosen(
    tracer: Tracer, headers: dict[bytes, bytes], name: str, attributes: dict[str, Any]
) -> Asking | None:
    """Follow the caller's decision; where there is none, decide."""
    given = headers.get(_TRACEPARENT)
    parent = None if given is None else read_parent(given, headers.get(_TRACESTATE, b""))
    is_traced = tracer.chooses() if parent is None else parent.is_sampled
    return Asking(name, attributes, parent) if is_traced else None


def _bytes(value: Any) -> bytes:
    return value.encode("latin-1", "replace") if isinstance(value, str) else bytes(value)
