"""Where a version's files are: the ``source`` a client sent, checked, and the folder it stands for.

A source is a typed reference and never a path of the server's disk (security.md). Any remote source
may be recorded; only what lies in this server's artifact store can be served. A source of a run
that names a logged model which the run made stands for that model's files.
"""

import re
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, select

from registry.schema import model_version
from tracking.errors import InvalidRequest
from tracking.paths import parse_path
from tracking.schema import runs
from tracking.sql_logged_models import find_output, find_row

PROXY_SCHEME = "mlflow-artifacts"
# What MLflow's client sends for a version of a prompt, which has no files; it names no place.
_PLACEHOLDER = "dummy-source"
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_MOST_DIGITS = 10
REMOTE_SCHEMES = frozenset(
    {"s3", "gs", "http", "https", "abfs", "abfss", "wasb", "wasbs", "dbfs", "hdfs", "hf", "r2"}
    | {"models", "sftp", "ftp"}
)


def check_source(source: str, run_id: str | None, model_id: str | None = None) -> str:
    """Return a source if it may be recorded.

    Raises:
        InvalidRequest: It is a path of a disk, leaves its root, or names another run or model.
    """
    if source == _PLACEHOLDER:
        return source
    parts = urlsplit(source)
    if not source or parts.scheme not in REMOTE_SCHEMES | {"runs", PROXY_SCHEME}:
        message = (
            f"Invalid model version source: {source!r}. Use runs:/<run_id>/<path>, "
            "mlflow-artifacts:/<path>, or a remote store's URI; a local path is not accepted."
        )
        raise InvalidRequest(message)
    if parts.fragment or "\x00" in source or ".." in unquote(unquote(parts.path)).split("/"):
        message = f"Invalid model version source: {source!r} must not hold '..', '#' or NUL."
        raise InvalidRequest(message)
    named = parts.path.strip("/").partition("/")[0]
    if parts.scheme == "runs" and run_id and named != run_id:
        message = f"Invalid model version source: {source!r} is not of run_id {run_id!r}."
        raise InvalidRequest(message)
    if parts.scheme == "models" and is_model_id(parts.path) and named != model_id:
        message = f"Invalid model version source: {source!r} is not of model_id {model_id!r}."
        raise InvalidRequest(message)
    return source


def is_model_id(path: str) -> bool:
    """Return whether a path begins with a logged model; that of a version has a number after it."""
    name, _, rest = path.strip("/").partition("/")
    return _MODEL_ID.fullmatch(name) is not None and _number(rest) is None


def find_storage(connection: Connection, source: str) -> str | None:
    """Return the folder beneath the artifact root that a source stands for, or ``None``.

    Args:
        connection: Where runs are looked up.
        source: A source that ``check_source`` let through.
    """
    parts = urlsplit(source)
    path = parts.path.strip("/")
    if parts.netloc:
        return None
    if parts.scheme == PROXY_SCHEME and path:
        return parse_path(path)
    if parts.scheme == "runs":
        return _storage_of_run(connection, *path.partition("/")[::2])
    if parts.scheme == "models":
        return _storage_of_model(connection, path)
    return None


def _storage_of_run(connection: Connection, run_id: str, path: str) -> str | None:
    made = find_output(connection, run_id, unquote(path))
    if made is not None:
        return _beneath(made.artifact_uri)
    root = connection.execute(select(runs.c.artifact_uri).where(runs.c.run_id == run_id)).scalar()
    return None if root is None or not path else _beneath(root, path)


def _storage_of_model(connection: Connection, path: str) -> str | None:
    """Return the folder of a logged model, or of another version, whose files are not copied."""
    name, _, rest = path.partition("/")
    if is_model_id(name):
        row = find_row(connection, name)
        return None if row is None else _beneath(row.artifact_uri, rest)
    of = (model_version.c.model == unquote(name), model_version.c.version == _number(rest))
    storage: str | None = connection.execute(select(model_version.c.storage).where(*of)).scalar()
    return storage


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS else None


def _beneath(root: str, path: str = "") -> str | None:
    """Return the folder in our artifact store that a path beneath a root stands for, if any."""
    parts = urlsplit(root)
    if parts.scheme != PROXY_SCHEME:
        return None
    return parse_path(f"{parts.path.strip('/')}/{path}".strip("/"))
