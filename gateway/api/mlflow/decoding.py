"""How a request of MLflow's REST API becomes a struct, by MLflow's rules and in its words.

``mlflow_router`` gives these rules to all handlers of ``gateway/api/mlflow``; they are written as
plain Litestar handlers whose ``data`` is a struct of ``tracking.wire`` or ``registry.wire``. Called
on the event loop, before a handler runs in its thread.

Bodies: JSON with the content type of JSON, or nothing. A JSON text that holds JSON is read again;
bare ``NaN`` and ``Infinity`` are numbers; null, unknown fields and unknown names of an enum count
as unset, but null is no entry of a list; whole numbers may come as texts; texts never as numbers.
No text may hold a NUL character or half of a surrogate pair: not every database could keep it.
"""

import json
import re
from collections.abc import Generator, Hashable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast, get_args

import msgspec
from litestar import Request, Response
from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.exceptions import ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from gateway.api.own_router import OwnRouter
from gateway.api.refusals import refuse
from registry.webhook_wire import CreateWebhook, UpdateWebhook, WebhookStatus
from tracking.errors import InvalidRequest, MalformedBody
from tracking.wire import RunStatus, UpdateRun, ViewType
from tracking.wire_models import FinalizeLoggedModel, LoggedModelStatus

T = TypeVar("T")
_Enums = Mapping[str, frozenset[str]]

_JSON = "application/json"
_VIEWS = frozenset(get_args(ViewType))
_STATUSES: dict[type[Any], frozenset[str]] = {
    UpdateRun: frozenset(get_args(RunStatus)),
    FinalizeLoggedModel: frozenset(get_args(LoggedModelStatus)),
    CreateWebhook: frozenset(get_args(WebhookStatus)),
    UpdateWebhook: frozenset(get_args(WebhookStatus)),
}
_ENUM_FIELDS = frozenset({"status", "run_view_type", "view_type"})
_MISSING_FIELD = re.compile(r"missing required field `([^`]+)`")
_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING_QUERY = re.compile(r"^Missing required (?:query )?parameter '([^']+)'")
_STEP = re.compile(r"[^.\[\]]+")
_LONGEST_SHOWN = 200
_BODY = "data"
_NOT_SHOWN = "secret"
_DEEPEST = 64
_ESCAPED_NUL = b"\\u0000"


class MlflowBody(AbstractDTO[Any]):
    """Reads the body of a request into the struct that its handler takes. One per request."""

    def decode_bytes(self, value: bytes) -> Any:
        """Return the struct that a body holds."""
        request = self.asgi_connection
        check_content_type(request.headers.get("content-type"))
        field = request.route_handler.parsed_data_field
        return decode(value, field.annotation)

    @classmethod
    def create_for_field_definition(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,
        backend_cls: Any = None,
    ) -> None:
        """Prepare nothing: ``decode_bytes`` needs no generated code."""

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        """Describe the struct itself."""
        del handler_id
        described: Reference | Schema = schema_creator.for_field_definition(field_definition)
        return described

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:
        """Leave answers alone: msgspec writes them."""
        del field_definition
        return False

    @classmethod
    def generate_field_definitions(
        cls, model_type: type[Any]
    ) -> Generator[DTOFieldDefinition, None, None]:
        """Name no fields: msgspec knows them."""
        del model_type
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Name no fields: msgspec knows them."""
        del field_definition
        return False


def mlflow_router(handlers: Sequence[HTTPRouteHandler]) -> OwnRouter:
    """Return these handlers as a router that reads and refuses requests as MLflow does."""
    return OwnRouter(
        path="/",
        route_handlers=list(handlers),
        dto=MlflowBody,
        tags=["MLflow"],
        exception_handlers={ValidationException: _refuse_invalid},
    )


def check_content_type(content_type: str | None) -> None:
    """Check that a body claims to be JSON.

    Raises:
        InvalidRequest: It claims to be something else, or nothing.
    """
    told = (content_type or "").partition(";")[0].strip().lower()
    if told != _JSON:
        raise InvalidRequest(
            f"Bad Request. Content-Type must be {_JSON!r}; the request has {told[:100]!r}."
        )


def decode(body: bytes, target: type[T]) -> T:
    """Return the struct that the JSON of a body stands for.

    Raises:
        InvalidRequest: A value does not fit, a required one is missing, or a text cannot be kept.
        MalformedBody: It is not JSON, or no object.
    """
    if _is_plain(cast("Hashable", target)) and _ESCAPED_NUL not in body:
        try:
            return msgspec.json.decode(body or b"{}", type=target, strict=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # the long way forgives more, and says what is wrong
    content = _read_json(body)
    if isinstance(content, str):
        content = _read_json(content.encode("utf-8", "surrogatepass"))
    if not isinstance(content, dict):
        raise MalformedBody("The body must be a JSON object.")
    fields = _without_unset(content, _enums_of(target))
    try:
        return msgspec.convert(fields, target, strict=False)
    except msgspec.ValidationError as error:
        raise _translated(str(error), fields) from None


@cache
def _is_plain(target: Hashable) -> bool:
    """Tell whether no field of a struct is one whose unknown names count as unset."""
    return _ENUM_FIELDS.isdisjoint(
        field.encode_name for field in msgspec.structs.fields(cast("type[Any]", target))
    )


def _read_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_lenient_json(body)


def _read_lenient_json(body: bytes) -> Any:
    """Read what only the standard library reads: bare NaN and Infinity."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedBody("The body is not valid JSON in UTF-8.") from None


