"""Health and version: whether this worker lives, whether it is ready, which MLflow we speak.

Litestar calls these on the event loop; none waits for a database or a model.
"""

from collections.abc import Callable
from importlib.metadata import version as installed_version

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from msgspec import Struct

from gateway.auth.policy import Permission
from gateway.settings import Settings

MLFLOW_VERSION = "3.17.2"
_OK = 200
_UNAVAILABLE = 503


class Readiness(Struct, frozen=True):
    """Whether a worker should get traffic.

    Args:
        is_ready: Routes are loaded, required models answer, and it does not drain.
        reason: Why not, in a sentence, or an empty text.
    """

    is_ready: bool
    reason: str = ""


class Health(Struct, frozen=True, omit_defaults=True):
    """The answer of a probe. Both words, because the protocol's two texts differ on which."""

    live: bool
    ready: bool | None = None
    version: str = ""
    reason: str = ""


@get(
    "/health", media_type=MediaType.TEXT, sync_to_thread=False, opt={"permission": Permission.OPEN}
)
def health(settings: NamedDependency[SkipValidation[Settings]]) -> str:
    """Say that the worker turns, in the words of ``mlflow server`` or of ``models serve``."""
    return "\n" if settings.server.default_model else "OK"


@get(
    "/version", media_type=MediaType.TEXT, sync_to_thread=False, opt={"permission": Permission.OPEN}
)
def version() -> str:
    """Return the version of MLflow whose API this is."""
    return MLFLOW_VERSION


@get("/health/live", sync_to_thread=False, opt={"permission": Permission.OPEN})
def live() -> Health:
    """Say that the worker turns."""
    return Health(live=True)


@get("/health/ready", sync_to_thread=False, opt={"permission": Permission.OPEN})
def ready(
    readiness: NamedDependency[SkipValidation[Callable[[], Readiness]]],
) -> Response[Health]:
    """Say whether the worker should get traffic: 200, or 503 with the reason."""
    state = readiness()
    body = Health(
        live=True,
        ready=state.is_ready,
        version=installed_version("stagedoor"),
        reason=state.reason,
    )
    return Response(body, status_code=_OK if state.is_ready else _UNAVAILABLE)


HANDLERS = [health, version, live, ready]
