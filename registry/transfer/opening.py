"""From what a person names to a source and its files. Called by the command line."""

from collections.abc import Sequence

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
    from registry.transfer.mlflow_database import MlflowDatabase  # noqa: PLC0415 - one kind only

    source = MlflowDatabase(uri)
    folder = source.folder
    own = [str(folder)] if folder is not None else []
    kept = served or (folder and str(folder / _SERVED_BESIDE))
    places = Places([*own, *roots], open_artifacts(kept) if kept else None, beside=folder)
    return source, places
