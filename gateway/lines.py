"""Predict paths worked out in advance: what of a request depends on nothing but its path.

A *line* holds all that a path leads to while the routes stay as they are: the version, its
headers, its counters. Called by ``predict`` on the event loop; kept for one snapshot of routes.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from gateway.asgi import Headers, Scope
from gateway.auth.policy import LOCAL, Principal
from gateway.deadlines import HEADER as TIMEOUT_HEADER
from gateway.metrics import RequestLabels
from gateway.protocols.call import Action, Call, ProtocolName, parse_call, parse_model_header
from gateway.protocols.wires import HEAD_LENGTH, JSON, WIRES, BodyHead, Wire
from gateway.routing.table import Assignment, RouteTable, assign
from gateway.serving.callers import HEADER as PRIORITY_HEADER
from gateway.serving.callers import Caller, Priority, priority_of
from gateway.tallies import Level, Tally, level_of
from registry.references import Live, ModelUri
from tracking.errors import StagedoorError

MAX_LINES = 1024
"""Of one snapshot: callers choose paths, and one version has many."""

MODEL_HEADER = b"stagedoor-model"
"""Names the model of ``/invocations``; in answers, whoever answered."""
_ANY_KEY = b"k"
_NOTHING: Mapping[str, Any] = {}
_PROTOCOL_LABELS = {
    ProtocolName.MLFLOW: "mlflow",
    ProtocolName.V1: "v1",
    ProtocolName.V2: "rest-oip",
    ProtocolName.GENERATE: "generate",
    ProtocolName.V2_GRPC: "grpc-oip",
}


class Asked(Struct, frozen=True, gc=False):
    """What stands in the head of a predict request.

    Args:
        call: What it asks for.
        body_head: What the headers say about the body.
        key: The sticky key, as received; empty means none.
        request_id: Ours, new for each request; also what stands in for a missing key.
        timeout_ms: How long it may take, as received; empty means that the head does not say.
        length: Bytes of the body; -1 when that is not told.
        client: Who asks: whoever has the same name gets a share together.
        priority: As received; empty means that the head does not say.
    """

    call: Call
    body_head: BodyHead
    key: bytes
    request_id: str
    timeout_ms: bytes = b""
    length: int = -1
    client: str = ""
    priority: bytes = b""

    @property
    def caller(self) -> Caller:
        """Who asks, for those who wait.

        Raises:
            InvalidRequest: There is no such priority.
        """
        level = priority_of(self.priority) if self.priority else Priority.DEFAULT
        return Caller(self.client, level)


class Way(Struct, frozen=True):
    """A line for one kind of caller: with a sticky key, or without.

    Args:
        assignment: What answers.
        tally: Where it is counted.
    """

    assignment: Assignment
    tally: Tally


class Line(Struct, frozen=True):
    """One path. Immutable.

    Args:
        call: What it asks for.
        wire: In which shape.
        keyed: For callers with a sticky key.
        unkeyed: For the others.
        headers: Of every answer in JSON, but for its length and the request's id.
        head: The same as bytes.
        level: How many requests of the model are being answered.
        is_default: Whether the path names no model, so that a header may.
    """

    call: Call
    wire: Wire
    keyed: Way
    unkeyed: Way
    headers: Headers
    head: bytes
    level: Level
    is_default: bool


class Lines:
    """The lines of the snapshot that was asked for last. One per worker, event loop only.

    Args:
        worker: The worker's id, told in every answer.
        default: What ``/invocations`` stands for, or none.

    Attributes:
        common_headers: Of every answer and refusal.
    """

    def __init__(self, worker: str, default: ModelUri | None) -> None:
        self.common_headers: Headers = [
            (b"stagedoor-worker", worker.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]
        self._default = default
        self._table: RouteTable | None = None
        self._lines: dict[bytes, Line] = {}

    def find(self, raw_path: bytes, table: RouteTable) -> Line | None:
        """Return the line of a path; ``None`` where each request has to be routed by itself."""
        if table is not self._table:
            self._table, self._lines = table, {}
        return self._lines.get(raw_path) or self._add(raw_path, table)

    def find_for(self, scope: Scope, table: RouteTable) -> Line | None:
        """Return the line of a head: that of its path, unless it names a model itself."""
        line = self.find(scope["raw_path"], table)
        has_other = line is not None and line.is_default and model_header(scope) is not None
        return None if has_other else line

    def answer_headers(self, assignment: Assignment | None) -> Headers:
        """Return who answered, if known; what the body is, and the request's id, are not in it."""
        if assignment is None:
            return self.common_headers
        return [
            (MODEL_HEADER, quote(assignment.model, safe="").encode()),
            (b"stagedoor-version", str(assignment.key.version).encode()),
            (b"stagedoor-stage", assignment.stage.encode()),
            (b"stagedoor-variant", assignment.variant.encode()),
            (b"stagedoor-epoch", str(assignment.epoch).encode()),
            *self.common_headers,
        ]

    def with_model(self, call: Call, scope: Scope) -> Call:
        """Name a model where a path names none: the header's, or the server's default.

        Raises:
            InvalidRequest: The header names none.
        """
        header = None if call.model is not None else model_header(scope)
        if header is None:
            return self._with_default(call)
        return Call(call.protocol, call.action, call.permission, *parse_model_header(header))

    def _with_default(self, call: Call) -> Call:
        if call.model is not None or self._default is None:
            return call
        return Call(
            call.protocol, call.action, call.permission, self._default.name, self._default.ref
        )

    def _add(self, raw_path: bytes, table: RouteTable) -> Line | None:
        if len(self._lines) >= MAX_LINES:
            return None
        try:
            line = self._make(raw_path, table)
        except StagedoorError:
            return None  # told to the caller by the long way
        if line is not None:
            self._lines[raw_path] = line
        return line

    def _make(self, raw_path: bytes, table: RouteTable) -> Line | None:
        parsed = parse_call("POST", raw_path)
        call = self._with_default(parsed)
        entry = table.models.get(call.model or "")
        if call.action is not Action.INFER or entry is None:
            return None
        if type(call.ref) is Live and entry.route.split is not None:
            return None
        unkeyed, keyed = (_assign(table, call, key) for key in (None, _ANY_KEY))
        if unkeyed.key.version not in entry.route.versions():
            return None  # it may have to be loaded first
        headers = [JSON, *self.answer_headers(unkeyed)]
        return Line(
            call=call,
            wire=WIRES[call.protocol],
            keyed=_way(keyed, call.protocol),
            unkeyed=_way(unkeyed, call.protocol),
            headers=headers,
            head=b"".join(b"%b: %b\r\n" % header for header in headers),
            level=level_of(entry.model),
            is_default=parsed.model is None,
        )


