"""Trees walked level by level: all trees of all rows take one step at a time. Pure.

Each node is one packed integer (where its children are, which column it looks at) and one
threshold. Children stand side by side, after their parent; a leaf is its own left child under an
infinite threshold, so that who has arrived stays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine, Trees

COLUMN_BITS = 16
"""How many bits of a packed node name the column."""

MAX_DEPTH = 4096
_COLUMN_MASK = (1 << COLUMN_BITS) - 1
_SHRINK_EVERY = 4
_WORTH_SHRINKING = 0.7


class Walk:
    """Immutable, safe from any thread.

    Args:
        trees: What is known of them.
        nodes: Packed, shape (nodes,); the roots come first.
        thresholds: Likewise.
        goes_left: Whether NaN goes left, likewise.
    """

    def __init__(
        self,
        trees: Trees,
        nodes: NDArray[np.int64],
        thresholds: NDArray[np.float64],
        goes_left: NDArray[np.bool_],
    ) -> None:
        self._depth = trees.depth
        self._count = trees.count
        self._nodes = nodes
        self._thresholds = thresholds
        self._goes_left = goes_left

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the leaves that rows arrive at.

        Args:
            rows: Shape (rows, columns), C-contiguous.

        Returns:
            Shape (trees, rows), positions of nodes.
        """
        count, width = rows.shape
        flat = rows.reshape(-1)
        starts = np.tile(np.arange(count) * width, self._count)
        at = np.repeat(np.arange(self._count), count)
        missing = np.isnan(flat) if np.isnan(flat).any() else None
        leaves = self._descend(flat, starts, at, missing)
        return leaves.reshape(self._count, count)

    def _descend(
        self,
        flat: NDArray[np.float64],
        starts: NDArray[np.intp],
        at: NDArray[np.intp],
        missing: NDArray[np.bool_] | None,
    ) -> NDArray[np.intp]:
        """Go down all levels; now and then leave behind who has arrived."""
        leaves, alive = at, None
        for level in range(self._depth):
            if level and level % _SHRINK_EVERY == 0:
                walking = (self._nodes.take(at, mode="clip") >> COLUMN_BITS) != at
                if np.count_nonzero(walking) < _WORTH_SHRINKING * at.size:
                    leaves, alive = _leave_behind(leaves, alive, at, walking)
                    at, starts = at[walking], starts[walking]
            at = self._step(flat, starts, at, missing)
        if alive is None:
            return at
        leaves[alive] = at
        return leaves

    def _step(
        self,
        flat: NDArray[np.float64],
        starts: NDArray[np.intp],
        at: NDArray[np.intp],
        missing: NDArray[np.bool_] | None,
    ) -> NDArray[np.intp]:
        nodes = self._nodes.take(at, mode="clip")
        cells = nodes & _COLUMN_MASK
        cells += starts
        goes_right = flat.take(cells, mode="clip") > self._thresholds.take(at, mode="clip")
        if missing is not None:
            goes_right |= missing.take(cells, mode="clip") & ~self._goes_left.take(at, mode="clip")
        nodes >>= COLUMN_BITS
        nodes += goes_right
        return nodes


def _leave_behind(
    leaves: NDArray[np.intp],
    alive: NDArray[np.intp] | None,
    at: NDArray[np.intp],
    walking: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Note where everybody is; return that, and who walks on."""
    if alive is None:
        return at.copy(), np.flatnonzero(walking)
    leaves[alive] = at
    return leaves, alive[walking]


def check_nodes(
    trees: Trees,
    nodes: NDArray[Any],
    thresholds: NDArray[Any],
    goes_left: NDArray[Any],
    width: int,
) -> None:
    """Refuse nodes that lead outside, or in a circle.

    Raises:
        BadEngine: They do, or they have another type or shape.
    """
    types = (nodes.dtype, thresholds.dtype, goes_left.dtype)
    if types != (np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_)):
        raise BadEngine("The nodes have other types.")
    if nodes.ndim != 1 or not nodes.shape == thresholds.shape == goes_left.shape:
        raise BadEngine("The nodes have other shapes.")
    if not 1 <= trees.count <= nodes.size or not 0 <= trees.depth <= MAX_DEPTH:
        raise BadEngine("There are too few nodes for the trees, or they are too deep.")
    here = np.arange(nodes.size)
    left = nodes >> COLUMN_BITS
    is_leaf = left == here
    if (left < here).any() or (left[~is_leaf] + 1 >= nodes.size).any():
        raise BadEngine("A node leads back, or to a node that there is not.")
    if ((nodes & _COLUMN_MASK) >= width).any():
        raise BadEngine("A node looks at a column that there is not.")
    if not (np.isposinf(thresholds[is_leaf]) & goes_left[is_leaf]).all():
        raise BadEngine("A leaf does not keep who has arrived.")
