"""Where a search begins follows from what the indexes hold."""

import pytest

from tracking.search_plans import MOST_COUNTED, Beginning, Counted, Plan, plan

MANY = 100_000
RUNS, ENTRIES, CLAUSE = Beginning.RUNS, Beginning.ENTRIES, Beginning.CLAUSE


@pytest.mark.parametrize(
    ("clauses", "runs", "all_runs", "order", "planned"),
    [
        # Nothing to begin with but the order.
        ([], MOST_COUNTED, MANY, RUNS, Plan(RUNS)),
        ([], MOST_COUNTED, MANY, ENTRIES, Plan(ENTRIES)),
        ([], MOST_COUNTED, MANY, None, Plan(RUNS)),
        # Few fit: begin with them, with the fewest.
        ([12], MOST_COUNTED, MANY, RUNS, Plan(CLAUSE, 0)),
        ([5_000, 9_999], MOST_COUNTED, MANY, ENTRIES, Plan(CLAUSE, 0)),
        ([9_999, 3, 5], MOST_COUNTED, MANY, RUNS, Plan(CLAUSE, 1)),
        ([0], 10, 10, RUNS, Plan(CLAUSE, 0)),
        # Many fit: the page is full before all of them were looked at.
        ([5_000], MOST_COUNTED, MANY, RUNS, Plan(RUNS)),
        ([MOST_COUNTED], MOST_COUNTED, MANY, ENTRIES, Plan(ENTRIES)),
        # Small experiment in a large database: neither its neighbours' entries nor their order.
        ([5_000], 300, MANY, ENTRIES, Plan(RUNS)),
        ([], 300, MANY, ENTRIES, Plan(RUNS)),
        ([], 0, 0, ENTRIES, Plan(RUNS)),
        # No index has the order: all that fit have to be looked at.
        ([9_000], MOST_COUNTED, MANY, None, Plan(CLAUSE, 0)),
    ],
)
def test_a_search_begins_where_the_least_is_looked_at(
    clauses: list[int], runs: int, all_runs: int, order: Beginning | None, planned: Plan
) -> None:
    counted = Counted(clauses, runs, all_runs)

    assert plan(counted, wanted=101, order=order) == planned


def test_far_pages_begin_with_a_clause_sooner_than_near_ones() -> None:
    counted = Counted([5_000], MOST_COUNTED, MANY)

    planned = [plan(counted, wanted=wanted, order=RUNS) for wanted in (101, 4_000)]

    assert planned == [Plan(RUNS), Plan(CLAUSE, 0)]
