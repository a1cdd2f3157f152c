"""The table of ``table.py``, built from the nodes of a walk. In the model's process."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.walk import COLUMN_BITS

MAX_TABLE_BYTES = 8 << 20
_MAX_LEAVES = 64
_MAX_NODES = 1 << 17
_COLUMN_MASK = (1 << COLUMN_BITS) - 1


def build_table(arrays: dict[str, NDArray[Any]], count: int) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a table for so many trees, or ``None`` when they are too large."""
    nodes = arrays["nodes"]
    if len(nodes) > _MAX_NODES:
        return None
    trees = _trees_of(nodes, count)
    under = _leaves_under(nodes, trees, count)
    if under is None:
        return None
    masks, leaves, places = under
    inner = np.flatnonzero(nodes >> COLUMN_BITS != np.arange(len(nodes)))
    columns = np.unique(nodes[inner] & _COLUMN_MASK)
    if not columns.size:
        return None
    cuts = [_cuts_of(arrays, inner, column) for column in columns]
    rows = sum(map(len, cuts)) + len(columns)
    words = np.dtype(f"u{_word_bytes(masks)}")
    if rows * count * words.itemsize > MAX_TABLE_BYTES:
        return None
    table = np.full((rows, count), np.iinfo(words).max, words)
    table &= masks[:count].astype(words)
    _cross_out(table, arrays, inner, masks.astype(words), (trees, columns, cuts))
    keys = [np.empty(len(cut), np.complex128) for cut in cuts]
    for at, (key, cut) in enumerate(zip(keys, cuts, strict=True)):
        key.real, key.imag = at, cut
    return {
        "columns": columns.astype(np.int64),
        "cuts": np.concatenate(keys),
        "words": table,
        "leaves": leaves,
        "places": places,
    }


def _trees_of(nodes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return to which tree each node belongs: parents come first, so one pass is enough."""
    trees = np.arange(len(nodes))
    for node, left in enumerate((nodes >> COLUMN_BITS).tolist()):
        if left != node:
            trees[left] = trees[left + 1] = trees[node]
    del count
    return trees


def _leaves_under(
    nodes: NDArray[np.int64], trees: NDArray[np.int64], count: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]] | None:
    """Number the leaves of each tree.

    Returns:
        The leaves under each node as bits, where each tree's leaves begin among all of them, and
        the node of each leaf; none when a tree has more leaves than a word has bits.
    """
    left = (nodes >> COLUMN_BITS).tolist()
    is_leaf = np.array([child == node for node, child in enumerate(left)])
    sizes = np.bincount(trees[is_leaf], minlength=count)
    if sizes.max() > _MAX_LEAVES:
        return None
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    # Stable, so that the leaves of a tree keep their order.
    places = np.flatnonzero(is_leaf)
    places = places[np.argsort(trees[places], kind="stable")]
    bits = np.arange(len(places)) - np.repeat(starts, sizes)
    masks = [0] * len(nodes)
    for place, bit in zip(places.tolist(), bits.tolist(), strict=True):
        masks[place] = 1 << bit
    for node in range(len(nodes) - 1, -1, -1):
        if left[node] != node:
            masks[node] = masks[left[node]] | masks[left[node] + 1]
    return np.array(masks, np.uint64), starts, places


def _word_bytes(masks: NDArray[np.uint64]) -> int:
    largest = int(masks.max())
    return next(size for size in (1, 2, 4, 8) if largest < 1 << 8 * size)


def _cuts_of(
    arrays: dict[str, NDArray[Any]], inner: NDArray[np.int64], column: int
) -> NDArray[np.float64]:
    mine = inner[(arrays["nodes"][inner] & _COLUMN_MASK) == column]
    return np.unique(np.append(arrays["thresholds"][mine], np.inf))


def _cross_out(
    table: NDArray[Any],
    arrays: dict[str, NDArray[Any]],
    inner: NDArray[np.int64],
    masks: NDArray[Any],
    layout: tuple[NDArray[np.int64], NDArray[np.int64], list[NDArray[np.float64]]],
) -> None:
    """Strike from each interval the leaves that a node keeps from it."""
    trees, columns, cuts = layout
    ends = np.cumsum([len(cut) for cut in cuts])
    for node in inner.tolist():
        packed = int(arrays["nodes"][node])
        left, tree = packed >> COLUMN_BITS, trees[node]
        at = int(np.searchsorted(columns, packed & _COLUMN_MASK))
        first, end = ends[at] - len(cuts[at]), ends[at]
        above = first + int(np.searchsorted(cuts[at], arrays["thresholds"][node])) + 1
        table[first:above, tree] &= ~masks[left + 1]
        table[above:end, tree] &= ~masks[left]
        lost = left + 1 if arrays["left"][node] else left
        table[ends[-1] + at, tree] &= ~masks[lost]
