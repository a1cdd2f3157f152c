"""When a delivery that was not accepted is tried again, and when it is given up. Pure."""

from datetime import UTC
from email.utils import parsedate_to_datetime

from msgspec import Struct

FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 600_000
_ACCEPTED = range(200, 300)


class Again(Struct, frozen=True):
    """Try once more, so many milliseconds from now."""

    pause_ms: int


class GiveUp(Struct, frozen=True):
    """It has been tried for long enough."""


def is_accepted(status: int | None) -> bool:
    """Say whether an answer means that the receiver has it; a redirect does not."""
    return status in _ACCEPTED


def wait_asked_ms(retry_after: str, *, now_ms: int) -> int:
    """Return how long a receiver asks to be left alone: by ``Retry-After``, seconds or a date.

    What is neither asks for nothing; more than ten minutes is not granted, nor is the past.
    """
    text = retry_after.strip()
    try:
        if text.isascii() and text.isdecimal():
            asked_ms = int(text) * 1000
        else:
            date = parsedate_to_datetime(text)
            in_utc = date if date.tzinfo else date.replace(tzinfo=UTC)  # one form names no zone
            asked_ms = int(in_utc.timestamp() * 1000) - now_ms
    except (ValueError, OverflowError):
        return 0
    return max(0, min(asked_ms, LONGEST_PAUSE_MS))


def decide(
    attempts: int, *, age_ms: int, give_up_after_ms: int, chance: float, asked_ms: int = 0
) -> Again | GiveUp:
    """Decide what becomes of a delivery that was not accepted.

    Args:
        attempts: How many there were, from 1.
        age_ms: How long ago the change was made.
        give_up_after_ms: How long it is tried.
        chance: Anything from 0 to 1, to spread what waits for the same receiver.
        asked_ms: How long the receiver asked to be left alone, by ``wait_asked_ms``.

    Returns:
        The pause doubles from a second to ten minutes; half of it is left to chance. It is no
        shorter than the receiver asked for.
    """
    if age_ms >= give_up_after_ms:
        return GiveUp()
    longest_ms = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(attempts - 1, 20))
    return Again(max(asked_ms, int(longest_ms * (0.5 + chance / 2))))
