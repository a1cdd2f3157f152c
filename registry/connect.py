"""From a tracking URI to the registry behind it. Called by the SDK and the command line."""

from registry.store import RegistryStore
from tracking.connect import connect_api, is_http, require_sql
from tracking.struct_types import make_ready

LOCAL_ACTOR = "local"
"""Who acts when a training script works on a database of its own."""


def connect(uri: str) -> RegistryStore:
    """Return the registry store of a URI.

    Args:
        uri: ``sqlite:///file.db``, ``postgresql://user:password@host/name`` or ``http(s)://host``.

    Raises:
        InvalidRequest: No registry has such a URI.
        SchemaOutdated: The database is older or newer than this program.
        Unavailable: The database does not answer.
    """
    if is_http(uri):
        from registry.http_store import HttpRegistryStore  # noqa: PLC0415 - pay for one kind only

        make_ready()
        return HttpRegistryStore(connect_api(uri))
    require_sql(uri)
    from registry.sealing import seal_version  # noqa: PLC0415
    from registry.sql_store import SqlRegistryStore  # noqa: PLC0415
    from tracking.artifacts import connect_artifacts  # noqa: PLC0415
    from tracking.database import open_database  # noqa: PLC0415

    make_ready()
    database = open_database(uri)
    artifacts = connect_artifacts(uri)

    def seal(model: str, version: int) -> None:
        seal_version(database, artifacts, model, version)

    return SqlRegistryStore(database, seal=seal, actor=LOCAL_ACTOR)
