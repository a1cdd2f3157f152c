"""Where a search for runs begins: at a clause of its filter, at its order, or at the runs. Pure.

SQLite has no statistics to choose by, so ``tracking.sql_run_search`` counts, up to a bound, what
its indexes hold, and asks here.
"""

from collections.abc import Sequence
from enum import Enum, auto
from math import prod

from msgspec import Struct

MOST_COUNTED = 10_000
"""So many entries are counted, and no more."""


class Beginning(Enum):
    """What is gone through first."""

    CLAUSE = auto()
    """All entries that fit one clause of the filter."""
    ENTRIES = auto()
    """The entries that the order is by, until a page is full."""
    RUNS = auto()
    """The runs of the experiments: by start until a page is full, or else all of them."""


class Plan(Struct, frozen=True):
    """How to search. Immutable.

    Args:
        beginning: What is gone through first.
        clause: The place of the clause among those that were counted, if it is one.
    """

    beginning: Beginning
    clause: int = 0


class Counted(Struct, frozen=True):
    """What is known of a database before a search. Immutable.

    Args:
        clauses: The entries that fit each clause, in all experiments, up to ``MOST_COUNTED``.
        runs: The runs of the experiments that are searched, up to ``MOST_COUNTED``.
        all_runs: About how many runs there are in all experiments.
    """

    clauses: Sequence[int]
    runs: int
    all_runs: int


def plan(counted: Counted, *, wanted: int, order: Beginning | None) -> Plan:
    """Return the plan that looks at the fewest entries.

    Args:
        counted: What is known.
        wanted: How many runs there are from the first to the end of the page.
        order: Whether an index has the order of ``RUNS`` or of ``ENTRIES``, or ``None`` does.
    """
    everything = max(1, counted.all_runs, counted.runs)
    runs = counted.runs if counted.runs < MOST_COUNTED else everything
    share = prod(min(1.0, count / everything) for count in counted.clauses)
    costs = {Plan(Beginning.RUNS): runs}
    if order is Beginning.RUNS:
        costs[Plan(order)] = min(runs, _until(wanted, share))
    elif order is Beginning.ENTRIES:
        costs[Plan(order)] = min(everything, _until(wanted, share * runs / everything))
    for place, count in enumerate(counted.clauses):
        if count < MOST_COUNTED:
            costs[Plan(Beginning.CLAUSE, place)] = count
    return min(costs, key=costs.__getitem__)


def _until(wanted: int, share: float) -> int:
    """Return how many are gone through until so many were found, if such a share of them fits."""
    return int(min(wanted / share, 1e18)) if share else 10**18