def _enums_of(target: Any) -> _Enums:
    """Return which names each field that is an enum knows, in the body of one call."""
    enums = {"run_view_type": _VIEWS, "view_type": _VIEWS}
    return {**enums, "status": _STATUSES[target]} if target in _STATUSES else enums


def _without_unset(fields: dict[str, Any], enums: _Enums, depth: int = 0) -> dict[str, Any]:
    """Leave out nulls and unknown names of enums, at every level.

    Raises:
        InvalidRequest: A text holds what no text may.
        MalformedBody: It nests too deep.
    """
    return {
        name: _inner(value, enums, depth)
        for name, value in fields.items()
        if value is not None and not _is_unknown_name(name, value, enums)
    }


def _inner(value: Any, enums: _Enums, depth: int) -> Any:
    if isinstance(value, str):
        return _checked(value)
    if depth == _DEEPEST:
        raise MalformedBody(f"The body nests deeper than {_DEEPEST} levels.")
    if isinstance(value, dict):
        return _without_unset(value, enums, depth + 1)
    if isinstance(value, list):
        return [_inner(item, enums, depth + 1) for item in value]
    return value


def _checked(text: str) -> str:
    if "\x00" in text or not _is_unicode(text):
        raise InvalidRequest(
            "A text of the body holds a NUL character or half of a surrogate pair. Leave it out."
        )
    return text


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_unknown_name(field: str, value: Any, enums: _Enums) -> bool:
    return field in enums and isinstance(value, str) and value not in enums[field]


def _translated(told: str, fields: dict[str, Any]) -> InvalidRequest:
    """Say in MLflow's words what msgspec found."""
    missing = _MISSING_FIELD.search(told)
    place = _PLACE.search(told)
    path = place.group(1) if place else ""
    if missing:
        name = f"{path}.{missing.group(1)}" if path else missing.group(1)
        return InvalidRequest(f"Missing value for required parameter '{name}'. Send it.")
    reason = _PLACE.sub("", told)
    return InvalidRequest(
        f"Invalid value {_shown(fields, path)} for parameter '{path}' supplied: {reason}."
    )


def _shown(fields: Any, path: str) -> str:
    """Return the JSON of the value at a path such as ``tags[0].key``, cut to a line."""
    if path.startswith(_NOT_SHOWN):
        return '"***"'
    found = fields
    for step in _STEP.findall(path):
        is_index = isinstance(found, list) and step.isdecimal()
        found = found[int(step)] if is_index else found.get(step) if isinstance(found, dict) else {}
    return json.dumps(found, ensure_ascii=True, default=str)[:_LONGEST_SHOWN]


def _refuse_invalid(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Say in MLflow's words what Litestar found in a query."""
    return refuse(request, _of_query(error) if isinstance(error, ValidationException) else error)


def _of_query(error: ValidationException) -> InvalidRequest:
    missing = _MISSING_QUERY.search(error.detail)
    if missing:
        return InvalidRequest(
            f"Missing value for required parameter '{missing.group(1)}'. Send it."
        )
    faults = [fault for fault in error.extra or [] if isinstance(fault, dict)]
    if any(fault.get("key") == _BODY for fault in faults):
        return InvalidRequest(
            f"The request has no body. Send a JSON object, with Content-Type {_JSON!r}."
        )
    told = "; ".join(
        f"Invalid value for parameter '{fault.get('key', '')}' supplied: {fault.get('message')}"
        for fault in faults
    )
    return InvalidRequest(told or error.detail)
