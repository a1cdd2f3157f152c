"""From how many rows on which way through trees is the fastest. In the model's process."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.serving.engines.conversion import Draft
from gateway.serving.engines.description import Ensemble, Step, Trees
from gateway.serving.engines.kernel import can_compile
from gateway.serving.engines.preparing import beneath
from gateway.serving.engines.trees import make_forest
from gateway.serving.engines.walk import COLUMN_BITS

Arrays = Mapping[str, NDArray[Any]]

_COMPARED_ROWS = (1, 4, 16, 64, 256)
_TIMED_S = 0.004


def tune(draft: Draft) -> Draft:
    """Time all trees of a draft, those of members too, and note what was found."""
    return replace(draft, steps=_tune_steps(draft.steps, draft.arrays))


def _tune_steps(steps: Sequence[Step], arrays: Arrays) -> tuple[Step, ...]:
    return tuple(_tune_step(step, beneath(arrays, str(at))) for at, step in enumerate(steps))


def _tune_step(step: Step, arrays: Arrays) -> Step:
    match step:
        case Trees():
            return _tune_trees(step, arrays)
        case Ensemble(members=members):
            tuned = (
                replace(member, steps=_tune_steps(member.steps, beneath(arrays, str(at))))
                for at, member in enumerate(members)
            )
            return replace(step, members=tuple(tuned))
        case _:
            return step


def _tune_trees(trees: Trees, arrays: Arrays) -> Trees:
    width = int((arrays["nodes"] & ((1 << COLUMN_BITS) - 1)).max()) + 1
    rows = np.zeros((max(_COMPARED_ROWS), width))
    ways = [replace(trees, table_from_rows=0)]
    if trees.table_from_rows:
        ways.append(replace(trees, table_from_rows=1))
    if can_compile():
        ways.append(replace(trees, table_from_rows=0, compiled_from_rows=1))
    forests = [make_forest(way, arrays, width) for way in ways]
    least = np.array([[_time(ask, rows[:n]) for n in _COMPARED_ROWS] for ask in forests])
    fastest = dict(zip(_COMPARED_ROWS, (ways[at] for at in least.argmin(axis=0)), strict=True))
    tables = (rows for rows, way in fastest.items() if way.table_from_rows)
    compiled = (rows for rows, way in fastest.items() if way.compiled_from_rows)
    return replace(
        trees,
        table_from_rows=min(tables, default=0),
        compiled_from_rows=min(compiled, default=0),
    )


def _time(ask: Callable[[NDArray[Any]], object], rows: NDArray[Any]) -> float:
    """Return the least time of several calls, in seconds."""
    ask(rows)
    least, ends_at = np.inf, time.perf_counter() + _TIMED_S
    while (started := time.perf_counter()) < ends_at:
        ask(rows)
        least = min(least, time.perf_counter() - started)
    return float(least)
