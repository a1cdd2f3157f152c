"""Content types of requests. Pure."""

from tracking.errors import UnsupportedMedia

_JSON = "application/json"
_AS_IT_MOSTLY_COMES = frozenset({_JSON, f"{_JSON}; charset=utf-8", f"{_JSON};charset=utf-8"})

OCTETS = "application/octet-stream"
"""Bytes of any kind: what v2 clients call a body with raw tensors, and some call any body."""


def check_v2(content_type: str | None) -> None:
    """Refuse any type but JSON in UTF-8, octets, or none said.

    Raises:
        UnsupportedMedia: It is another type, charset, or has other parameters.
    """
    if content_type is None or content_type.strip().lower() != OCTETS:
        check_json(content_type, is_required=False)


def check_json(content_type: str | None, *, is_required: bool) -> None:
    """Refuse any type but JSON in UTF-8.

    Args:
        content_type: The header as it came; ``None`` if there was none.
        is_required: Whether a request must say it.

    Raises:
        UnsupportedMedia: It is another type, charset, or has other parameters.
    """
    if content_type in _AS_IT_MOSTLY_COMES:
        return
    if not content_type:
        if is_required:
            raise UnsupportedMedia(f"The request has no Content-Type: send {_JSON}.")
        return
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() != _JSON:
        raise UnsupportedMedia(f"Content-Type {content_type[:100]!r} is not served: send {_JSON}.")
    for parameter in filter(None, map(str.strip, parameters.split(";"))):
        name, _, value = parameter.partition("=")
        if (name.strip().lower(), value.strip(' "').lower()) != ("charset", "utf-8"):
            message = (
                f"Content-Type parameter {parameter[:100]!r} is not served: use charset=utf-8."
            )
            raise UnsupportedMedia(message)
