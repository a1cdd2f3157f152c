"""How long a predict request may take: what its caller asks for, within what we give. Pure.

Deadlines are moments on the monotonic clock, carried from here through queues and calls. Called by
``predict``, ``grpc_server`` and, for what a body says, the talks; ``patience`` keeps them.
"""

from tracking.errors import InvalidRequest

HEADER = b"stagedoor-timeout-ms"
"""Whole milliseconds from the request's arrival to its answer."""

_MAX_DIGITS = 12
_US, _MS = 1e-6, 1e-3


def deadline_of(timeout_ms: bytes, now_s: float, *, max_s: float) -> float:
    """Return when a request's answer is of no use any more.

    Args:
        timeout_ms: The header as it came; empty when there is none.
        now_s: When the request came.
        max_s: What the server gives at the most.

    Raises:
        InvalidRequest: The header is no whole number of milliseconds above 0.
    """
    if not timeout_ms:
        return now_s + max_s
    if not timeout_ms.isdigit() or len(timeout_ms) > _MAX_DIGITS or int(timeout_ms) == 0:
        told = "Stagedoor-Timeout-Ms is no whole number of milliseconds above 0"
        raise InvalidRequest(f"{told}: send one, or leave it out.")
    return now_s + min(int(timeout_ms) * _MS, max_s)


def sooner(deadline_s: float, timeout_us: int | None, now_s: float) -> float:
    """Return the deadline that also keeps a timeout which stands in the body.

    Args:
        deadline_s: So far.
        timeout_us: Microseconds; ``None`` where the body has none.
        now_s: When the body was read.
    """
    return deadline_s if timeout_us is None else min(deadline_s, now_s + timeout_us * _US)
