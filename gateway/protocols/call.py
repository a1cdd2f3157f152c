"""Method and raw path of a predict request to ``Call``. Pure; the table of predict routes.

Called by ``gateway/predict.py`` before anything else is known; ``PREDICT_ROUTES`` is also what the
permission sweep and the OpenAPI document read. Next hop: the protocol's own ``decode``.
"""

import re
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from gateway.auth.policy import Permission
from registry.references import ByAlias, Live, Ref, parse_model_uri, parse_ref
from tracking.errors import EndpointMissing, InvalidRequest, MethodRefused


class ProtocolName(StrEnum):
    """Which shape bodies, answers and errors have."""

    MLFLOW = "mlflow"
    """MLflow scoring: ``/invocations``."""
    V1 = "v1"
    """TensorFlow Serving's, over REST."""
    V2 = "v2"
    """Open Inference Protocol, version 2, over REST."""
    GENERATE = "generate"
    """The generate extension of v2, over REST."""
    V2_GRPC = "v2_grpc"
    """The same, over gRPC."""


class Action(StrEnum):
    """What a call asks for."""

    INFER = "infer"
    """Rows in, answers out."""
    STREAM = "stream"
    """Rows in, answers out piece by piece, as server-sent events."""
    METADATA = "metadata"
    """Names, types and shapes of a model."""
    READY = "ready"
    """Whether a model can answer now."""
    SERVER_METADATA = "server_metadata"
    """Name, version and extensions of the server."""
    SERVER_LIVE = "server_live"
    """Whether the process turns."""
    SERVER_READY = "server_ready"
    """Whether all that is required can answer."""
    PING = "ping"
    """MLflow's health check of a scoring server."""
    STATUS = "status"
    """Which versions of a model are how far, in TensorFlow Serving's words."""
    INDEX = "index"
    """Which versions there are, and how far each is in this worker."""
    LOAD = "load"
    """Load a version in this worker."""
    UNLOAD = "unload"
    """Unload a version in this worker."""
    OPENAPI = "openapi"
    """The OpenAPI document of a version: what it takes and gives, with examples."""


ABOUT_SERVER = frozenset(
    {Action.SERVER_METADATA, Action.SERVER_LIVE, Action.SERVER_READY, Action.PING, Action.INDEX}
)
"""What names no model."""


class Call(Struct, frozen=True, gc=False):
    """What one predict request asks for. Immutable.

    Args:
        protocol: How to decode, encode and refuse.
        action: What it asks for.
        permission: What the caller must hold.
        model: The model's name; ``None`` is the server's default model, or no model at all.
        ref: Which of its versions.
    """

    protocol: ProtocolName
    action: Action
    permission: Permission
    model: str | None = None
    ref: Ref = Live()


class PredictRoute(Struct, frozen=True):
    """One row of the table: a path, who may call it, and what it does.

    Args:
        pattern: The path, with ``{model}``, ``{ref}`` and ``{alias}`` for one segment each.
        methods: The methods it answers to.
        permission: What the caller must hold.
        protocol: The protocol it speaks.
        action: What it does.
        summary: One line for the OpenAPI document.
    """

    pattern: str
    methods: tuple[str, ...]
    permission: Permission
    protocol: ProtocolName
    action: Action
    summary: str


_POST = ("POST",)
_GET = ("GET", "HEAD")
_MLFLOW, _V1, _V2 = ProtocolName.MLFLOW, ProtocolName.V1, ProtocolName.V2
_GENERATE = ProtocolName.GENERATE
_OPEN, _PREDICT, _ADMIN = Permission.OPEN, Permission.PREDICT, Permission.ADMIN