def model_header(scope: Scope) -> bytes | None:
    """Return which model a head names for a path that names none."""
    return next((value for name, value in scope["headers"] if name == MODEL_HEADER), None)


def read_asked(call: Call, scope: Scope, request_id: str) -> Asked:
    """Read what stands in the head of a request."""
    content_type: str | None = None
    head_length: str | None = None
    key = timeout_ms = priority = b""
    length = -1
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"stagedoor-key":
            key = value
        elif name == HEAD_LENGTH:
            head_length = value.decode("latin-1")
        elif name == b"content-length":
            length = int(value)
        elif name == TIMEOUT_HEADER:
            timeout_ms = value
        elif name == PRIORITY_HEADER:
            priority = value
    head, client = BodyHead(content_type, head_length), _client(scope, key)
    return Asked(call, head, key, request_id, timeout_ms, length, client, priority)


def _client(scope: Scope, key: bytes) -> str:
    """Name who asks: who is logged in; where nobody has to be, the key's owner, or a machine."""
    principal: Principal | None = scope.get("state", _NOTHING).get("principal")
    if principal is not None and principal is not LOCAL:
        return principal.name
    if key:
        return f"key {key.decode('latin-1')}"
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


def labels_of(assignment: Assignment | None, protocol: ProtocolName) -> RequestLabels:
    """Return what a request is counted under."""
    name = _PROTOCOL_LABELS[protocol]
    if assignment is None:
        return RequestLabels("", "", "", name)
    version = str(assignment.key.version)
    return RequestLabels(assignment.model, version, assignment.variant, name)


def _assign(table: RouteTable, call: Call, key: bytes | None) -> Assignment:
    model = call.model or ""
    return assign(table, model, call.ref, key=key, nonce=b"", is_ready=lambda _key: True)


def _way(assignment: Assignment, protocol: ProtocolName) -> Way:
    return Way(assignment, Tally(labels_of(assignment, protocol), assignment.reason))
