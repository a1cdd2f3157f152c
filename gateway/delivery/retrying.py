"""When a delivery that was not accepted is tried again, and when it is given up. Pure."""

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


def decide(attempts: int, *, age_ms: int, give_up_after_ms: int, chance: float) -> Again | GiveUp:
    """Decide what becomes of a delivery that was not accepted.

    Args:
        attempts: How many there were, from 1.
        age_ms: How long ago the change was made.
        give_up_after_ms: How long it is tried.
        chance: Anything from 0 to 1, to spread what waits for the same receiver.

    Returns:
        The pause doubles from a second to ten minutes; half of it is left to chance.
    """
    if age_ms >= give_up_after_ms:
        return GiveUp()
    longest_ms = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(attempts - 1, 20))
    return Again(int(longest_ms * (0.5 + chance / 2)))