PREDICT_ROUTES: tuple[PredictRoute, ...] = (
    PredictRoute(
        "/models/{model}@{alias}/invocations", _POST, _PREDICT, _MLFLOW, Action.INFER,
        "Predict with the version an alias points at.",
    ),
    PredictRoute(
        "/models/{model}/invocations", _POST, _PREDICT, _MLFLOW, Action.INFER,
        "Predict with Production, or with its split.",
    ),
    PredictRoute(
        "/models/{model}/{ref}/invocations", _POST, _PREDICT, _MLFLOW, Action.INFER,
        "Predict with a version number, a stage, 'latest', or '@alias'.",
    ),
    PredictRoute(
        "/models/{model}@{alias}/openapi.json", _GET, _PREDICT, _MLFLOW, Action.OPENAPI,
        "OpenAPI document of the version an alias points at.",
    ),
    PredictRoute(
        "/models/{model}/openapi.json", _GET, _PREDICT, _MLFLOW, Action.OPENAPI,
        "OpenAPI document of Production: its columns, with examples.",
    ),
    PredictRoute(
        "/models/{model}/{ref}/openapi.json", _GET, _PREDICT, _MLFLOW, Action.OPENAPI,
        "OpenAPI document of a version number, a stage, 'latest', or '@alias'.",
    ),
    PredictRoute(
        "/endpoints/{model}@{alias}/invocations", _POST, _PREDICT, _MLFLOW, Action.INFER,
        "The same, as ``mlflow.deployments`` calls it.",
    ),
    PredictRoute(
        "/endpoints/{model}/invocations", _POST, _PREDICT, _MLFLOW, Action.INFER,
        "The same, as ``mlflow.deployments`` calls it.",
    ),
    PredictRoute(
        "/invocations", _POST, _PREDICT, _MLFLOW, Action.INFER,
        "Predict with the server's default model.",
    ),
    PredictRoute(
        "/ping", _GET, _OPEN, _MLFLOW, Action.PING, "Health of a scoring server.",
    ),
    PredictRoute(
        "/v2", _GET, _PREDICT, _V2, Action.SERVER_METADATA, "Name and version of the server.",
    ),
    PredictRoute(
        "/v2/health/live", _GET, _OPEN, _V2, Action.SERVER_LIVE, "Whether the server turns.",
    ),
    PredictRoute(
        "/v2/health/ready", _GET, _OPEN, _V2, Action.SERVER_READY, "Whether it can answer.",
    ),
    PredictRoute(
        "/v2/models/{model}", _GET, _PREDICT, _V2, Action.METADATA,
        "Inputs and outputs of a model.",
    ),
    PredictRoute(
        "/v2/models/{model}/versions/{ref}", _GET, _PREDICT, _V2, Action.METADATA,
        "Inputs and outputs of one version.",
    ),
    PredictRoute(
        "/v2/models/{model}/ready", _GET, _PREDICT, _V2, Action.READY,
        "Whether a model can answer now.",
    ),
    PredictRoute(
        "/v2/models/{model}/versions/{ref}/ready", _GET, _PREDICT, _V2, Action.READY,
        "Whether one version can answer now.",
    ),
    PredictRoute(
        "/v2/models/{model}/infer", _POST, _PREDICT, _V2, Action.INFER,
        "Predict with Production, or with its split.",
    ),
    PredictRoute(
        "/v2/models/{model}/versions/{ref}/infer", _POST, _PREDICT, _V2, Action.INFER,
        "Predict with a version number, a stage, 'latest', or '@alias'.",
    ),
    PredictRoute(
        "/v2/models/{model}/generate", _POST, _PREDICT, _GENERATE, Action.INFER,
        "Predict one row that is a plain object.",
    ),
    PredictRoute(
        "/v2/models/{model}/versions/{ref}/generate", _POST, _PREDICT, _GENERATE, Action.INFER,
        "The same with a version number, a stage, 'latest', or '@alias'.",
    ),
    PredictRoute(
        "/v2/models/{model}/generate_stream", _POST, _PREDICT, _GENERATE, Action.STREAM,
        "The same, answered piece by piece as server-sent events.",
    ),
    PredictRoute(
        "/v2/models/{model}/versions/{ref}/generate_stream",
        _POST, _PREDICT, _GENERATE, Action.STREAM,
        "The same with a version number, a stage, 'latest', or '@alias'.",
    ),
    PredictRoute(
        "/v1/models/{model}:predict", _POST, _PREDICT, _V1, Action.INFER,
        "Predict with Production, or with its split.",
    ),
    PredictRoute(
        "/v1/models/{model}/versions/{ref}:predict", _POST, _PREDICT, _V1, Action.INFER,
        "Predict with a version number, a stage, 'latest', or '@alias'.",
    ),
    PredictRoute(
        "/v1/models/{model}/labels/{alias}:predict", _POST, _PREDICT, _V1, Action.INFER,
        "Predict with the version an alias points at.",
    ),
    PredictRoute(
        "/v1/models/{model}", _GET, _PREDICT, _V1, Action.STATUS,
        "Which versions of a model are how far in the worker that answers.",
    ),
    PredictRoute(
        "/v1/models/{model}/versions/{ref}", _GET, _PREDICT, _V1, Action.STATUS,
        "How far one version is in the worker that answers.",
    ),
    PredictRoute(
        "/v2/repository/index", _POST, _ADMIN, _V2, Action.INDEX,
        "Every version, and how far it is in the worker that answers.",
    ),
    PredictRoute(
        "/v2/repository/models/{model}/load", _POST, _ADMIN, _V2, Action.LOAD,
        "Wait until Production can answer in the worker that answers.",
    ),
    PredictRoute(
        "/v2/repository/models/{model}/versions/{ref}/load", _POST, _ADMIN, _V2, Action.LOAD,
        "Load a version in the worker that answers.",
    ),
    PredictRoute(
        "/v2/repository/models/{model}/unload", _POST, _ADMIN, _V2, Action.UNLOAD,
        "Refused while a route needs the version.",
    ),
    PredictRoute(
        "/v2/repository/models/{model}/versions/{ref}/unload", _POST, _ADMIN, _V2, Action.UNLOAD,
        "Unload a version that no route needs in the worker that answers.",
    ),
)  # fmt: skip

_CACHED_CALLS = 1024
_CACHED_PATH_BYTES = 512


