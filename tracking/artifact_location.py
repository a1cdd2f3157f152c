"""Where the artifacts of an experiment may be kept. Pure."""

import posixpath
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from tracking.errors import InvalidRequest
from tracking.limits import check_text
from tracking.paths import PROXY_SCHEME, parse_path

# Recorded for whoever can reach them; this program serves none of them but its own.
_REMOTE_SCHEMES = {"s3", "gs", "r2", "abfs", "abfss", "wasb", "wasbs", "hdfs", "dbfs", "sftp"}


def check_location(location: str) -> str:
    """Return an experiment's artifact location, if it is a typed reference.

    Raises:
        InvalidRequest: It is a path of some disk, leaves its root, or has a query or fragment.
    """
    parts = urlsplit(check_text(location, "artifact_location"))
    if parts.query or parts.fragment or ".." in unquote(unquote(parts.path)).split("/"):
        raise _refusal(location, "it holds '..', '?' or '#'")
    if parts.scheme == PROXY_SCHEME and not parts.netloc:
        return f"{PROXY_SCHEME}:/{parse_path(parts.path.strip('/'))}"
    if parts.scheme in _REMOTE_SCHEMES and parts.netloc:
        return location
    raise _refusal(location, "it is no location that a client may choose")


def absolute_root(root: str, folder: PurePath) -> str:
    """Return the root that whoever runs a server chose for new experiments, whole.

    Args:
        root: A URI, or a path of this host, which may be relative.
        folder: What a relative path begins at.

    Raises:
        InvalidRequest: Beneath it lies nothing that we would answer for.
    """
    parts = urlsplit(check_text(root, "default_artifact_root"))
    if ".." in unquote(unquote(parts.path)).split("/") and parts.scheme:
        raise _refused_root(root, "it holds '..'")
    if parts.query or parts.fragment:
        raise _refused_root(root, "it holds '?' or '#'")
    if parts.scheme == PROXY_SCHEME:
        path = parts.path.strip("/")
        return f"{PROXY_SCHEME}:/{parse_path(path) if path else ''}" if not parts.netloc else root
    return root if parts.scheme else posixpath.normpath(folder / root)


def default_location(root: str, experiment_id: int) -> str:
    """Return where the artifacts of an experiment are kept that did not ask for a place."""
    return f"{root.rstrip('/')}/{experiment_id}"


def run_location(experiment_location: str, run_id: str) -> str:
    """Return where the artifacts of a run are kept."""
    return f"{experiment_location.rstrip('/')}/{run_id}/artifacts"


def model_location(experiment_location: str, model_id: str) -> str:
    """Return where the artifacts of a logged model are kept."""
    return f"{experiment_location.rstrip('/')}/models/{model_id}/artifacts"


def _refused_root(root: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid default_artifact_root {root[:200]!r}: {reason}. Use {PROXY_SCHEME}:/<path>,"
        " a bucket's URI, or a folder."
    )


def _refusal(location: str, reason: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid artifact_location {location[:200]!r}: {reason}."
        f" Use {PROXY_SCHEME}:/<path>, a bucket's URI, or leave it out."
    )
