"""What a JSON body may hold, checked before it is parsed. Pure.

Called by each protocol's ``decode``. Cheap where a body is small: one with fewer bytes than a cap
cannot exceed it, and one with few brackets cannot be deep.
"""

import re
from typing import Any

import msgspec
import numpy as np

from tracking.errors import MalformedBody, TooLarge

MAX_DEPTH = 64
"""How deep arrays and objects may nest."""
MAX_ELEMENTS = 2_000_000
"""How many values a body may hold."""

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# As int8: an opening bracket is +1, a closing one -1.
_SIGNS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def check_body(body: bytes) -> None:
    """Refuse a JSON body that no honest caller sends; its depth is ``check_depth``'s.

    Args:
        body: The bytes, already within the size limit.

    Raises:
        TooLarge: It holds more than ``MAX_ELEMENTS`` values.
        MalformedBody: It is empty, not UTF-8, or holds a NUL character.
    """
    if not body:
        raise MalformedBody("The body is empty: send a JSON object.")
    if len(body) > MAX_ELEMENTS and _elements(body) > MAX_ELEMENTS:
        message = f"The body holds more than {MAX_ELEMENTS} values: send fewer rows per request."
        raise TooLarge(message)
    if not body.isascii():
        _check_utf8(body)
    if b"\\" in body and _NUL.search(body):
        raise MalformedBody("The body holds a NUL character: leave it out.")


def check_depth(body: bytes) -> None:
    """Refuse a JSON body that nests too deep, before it is parsed into whatever it holds.

    Where a decoder's type bounds the depth there is nothing to ask.

    Raises:
        MalformedBody: It nests deeper than ``MAX_DEPTH``.
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise MalformedBody(f"The body nests deeper than {MAX_DEPTH} levels: flatten it.")


def not_json(error: msgspec.DecodeError) -> MalformedBody:
    """Return the refusal of a body that the parser refuses; its own words hold no values."""
    if "out of range" in str(error):
        return MalformedBody("The body holds a number that is out of range: over 1.8e308 or so.")
    return MalformedBody(f"The body is not JSON: {error}.")


def check_params(params: dict[str, Any]) -> None:
    """Refuse parameters that cannot travel to a model.

    Raises:
        MalformedBody: One of them is an integer of more than 64 bits.
    """
    try:
        msgspec.msgpack.encode(params)
    except OverflowError as error:
        raise MalformedBody("A parameter is an integer of more than 64 bits.") from error


def _elements(body: bytes) -> int:
    """Return an upper bound of the number of values."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _depth(body: bytes) -> int:
    """Return the deepest nesting, brackets in strings left out."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    outside_strings = b"".join(body.split(b'"')[::2])
    signs = np.frombuffer(outside_strings.translate(_SIGNS, _NOT_BRACKETS), np.int8)
    return int(signs.cumsum(dtype=np.int64).max(initial=0))


def _check_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody("The body is not UTF-8: encode it as UTF-8.") from error
