"""From what a person names to a source and its files. Called by the command line."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from registry.transfer.places import Places
from registry.transfer.source import Source
from tracking.artifacts import ArtifactStore, connect_artifacts, open_artifacts
from tracking.connect import connect_api, is_http

_SERVED_BESIDE = "mlartifacts"


def open_source(
    uri: str, roots: Sequence[str] = (), served: str | None = None
) -> tuple[Source, Places]:
    """Open what a person wants to bring over.

    Args:
        uri: A database's URL, a server's address, or a folder ``mlruns``.
        roots: Places beneath which files may be read, besides the source's own folder.
        served: Where the source's server keeps what it serves as ``mlflow-artifacts:/``.

    Raises:
        InvalidRequest: It is nothing that can be read.
        ResourceMissing: It is not there.
        Unavailable: It does not answer.
    """
    source, own = _open(uri)
    roots = [*([] if source.folder is None else [str(source.folder)]), *roots]
    kept = own if served is None else open_artifacts(served)
    return source, Places(roots, kept, beside=source.folder)


def _open(uri: str) -> tuple[Source, ArtifactStore | None]:
    """Return a source, and what its server serves, where that is known."""
    if "://" not in uri or uri.startswith("file:"):
        from registry.transfer.mlflow_folder import MlflowFolder  # noqa: PLC0415 - one kind only

        return MlflowFolder(_to_path(uri)), None
    if is_http(uri):
        return _open_server(uri), connect_artifacts(uri)
    from registry.transfer.mlflow_database import MlflowDatabase  # noqa: PLC0415

    source = MlflowDatabase(uri)
    served = source.folder and source.folder / _SERVED_BESIDE
    return source, open_artifacts(str(served)) if served else None


def open_store(
    uri: str, roots: Sequence[str] = (), destination: str | None = None
) -> tuple[Source, Places]:
    """Open a server, or a database of ours, to be written out.

    Args:
        uri: Of the server or database.
        roots: Places beneath which files may be read, besides its own artifacts.
        destination: Where the artifacts of a database are; as for ``connect_artifacts``.

    Raises:
        InvalidRequest: It is neither.
        ResourceMissing: There is no such database.
        Unavailable: It does not answer.
    """
    artifacts = connect_artifacts(uri, destination)
    if is_http(uri):
        return _open_server(uri), Places(roots, artifacts)
    from registry.transfer.own_database import OwnDatabase  # noqa: PLC0415
    from tracking.database import open_database  # noqa: PLC0415

    return OwnDatabase(open_database(uri, create=False)), Places(roots, artifacts)


def _open_server(uri: str) -> Source:
    from registry.connect import connect as connect_registry  # noqa: PLC0415
    from registry.transfer.store_source import StoreSource  # noqa: PLC0415
    from tracking.connect import connect as connect_tracking  # noqa: PLC0415

    name = f"the server {connect_api(uri).shown}"
    return StoreSource(name, connect_tracking(uri), connect_registry(uri), are_searches_whole=False)


def _to_path(uri: str) -> Path:
    """Return the folder of a plain path or a ``file:`` URI."""
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
