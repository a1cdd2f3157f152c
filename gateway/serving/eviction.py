"""Which loaded versions make room for others: by last use, never a pinned or a lent one. Pure."""

from collections.abc import Sequence

from msgspec import Struct

from registry.route import VersionKey


class Weighed(Struct, frozen=True):
    """One loaded version, and what it takes.

    Args:
        key: Its identity.
        size_bytes: What it took when it was weighed last.
        is_pinned: Whether it stays whatever comes: Production, and the candidate of a split.
        leases: How many requests it is promised to.
        used_at_s: When it was lent last, or loaded, on any clock that only grows.
    """

    key: VersionKey
    size_bytes: int
    is_pinned: bool
    leases: int
    used_at_s: float


class Eviction(Struct, frozen=True):
    """What goes, and what is then still missing.

    Args:
        keys: Versions to unload, the one not used for longest first.
        short_bytes: By how much the budget is exceeded even so; 0 when all fits.
    """

    keys: tuple[VersionKey, ...] = ()
    short_bytes: int = 0


def make_room(
    held: Sequence[Weighed], *, budget_bytes: int, needed_bytes: int = 0, may_evict: bool = True
) -> Eviction:
    """Choose what is unloaded so that what is held, and something new, fit the budget.

    Least recently used go first, and none of them without need: what would fit beside the others
    after all stays. If it cannot be made to fit, everything that may go is named.

    Args:
        held: All that is loaded.
        budget_bytes: What they may take together.
        needed_bytes: What comes.
        may_evict: Whether what comes is worth it.
    """
    over = sum(one.size_bytes for one in held) + needed_bytes - budget_bytes
    if over <= 0 or not may_evict:
        return Eviction((), max(0, over))
    going: list[Weighed] = []
    for one in sorted(filter(_may_go, held), key=lambda one: one.used_at_s):
        if over <= 0:
            break
        going.append(one)
        over -= one.size_bytes
    spared: set[VersionKey] = set()
    for one in reversed(going):
        if over + one.size_bytes <= 0:
            spared.add(one.key)
            over += one.size_bytes
    return Eviction(tuple(one.key for one in going if one.key not in spared), max(0, over))


def _may_go(one: Weighed) -> bool:
    return not one.is_pinned and not one.leases and one.size_bytes > 0
