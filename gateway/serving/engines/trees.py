"""Sums over trees, in their order, as the libraries add them up. Pure.

Where a row ends in each tree is ``walk``'s, ``table``'s or ``kernel``'s business, whichever was
the fastest for so many rows when the engine was made.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines import kernel
from gateway.serving.engines import table as tables
from gateway.serving.engines import walk as walks
from gateway.serving.engines.description import BadEngine, Trees
from gateway.serving.engines.refusal import Refused, all_numbers

_STEPS_AT_ONCE = 1 << 15
"""Trees times rows that are under way together: what they touch stays near the CPU."""

_PAIR = 2

_FindLeaves = Callable[[NDArray[np.float64]], NDArray[np.intp]]


class Forest:
    """Immutable, safe from any thread.

    Args:
        trees: What is known of them.
        values: Of each node, shape (nodes, values).
        start: What the sums start from, one for each score.
        walk: Finds leaves among the nodes.
        table: Finds them faster from some number of rows on, with its own order of values.
        compiled: The walk as machine code, likewise.
    """

    def __init__(
        self,
        trees: Trees,
        values: NDArray[Any],
        start: NDArray[Any],
        walk: walks.Walk,
        table: tuple[tables.Table, NDArray[np.float64]] | None,
        compiled: kernel.CompiledWalk | None,
    ) -> None:
        self._trees = trees
        self._start = start
        self._walk = (walk, _joined(values))
        self._table = None if table is None else (table[0], _joined(table[1]))
        self._compiled = None if compiled is None else (compiled, self._walk[1])
        self._rows_at_once = max(1, _STEPS_AT_ONCE // trees.count)

    def __call__(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return scores of shape (rows, scores).

        Raises:
            Refused: A NaN or an infinity that the model does not take.
        """
        cells = self._conform(rows)
        count, at_once = len(cells), self._rows_at_once
        if count <= at_once:
            return self._score(cells)
        pieces = [self._score(cells[at : at + at_once]) for at in range(0, count, at_once)]
        return np.concatenate(pieces)

    def _conform(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Round rows as the model does, and refuse what it refuses."""
        if self._trees.is_narrow and rows.dtype != np.float32:
            with np.errstate(over="ignore"):
                rows = rows.astype(np.float32)
        cells = np.ascontiguousarray(rows, np.float64)
        if self._trees.allows_infinite or all_numbers(cells):
            return cells
        if not self._trees.allows_missing or np.isinf(cells).any():
            raise Refused(self._trees.refuses_with)
        return cells

    def _score(self, cells: NDArray[np.float64]) -> NDArray[Any]:
        find, values = self._choose(len(cells))
        leaves = find(cells)
        if values.ndim == 1:
            scores = self._add_up(values.take(leaves, mode="clip"))
            if values.dtype == np.complex128:
                return scores.view(np.float64).reshape(len(cells), _PAIR)
            return scores.reshape(self._trees.groups, len(cells)).T
        terms = values.take(leaves, axis=0, mode="clip")
        totals: NDArray[Any] = np.add(self._start, np.add.reduce(terms, axis=0))
        return totals

    def _choose(self, count: int) -> tuple[_FindLeaves, NDArray[Any]]:
        if self._compiled is not None and count >= self._trees.compiled_from_rows:
            return self._compiled
        if self._table is not None and count >= self._trees.table_from_rows:
            return self._table
        return self._walk

    def _add_up(self, terms: NDArray[Any]) -> NDArray[Any]:
        """Add the terms of all trees to the start, one after the other: no pairwise sums.

        Args:
            terms: Shape (trees, rows).

        Returns:
            Shape (groups * rows,), group by group.
        """
        trees, rows = terms.shape
        groups = self._trees.groups
        sums = np.empty((trees // groups + 1, groups * rows), terms.dtype)
        sums[0] = np.repeat(self._start.view(terms.dtype), rows)
        sums[1:] = terms.reshape(trees // groups, groups * rows)
        if sums.shape[1] == 1:
            return np.add.accumulate(sums[:, 0])[-1:]
        return cast("NDArray[Any]", np.add.reduce(sums, axis=0))


def make_forest(trees: Trees, arrays: Mapping[str, NDArray[Any]], width: int) -> Forest:
    """Check the arrays and return the step.

    Raises:
        BadEngine: They are not what a walk or a table can go by.
    """
    nodes, thresholds, left = (_take(arrays, name) for name in ("nodes", "thresholds", "left"))
    is_compiled = trees.compiled_from_rows > 0 and kernel.can_compile()
    if is_compiled:
        # What is checked may not change afterwards, as a file could.
        nodes, thresholds, left = map(np.array, (nodes, thresholds, left))
    walks.check_nodes(trees, nodes, thresholds, left, width)
    values, start = _take(arrays, "values"), _take(arrays, "start")
    _check_values(trees, values, start, nodes.size)
    walk = walks.Walk(trees, nodes, thresholds, left)
    table = _make_table(trees, arrays, values, width) if trees.table_from_rows else None
    compiled = None
    if is_compiled:
        depths = np.array(_take(arrays, "depths"))
        _check_depths(trees, depths)
        compiled = kernel.CompiledWalk(nodes, thresholds, left, depths, width=width)
    return Forest(trees, values, start, walk, table, compiled)


def _make_table(
    trees: Trees, arrays: Mapping[str, NDArray[Any]], values: NDArray[np.float64], width: int
) -> tuple[tables.Table, NDArray[np.float64]]:
    names = ("columns", "cuts", "words", "leaves")
    columns, cuts, words, leaves = (_take(arrays, name) for name in names)
    tables.check_table(columns, cuts, words, leaves, width)
    places = _take(arrays, "places")
    if leaves.size != trees.count or places.dtype != np.int64 or places.ndim != 1:
        raise BadEngine("The table is of other trees.")
    if not places.size or places.min() < 0 or places.max() >= len(values):
        raise BadEngine("The table has leaves that there are not.")
    return tables.Table(columns, cuts, words, leaves), values[places]


def _check_depths(trees: Trees, depths: NDArray[Any]) -> None:
    if depths.dtype != np.int64 or depths.shape != (trees.count,):
        raise BadEngine("There is not one depth for each tree.")
    if depths.min() < 0 or depths.max() > trees.depth:
        raise BadEngine("A tree is deeper than all of them.")


def _check_values(trees: Trees, values: NDArray[Any], start: NDArray[Any], nodes: int) -> None:
    wanted = np.dtype(np.float32 if trees.is_single else np.float64)
    if values.dtype != wanted or start.dtype != wanted:
        raise BadEngine("The values have another type.")
    if values.ndim != 2 or values.shape[0] != nodes or not values.shape[1]:  # noqa: PLR2004
        raise BadEngine("The values are not one row for each node.")
    if trees.groups < 1 or trees.count % trees.groups:
        raise BadEngine("The trees do not divide into groups.")
    if (trees.groups > 1 or trees.is_single) and values.shape[1] > 1:
        raise BadEngine("Groups of trees have one value a leaf.")
    if start.shape != (trees.groups * values.shape[1],):
        raise BadEngine("The sums do not start with one value for each score.")


def _joined(values: NDArray[Any]) -> NDArray[Any]:
    """Make one value of one or two, so that a leaf is fetched and added at one go."""
    match values.shape[1]:
        case 1:
            return np.ascontiguousarray(values[:, 0])
        case 2:
            return np.ascontiguousarray(values).view(np.complex128)[:, 0]
        case _:
            return values


def _take(arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
    try:
        return arrays[name]
    except KeyError:
        raise BadEngine(f"The array {name!r} is missing.") from None
