"""``runs:/run_id/path``, taken apart. Pure."""

from tracking.errors import InvalidRequest
from tracking.paths import check_path


def find_run_id(uri: str) -> str | None:
    """Return the run that a ``runs:`` URI names, or ``None``."""
    scheme, _, rest = uri.partition(":/")
    return rest.partition("/")[0] or None if scheme == "runs" else None


def parse_run_uri(uri: str) -> tuple[str, str]:
    """Return run id and path of a ``runs:/run_id/path`` URI.

    Raises:
        InvalidRequest: It has another shape.
    """
    scheme, _, rest = uri.partition(":/")
    run_id, _, path = rest.strip("/").partition("/")
    if scheme != "runs" or not run_id or not path:
        raise InvalidRequest(f"{uri!r} is no run URI: use runs:/<run id>/<path of the model>.")
    return run_id, check_path(path)