def protocol_of(raw_path: bytes) -> ProtocolName:
    """Return in whose shape a path is answered, also when it is none of the routes."""
    if raw_path.startswith(b"/v2"):
        return ProtocolName.V2
    return ProtocolName.V1 if raw_path.startswith(b"/v1/") else ProtocolName.MLFLOW


def parse_call(method: str, raw_path: bytes) -> Call:
    """Read what a predict request asks for from its head.

    Args:
        method: The HTTP method, upper case.
        raw_path: The path as it came, still percent-encoded, without the query.

    Raises:
        EndpointMissing: No predict route has this path.
        MethodRefused: One has, and it does not answer to this method.
        InvalidRequest: A name or reference in it can never be one.
    """
    if len(raw_path) > _CACHED_PATH_BYTES:
        return _parse(method, raw_path)
    return _parse_known(method, raw_path)


def _parse(method: str, raw_path: bytes) -> Call:
    segments = raw_path.split(b"/")[1:]
    route = _find_route(segments)
    if route is None:
        raise EndpointMissing(f"No predict route has the path {_shown(raw_path)}: see /schema.")
    if method not in route.methods:
        allowed = ", ".join(route.methods)
        raise MethodRefused(f"{route.pattern} does not answer to {method!r}: use {allowed}.")
    return _call(route, segments)


_parse_known = lru_cache(maxsize=_CACHED_CALLS)(_parse)
"""Paths repeat, so most calls are found and not parsed. Bounded in count and in size."""


def parse_model_header(value: bytes) -> tuple[str, Ref]:
    """Read which model a header names: by its name, or by a ``models:/`` URI; percent-encoded.

    Raises:
        InvalidRequest: It is neither.
    """
    text = _decoded(value)
    if not text.startswith("models:/"):
        _check_name(text)
        return text, Live()
    uri = parse_model_uri(text)
    _check_name(uri.name)
    return uri.name, uri.ref


def pattern_of(raw_path: bytes) -> str:
    """Return the pattern of the route that has a path; an empty text if there is none."""
    route = _find_route(raw_path.split(b"/")[1:])
    return "" if route is None else route.pattern


def _find_route(segments: list[bytes]) -> PredictRoute | None:
    return next((route for route in PREDICT_ROUTES if _matches(route, segments)), None)


def _matches(route: PredictRoute, segments: list[bytes]) -> bool:
    parts = _PARTS[route.pattern]
    return len(parts) == len(segments) and all(map(_fits, parts, segments))


def _fits(part: str, segment: bytes) -> bool:
    if part == _TARGET:
        return b"@" in unquote_to_bytes(segment)
    if part.endswith(_VERB):
        return segment.endswith(_VERB.encode()) and len(segment) > len(_VERB)
    if part.startswith("{"):
        return bool(segment)
    return part.encode() == segment


def _call(route: PredictRoute, segments: list[bytes]) -> Call:
    pairs = zip(_PARTS[route.pattern], segments, strict=True)
    texts = {part.removesuffix(_VERB): _without_verb(part, segment) for part, segment in pairs}
    model: str | None = None
    ref: Ref = Live()
    if _TARGET in texts:
        model, _, alias = _decoded(texts[_TARGET]).rpartition("@")
        ref = parse_ref(f"@{alias}")
    elif _MODEL in texts:
        model = _decoded(texts[_MODEL])
        ref = _ref(texts)
    if model is not None:
        _check_name(model)
    if isinstance(ref, ByAlias):
        _check_name(ref.alias)
    return Call(route.protocol, route.action, route.permission, model, ref)


def _ref(texts: dict[str, bytes]) -> Ref:
    if _ALIAS in texts:
        return parse_ref(f"@{_decoded(texts[_ALIAS])}")
    return parse_ref(_decoded(texts[_REF])) if _REF in texts else Live()


def _without_verb(part: str, segment: bytes) -> bytes:
    return segment.removesuffix(_VERB.encode()) if part.endswith(_VERB) else segment


_TARGET, _MODEL, _REF, _ALIAS = "{model}@{alias}", "{model}", "{ref}", "{alias}"
_VERB = ":predict"
"""What stands behind the last segment in TensorFlow Serving's paths; no name holds a colon."""
_PARTS = {route.pattern: route.pattern.split("/")[1:] for route in PREDICT_ROUTES}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _decoded(segment: bytes) -> str:
    """Undo the percent-encoding, once."""
    try:
        text = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            "A name in the path or in Stagedoor-Model is not UTF-8: encode it so."
        ) from error
    if _CONTROL.search(text):
        raise InvalidRequest(f"{text!r} holds a control character: no name has one.")
    return text


def _check_name(name: str) -> None:
    if not name or "/" in name or ":" in name:
        message = f"{name!r} is no name: names are not empty and hold neither '/' nor ':'."
        raise InvalidRequest(message)


_SHOWN_CHARACTERS = 200


def _shown(raw_path: bytes) -> str:
    return repr(raw_path.decode("ascii", "backslashreplace")[:_SHOWN_CHARACTERS])
