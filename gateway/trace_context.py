"""W3C trace context: what a caller says of the trace that its request belongs to. Pure.

Read by ``watching`` for HTTP and gRPC. A header that is not as the recommendation has it is none.
"""

import re

from msgspec import Struct

_PARENT = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    rb"(?P<more>-.*)?"
)
_MEMBER = re.compile(rb"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}")
_MOST_MEMBERS = 32
_NOTHING = b"0"
_SAMPLED = 0x01


class Parent(Struct, frozen=True):
    """The span of the caller. Immutable.

    Args:
        trace_id: 128 bits.
        span_id: 64 bits.
        is_sampled: Whether the caller records it.
        state: ``tracestate``: name and value of what vendors add, to be handed on.
    """

    trace_id: int
    span_id: int
    is_sampled: bool
    state: tuple[tuple[str, str], ...] = ()


def read_parent(traceparent: bytes, tracestate: bytes = b"") -> Parent | None:
    """Read both headers; ``None`` if the first is none that is valid."""
    match = _PARENT.fullmatch(traceparent.strip())
    if match is None or match["version"] == b"ff":
        return None
    if match["version"] == b"00" and match["more"]:
        return None
    if not match["trace"].strip(_NOTHING) or not match["span"].strip(_NOTHING):
        return None
    return Parent(
        trace_id=int(match["trace"], 16),
        span_id=int(match["span"], 16),
        is_sampled=bool(int(match["flags"], 16) & _SAMPLED),
        state=_read_state(tracestate),
    )


def _read_state(text: bytes) -> tuple[tuple[str, str], ...]:
    """Return the members; of a list that is wrong anywhere none, as the recommendation has it."""
    members = [member.strip(b" \t") for member in text.split(b",") if member.strip(b" \t")]
    if len(members) > _MOST_MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ()
    pairs = [member.decode("ascii").partition("=") for member in members]
    names = {name for name, _, _ in pairs}
    if len(names) < len(pairs):
        return ()
    return tuple((name, value) for name, _, value in pairs)
