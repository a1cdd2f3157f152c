"""From a tracking URI to what is behind it. Called by whoever was given a URI by a person."""

from tracking.errors import InvalidRequest
from tracking.http import Credential, HttpApi
from tracking.settings import client_settings
from tracking.store import TrackingStore
from tracking.struct_types import make_ready

_SQL_SCHEMES = ("sqlite:", "postgresql:", "postgresql+", "postgres:")
_HTTP_SCHEMES = ("http:", "https:")


def connect(uri: str) -> TrackingStore:
    """Return the tracking store of a URI.

    Args:
        uri: ``sqlite:///file.db``, ``postgresql://user:password@host/name`` or ``http(s)://host``.

    Raises:
        InvalidRequest: No tracking store has such a URI.
        SchemaOutdated: The database is older or newer than this program.
        Unavailable: The database does not answer.
    """
    if is_http(uri):
        from tracking.http_store import HttpTrackingStore  # noqa: PLC0415 - pay for one kind only

        make_ready()
        return HttpTrackingStore(connect_api(uri))
    require_sql(uri)
    from tracking.database import open_database  # noqa: PLC0415
    from tracking.sql_store import SqlTrackingStore  # noqa: PLC0415

    make_ready()
    return SqlTrackingStore(open_database(uri))


def connect_api(uri: str) -> HttpApi:
    """Return the server of a URI, with the credential that the environment holds."""
    settings = client_settings()
    credential = Credential(settings.token, settings.username, settings.password)
    return HttpApi(uri, credential)


def is_http(uri: str) -> bool:
    """Tell whether a tracking URI leads to a server."""
    return uri.startswith(_HTTP_SCHEMES)


def require_sql(uri: str) -> None:
    """Check that a tracking URI leads to a database.

    Raises:
        InvalidRequest: It does not.
    """
    if not uri.startswith(_SQL_SCHEMES):
        scheme = uri.partition(":")[0][:50]
        raise InvalidRequest(
            f"No tracking store has a URI that begins with {scheme!r}. Use sqlite:///file.db,"
            " postgresql://user:password@host/name, or http://host:5000."
        )
