"""The OpenAPI document and the page that shows it, from files that are part of the program.

Litestar builds the document of the control plane; the predict paths, which it never sees, are added
from their table. ``app.py`` passes ``openapi_config`` and ``StructSchemas`` to Litestar.
"""

import re
from functools import lru_cache
from html import escape
from importlib.metadata import version as installed_version
from importlib.resources import files
from typing import Any, Literal

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar._openapi.schema_generation import SchemaCreator
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Schema
from litestar.params import FromPath
from litestar.plugins import OpenAPISchemaPlugin
from litestar.response import Redirect
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition
from litestar.typing import FieldDefinition
from msgspec import Struct

from gateway.auth.policy import Permission
from gateway.protocols.call import PREDICT_ROUTES, Action, PredictRoute, ProtocolName
from gateway.protocols.media import OCTETS, TABULAR
from tracking.errors import ResourceMissing

_ASSETS = {
    "swagger-ui.css": ("vendor/swagger-ui/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("vendor/swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "schema.js": ("assets/schema.js", "text/javascript"),
}
_FOUND: Literal[302] = 302
_OK = 200
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stagedoor: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{prefix}/schema/assets/swagger-ui.css">
</head>
<body>
<main id="schema"></main>
<script src="{prefix}/schema/assets/swagger-ui-bundle.js"></script>
<script src="{prefix}/schema/assets/schema.js"></script>
</body>
</html>
"""


@get("/assets/{name:str}", sync_to_thread=False)
def asset(name: FromPath[str]) -> Response[bytes]:
    """Return one of the page's files."""
    if name not in _ASSETS:
        message = f"There is no file {name!r} here."
        raise ResourceMissing(message)
    return Response(_read(name), media_type=_ASSETS[name][1])


class StructSchemas(OpenAPISchemaPlugin):
    """Describes our structs; Litestar's own description fails at a default that is a list."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Say whether a field is one struct."""
        return not field_definition.is_union and field_definition.is_subclass_of(Struct)

    def to_openapi_schema(
        self, field_definition: FieldDefinition, schema_creator: SchemaCreator
    ) -> Schema:
        """Return the schema of a struct, under a name of its own."""
        hints = field_definition.get_type_hints(include_extras=True, resolve_generics=True)
        fields = msgspec.structs.fields(field_definition.type_)
        properties = {
            field.encode_name: FieldDefinition.from_annotation(
                hints[field.name], name=field.encode_name
            )
            for field in fields
        }
        required = sorted(field.encode_name for field in fields if field.required)
        return schema_creator.create_component_schema(
            field_definition, required=required, property_fields=properties
        )


class SchemaPage(OpenAPIRenderPlugin):
    """The page at ``/schema``.

    Args:
        prefix: What stands before its address.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)
        self._page = _PAGE.format(prefix=escape(prefix)).encode()

    def render(
        self,
        request: Request[Any, Any, Any],  # noqa: ARG002 - Litestar's
        openapi_schema: dict[str, Any],  # noqa: ARG002 - the page asks for it
    ) -> bytes:
        """Return the page; its script asks for the document."""
        return self._page


class SchemaDocument(JsonRenderPlugin):
    """The document at ``/schema/openapi.json``."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document with the predict paths in it."""
        paths = openapi_schema.get("paths", {}) | predict_paths()
        return self.render_json(request, openapi_schema | {"paths": paths})


def front_door(prefix: str) -> HTTPRouteHandler:
    """Return the handler of ``/``: a browser is led on, a client of v1 is told that we live."""

    @get(
        "/",
        sync_to_thread=False,
        include_in_schema=False,
        opt={"permission": Permission.READ},
        status_code=_FOUND,
    )
    def front(request: Request[Any, Any, Any]) -> Redirect | Response[dict[str, str]]:
        if "text/html" in request.headers.get("accept", ""):
            return Redirect(f"{prefix}/schema", status_code=_FOUND)
        return Response({"status": "alive"}, status_code=_OK)

    return front


def openapi_config(prefix: str = "") -> OpenAPIConfig:
    """Return Litestar's configuration of the document; a new one for each application.

    Args:
        prefix: What a proxy in front leaves on paths, or an empty text.
    """
    router = Router(
        "/schema",
        route_handlers=[asset],
        include_in_schema=False,
        opt={"permission": Permission.READ},
        response_headers=_HEADERS,
    )
    return OpenAPIConfig(
        title="Stagedoor",
        version=installed_version("stagedoor"),
        description="Experiment tracker, model registry and model serving gateway. "
        "Each model has a document of its own, with its columns and examples: "
        "`/models/{name}/openapi.json`.",
        use_handler_docstrings=True,
        operation_id_creator=operation_id,
        render_plugins=[SchemaPage(prefix), SchemaDocument()],
        openapi_router=router,
    )


def operation_id(
    _handler: HTTPRouteHandler,
    http_method: Method,
    path_components: list[str | PathParameterDefinition],
) -> str:
    """Name an operation by its method and path: handlers of a thread have no name of their own."""
    names = [part if isinstance(part, str) else f"{{{part.name}}}" for part in path_components]
    return f"{http_method} /{'/'.join(names)}"


def predict_paths() -> dict[str, Any]:
    """Return the predict routes as OpenAPI path items."""
    items: dict[str, Any] = {}
    for route in PREDICT_ROUTES:
        item = items.setdefault(route.pattern, {"parameters": _parameters(route.pattern)})
        for method in route.methods:
            item[method.lower()] = _operation(route, method)
    return items


def _operation(route: PredictRoute, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": ["predict"],
        "summary": route.summary,
        "operationId": f"{method} {route.pattern}",
        "responses": {"200": {"description": "The answer."}, "4XX": {"description": "A refusal."}},
    }
    if method == "POST":
        json = {"application/json": {"schema": {"type": "object"}}}
        others = _OTHER_BODIES.get(route.protocol, ()) if route.action is Action.INFER else ()
        content = json | {media_type: {} for media_type in others}
        operation["requestBody"] = {"required": route.action is Action.INFER, "content": content}
    return operation


_OTHER_BODIES = {ProtocolName.MLFLOW: TABULAR, ProtocolName.V2: (OCTETS,)}


def _parameters(pattern: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", pattern)
    ]


@lru_cache(maxsize=len(_ASSETS))
def _read(name: str) -> bytes:
    return files("gateway.ui").joinpath(_ASSETS[name][0]).read_bytes()
