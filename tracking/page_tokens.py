"""The tokens that lead from one page to the next: opaque, and bound to their query. Pure."""

import base64
import hashlib
from collections.abc import Sequence

import msgspec

from tracking.errors import InvalidRequest

Place = Sequence[int | float | bool]


def token_for(place: Place, *, query: bytes, secret: bytes = b"") -> str:
    """Return the token for a place in the answer to a query.

    Args:
        place: Where the next page begins: an offset, or the key of the last row.
        query: Anything that tells one query from another.
        secret: At most 64 bytes; with one, only its owner can make tokens.
    """
    body = msgspec.json.encode(place)
    return base64.urlsafe_b64encode(_seal(body, query, secret) + body).decode()


def place_of(token: str, *, query: bytes, secret: bytes = b"") -> list[int | float | bool]:
    """Return the place that ``token_for`` was given.

    Raises:
        InvalidRequest: The token is not one of ours for this query.
    """
    try:
        content = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        place = msgspec.json.decode(content[16:], type=list[int | float | bool])
    except ValueError:
        raise _refusal(token) from None
    if content[:16] != _seal(content[16:], query, secret):
        raise _refusal(token)
    return place


def _seal(body: bytes, query: bytes, secret: bytes) -> bytes:
    digest = hashlib.blake2b(key=secret, digest_size=16)
    digest.update(len(query).to_bytes(8, "big") + query + body)
    return digest.digest()


def _refusal(token: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid page token {token[:100]!r}: it does not belong to this query."
        " Send the next_page_token of the last answer with an otherwise unchanged request."
    )
