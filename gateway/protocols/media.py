"""Content types of requests. Pure."""

from tracking.errors import UnsupportedMedia

_JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_FILE = "application/vnd.apache.arrow.file"
NPY = "application/x-npy"
"""One array in numpy's file format."""
TABULAR = (CSV, PARQUET, ARROW_STREAM, ARROW_FILE, NPY)
"""What scoring requests may be besides JSON."""
_AS_IT_MOSTLY_COMES = frozenset({_JSON, f"{_JSON}; charset=utf-8", f"{_JSON};charset=utf-8"})

OCTETS = "application/octet-stream"
"""Bytes of any kind: what v2 clients call a body with raw tensors, and some call any body."""


def tabular_type(content_type: str | None) -> str | None:
    """Return which format other than JSON a scoring request is in; ``None`` if it is JSON.

    Raises:
        UnsupportedMedia: It is of no type that is served, not in UTF-8, or none was said.
    """
    if content_type in _AS_IT_MOSTLY_COMES:
        return None
    if not content_type:
        raise UnsupportedMedia(f"The request has no Content-Type: send {_JSON}.")
    media_type = _checked(content_type, (_JSON, *TABULAR))
    return None if media_type == _JSON else media_type


def check_v2(content_type: str | None) -> None:
    """Refuse any type but JSON in UTF-8 or octets; none is taken for JSON.

    Raises:
        UnsupportedMedia: It is another type or charset, or has other parameters.
    """
    if content_type and content_type not in _AS_IT_MOSTLY_COMES:
        _checked(content_type, (_JSON, OCTETS))


def check_json(content_type: str | None) -> None:
    """Refuse any type but JSON in UTF-8; none is taken for it.

    Raises:
        UnsupportedMedia: It is another type or charset, or has other parameters.
    """
    if content_type and content_type not in _AS_IT_MOSTLY_COMES:
        _checked(content_type, (_JSON,))


def _checked(content_type: str, served: tuple[str, ...]) -> str:
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    if media_type not in served:
        types = ", ".join(served)
        message = f"Content-Type {content_type[:100]!r} is not served: send {types}."
        raise UnsupportedMedia(message)
    for parameter in filter(None, map(str.strip, parameters.split(";"))):
        name, _, value = parameter.partition("=")
        if (name.strip().lower(), value.strip(' "').lower()) != ("charset", "utf-8"):
            message = (
                f"Content-Type parameter {parameter[:100]!r} is not served: use charset=utf-8."
            )
            raise UnsupportedMedia(message)
    return media_type
