"""From what a person names to a source and its files. Called by the command line."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from registry.transfer.places import Places
from registry.transfer.source import Source
from tracking.artifacts import open_artifacts

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
    if "://" not in uri or uri.startswith("file:"):
        from registry.transfer.mlflow_folder import MlflowFolder  # noqa: PLC0415 - one kind only

        source: Source = MlflowFolder(_to_path(uri))
    else:
        from registry.transfer.mlflow_database import MlflowDatabase  # noqa: PLC0415

        source = MlflowDatabase(uri)
    return source, _places_of(source, roots, served)


def _places_of(source: Source, roots: Sequence[str], served: str | None) -> Places:
    own = [] if source.folder is None else [str(source.folder)]
    kept = served or (source.folder and str(source.folder / _SERVED_BESIDE))
    store = open_artifacts(kept) if kept else None
    return Places([*own, *roots], store, beside=source.folder)


def _to_path(uri: str) -> Path:
    """Return the folder of a plain path or a ``file:`` URI."""
    return Path(unquote(urlsplit(uri).path)) if uri.startswith("file:") else Path(uri)
