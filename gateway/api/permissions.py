"""What each control route asks for, read from the routes themselves.

``app.py`` calls ``check_permissions`` before it serves; the door looks up every control request
with ``RoutePermissions`` on the event loop.
"""

from collections.abc import Iterator

from litestar import Litestar
from litestar.exceptions import ImproperlyConfiguredException, LitestarException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import Method
from litestar.utils.path import normalize_path

from gateway.auth.policy import Permission

_OPTIONS = {"OPTIONS"}


class RoutePermissions:
    """Permission by method and path. Safe from any thread.

    Args:
        app: Whose routes; all are registered.
    """

    def __init__(self, app: Litestar) -> None:
        self._router = app.asgi_router
        self._plain = {
            (method, path): permission
            for method, path, permission in declared(app)
            if permission is not None and "{" not in path
        }

    def __call__(self, method: str, path: str) -> Permission | None:
        """Return what the route asks for, or ``None`` when there is no such route."""
        if (method, path) in self._plain:
            return self._plain[method, path]
        try:
            found = self._router.handle_routing(path=normalize_path(path), method=_method(method))
        except LitestarException:
            return None
        permission = found[1].opt.get("permission")
        return permission if isinstance(permission, Permission) else Permission.ADMIN


def check_permissions(app: Litestar) -> None:
    """Refuse an application that has a route without a permission.

    Raises:
        ImproperlyConfiguredException: It names the routes.
    """
    bare = sorted(
        f"{method} {path}" for method, path, permission in declared(app) if permission is None
    )
    if bare:
        message = f"These routes declare no permission: {', '.join(bare)}."
        raise ImproperlyConfiguredException(message)


def declared(app: Litestar) -> Iterator[tuple[str, str, Permission | None]]:
    """Return method, path and permission of every route; not the OPTIONS that Litestar adds."""
    for route in app.routes:
        handlers = route.route_handlers if isinstance(route, HTTPRoute) else [None]
        for handler in handlers:
            if handler is None:
                yield type(route).__name__, route.path, None
            elif set(handler.http_methods) != _OPTIONS:
                yield from _declared_by(handler, route.path)


def _declared_by(
    handler: HTTPRouteHandler, path: str
) -> Iterator[tuple[str, str, Permission | None]]:
    permission = handler.opt.get("permission")
    known = permission if isinstance(permission, Permission) else None
    for method in handler.http_methods:
        yield str(method), path, known


def _method(text: str) -> Method:
    return text  # type: ignore[return-value] # an unknown one is refused by the router
