"""Server-sent events, and bodies that are one document and no rows. Pure.

Called by ``gateway/talks.py``. A document is what callers of language models send: a JSON object
with ``messages``, ``prompt`` or ``input``, which reaches the model as it came.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.protocols.caps import check_body
from gateway.protocols.documents import DOCUMENT_KEYS
from gateway.protocols.media import tabular_type
from gateway.protocols.mlflow_scoring import FORMATS, json_object
from tracking.errors import ModelFailed

EVENT_STREAM = b"text/event-stream"
HEADERS = (
    (b"content-type", EVENT_STREAM + b"; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would gather the events
)
_HINT = "send an object with rows, or with 'messages', 'prompt' or 'input'"
_encode = msgspec.json.Encoder().encode


def wants_events(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Say whether a caller asks for its answer as events: by name, for ``*/*`` says nothing."""
    return any(
        name == b"accept" and EVENT_STREAM in (part.partition(b";")[0].strip() for part in parts)
        for name, value in headers
        for parts in [value.lower().split(b",")]
    )


def read_document(body: bytes, content_type: str | None) -> dict[str, Any] | None:
    """Return the document that a scoring body is; ``None`` if it holds rows, or is no JSON.

    Raises:
        UnsupportedMedia: It is of no type that is served.
        TooLarge: It holds too many values.
        MalformedBody: It is not a JSON object.
    """
    if tabular_type(content_type) is not None:
        return None
    check_body(body)
    parsed = json_object(body, _HINT)
    is_document = any(key in parsed for key in DOCUMENT_KEYS)
    return parsed if is_document and not any(name in parsed for name in FORMATS) else None


def event(data: bytes) -> bytes:
    """Return one event; the data is JSON on one line."""
    return b"data: %b\n\n" % data


def encode_piece(piece: Any) -> bytes:
    """Return a piece as JSON.

    Raises:
        ModelFailed: It holds what JSON cannot.
    """
    try:
        return _encode(piece)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelFailed("The model gave a piece that JSON cannot hold.") from error


def scoring_piece(piece: Any) -> bytes:
    """Return the data of an event of MLflow scoring: an object as it is, else under its key."""
    return encode_piece(piece if isinstance(piece, dict) else {"predictions": piece})
