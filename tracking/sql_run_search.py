"""Searching runs in SQL. Called by ``tracking.sql_store`` inside a snapshot.

``search_plans`` says where to begin. Next hops: ``sql_run_counts`` for what it has to know,
``sql_run_statements`` for the statement, ``sql_run_contents`` for what the runs of a page hold.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, assert_never

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Select

from tracking.filter import Order, parse_filter, parse_order, require_few_orders
from tracking.limits import MOST_RUNS, check_max_results
from tracking.page_tokens import place_of, token_for
from tracking.schema import latest_metrics, runs
from tracking.search_plans import Beginning, Plan, plan
from tracking.sql_comparing import open_clauses, values_of
from tracking.sql_experiments import find_numbers, parse_view
from tracking.sql_run_conditions import Wanted, attribute, compare, has_index, table_of
from tracking.sql_run_contents import to_runs
from tracking.sql_run_counts import count, has_long
from tracking.sql_run_statements import MOST, OFFSET, REACH, by_clause, by_entries, by_runs
from tracking.wire import RunPage, SearchRuns

_MOST_KEPT = 64
_LONGEST_KEPT = 2_000
_LIFECYCLES = {"ACTIVE_ONLY": (False,), "DELETED_ONLY": (True,), "ALL": (False, True)}

Rows = Sequence[Row[Any]]


class _Part(Struct, frozen=True):
    """A part of what is found: so many are passed over, so many are returned at the most."""

    offset: int
    most: int
    values: Mapping[str, Any]
    """Those of the clauses."""

    def of(self, connection: Connection, statement: Select[Any]) -> Rows:
        reach = {OFFSET: self.offset, MOST: self.most, REACH: self.offset + self.most}
        return connection.execute(statement, {**self.values, **reach}).all()


def search(connection: Connection, request: SearchRuns) -> RunPage:
    """Return one page of runs, the latest first unless another order is asked for.

    Raises:
        InvalidRequest: The filter, order, page size or token is not allowed.
    """
    size = check_max_results(request.max_results, MOST_RUNS)
    query = msgspec.json.encode(msgspec.structs.replace(request, page_token=None, max_results=1))
    offset = int(place_of(request.page_token, query=query)[0]) if request.page_token else 0
    filter_text = request.filter or ""
    is_long = len(filter_text) + len(request.experiment_ids) > _LONGEST_KEPT
    wanted = (_wanted.__wrapped__ if is_long else _wanted)(
        filter_text,
        tuple(request.order_by),
        tuple(request.experiment_ids),
        request.run_view_type,
    )
    part = _Part(offset, size + 1, values_of(wanted.clauses))
    rows = _find(connection, wanted, part) if wanted.experiments else []
    token = token_for([offset + size], query=query) if len(rows) > size else None
    return RunPage(runs=to_runs(connection, rows[:size]), next_page_token=token)


@lru_cache(_MOST_KEPT)
def _wanted(
    filter_text: str, order_by: tuple[str, ...], experiment_ids: tuple[str, ...], view: str
) -> Wanted:
    """Parse what is asked for, and check that there are such things."""
    require_few_orders(order_by)
    wanted = Wanted(
        clauses=tuple(parse_filter(filter_text)),
        orders=tuple(parse_order(text) for text in order_by),
        experiments=find_numbers(experiment_ids),
        lifecycles=_LIFECYCLES[parse_view(view)],
    )
    _check(_shape(wanted))
    return wanted


def _shape(wanted: Wanted) -> Wanted:
    """Return what a search has in common with all that ask the same with other values."""
    return msgspec.structs.replace(wanted, clauses=open_clauses(wanted.clauses))


@lru_cache(_MOST_KEPT)
def _check(shape: Wanted) -> None:
    for clause in shape.clauses:
        compare(clause, runs.c.run_id)
    for order in shape.orders:
        if table_of(order.entity) is None:
            attribute(order.entity, order.key)


def _find(connection: Connection, wanted: Wanted, part: _Part) -> Rows:
    indexed = [place for place, clause in enumerate(wanted.clauses) if has_index(clause)]
    order = _order_of_index(connection, wanted.orders)
    counted = count(connection, [wanted.clauses[place] for place in indexed], wanted)
    chosen = Plan(order or Beginning.RUNS)
    if counted is not None:
        chosen = plan(counted, wanted=part.offset + part.most, order=order)
    shape = _shape(wanted)
    match chosen.beginning:
        case Beginning.CLAUSE:
            first = shape.clauses[indexed[chosen.clause]]
            return part.of(connection, by_clause(shape, first))
        case Beginning.ENTRIES:
            return _one_after_the_other(connection, shape, part)
        case Beginning.RUNS:
            is_by_start = order is Beginning.RUNS
            return part.of(connection, by_runs(shape, is_by_start=is_by_start))
        case never:
            assert_never(never)


def _one_after_the_other(connection: Connection, shape: Wanted, part: _Part) -> Rows:
    """Return a part of what several statements find, those of the first one first."""
    found: list[Row[Any]] = []
    for statement, counting in by_entries(shape):
        rows = part.of(connection, statement)
        found += rows
        if len(rows) == part.most:
            break
        passed = part.offset
        if passed and not rows:
            passed = connection.execute(counting, part.values).scalar_one()
        part = _Part(part.offset - min(passed, part.offset), part.most - len(rows), part.values)
    return found


def _order_of_index(connection: Connection, orders: Sequence[Order]) -> Beginning | None:
    """Tell which index has runs in this order, if one has."""
    if not orders:
        return Beginning.RUNS
    table = table_of(orders[0].entity)
    if table is None:
        is_start = attribute(orders[0].entity, orders[0].key) is runs.c.start_time
        return Beginning.RUNS if is_start else None
    if table is not latest_metrics and has_long(connection, table, orders[0].key):
        return None
    return Beginning.ENTRIES
