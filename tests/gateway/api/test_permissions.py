import pytest
from litestar import Litestar, get, post
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import asgi
from litestar.params import FromPath

from gateway.api.permissions import RoutePermissions, check_permissions
from gateway.auth.policy import Permission


@get("/a/{name:str}", sync_to_thread=False, opt={"permission": Permission.READ})
def read(name: FromPath[str]) -> str:
    return name


@post("/a/{name:str}", sync_to_thread=False, opt={"permission": Permission.PROMOTE})
def promote(name: FromPath[str]) -> str:
    return name


@get("/bare", sync_to_thread=False)
def bare() -> None:
    pass


@get("/text", sync_to_thread=False, opt={"permission": "read"})
def text() -> None:
    pass


@asgi("/mounted", copy_scope=False)
async def mounted(scope: object, receive: object, send: object) -> None:
    del scope, receive, send


def test_an_application_whose_routes_all_declare_is_accepted() -> None:
    check_permissions(Litestar([read, promote], openapi_config=None))


def test_routes_that_declare_nothing_are_named() -> None:
    app = Litestar([read, bare, text, mounted], openapi_config=None)

    with pytest.raises(ImproperlyConfiguredException, match="GET /bare, GET /text"):
        check_permissions(app)
    with pytest.raises(ImproperlyConfiguredException, match="/mounted"):
        check_permissions(app)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/a/x", Permission.READ),
        ("GET", "/a/x/", Permission.READ),
        ("GET", "//a//x", Permission.READ),
        ("POST", "/a/x", Permission.PROMOTE),
        ("PUT", "/a/x", None),
        ("BREW", "/a/x", None),
        ("GET", "/a", None),
        ("GET", "/a/x/y", None),
        ("GET", "/bare", Permission.ADMIN),
        ("OPTIONS", "/a/x", Permission.ADMIN),
    ],
)
def test_a_route_asks_for_what_it_declares_and_else_for_everything(
    method: str, path: str, expected: Permission | None
) -> None:
    permissions = RoutePermissions(Litestar([read, promote, bare], openapi_config=None))

    assert permissions(method, path) is expected
