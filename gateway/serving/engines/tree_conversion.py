"""Trees of fitted ensembles, laid out for ``walk`` and ``table``. In the model's process."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from gateway.serving.engines.category_conversion import find_splits, has_categories
from gateway.serving.engines.description import Choice, Finish, Link, Trees
from gateway.serving.engines.table_building import build_table
from gateway.serving.engines.walk import COLUMN_BITS, MAX_DEPTH

Grown = tuple[Trees, dict[str, NDArray[Any]], Finish]
_MAX_NODES = 1 << 26


class NotThese(Exception):
    """These trees cannot be laid out; the message says why."""


class Grove(Struct, frozen=True):
    """The nodes of all trees in a row, as the library has them; children by their place in it.

    Args:
        roots: Where each tree begins.
        left: Place of the left child; a leaf's is its own.
        right: Likewise.
        columns: Which column a node looks at.
        thresholds: What it is compared with: not above goes left.
        goes_left: Whether NaN goes left.
        values: Of each node, shape (nodes, values).
    """

    roots: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    columns: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    goes_left: NDArray[np.bool_]
    values: NDArray[np.float64]


def one_vote(tree: Any) -> Grown:
    """Lay out a single tree that chooses a class."""
    return _sklearn_trees([tree], Finish(Link.SHARE, Choice.LARGEST))


def one_number(tree: Any) -> Grown:
    """Lay out a single tree that gives a number."""
    return _sklearn_trees([tree], Finish(Link.SHARE, Choice.NO_CLASS))


def votes(forest: Any) -> Grown:
    """Lay out a forest whose trees vote with their shares of classes."""
    return _sklearn_trees(forest.estimators_, Finish(Link.SHARE, Choice.LARGEST))


def mean(forest: Any) -> Grown:
    """Lay out a forest that gives the mean of its trees."""
    return _sklearn_trees(forest.estimators_, Finish(Link.SHARE, Choice.NO_CLASS))


def bag_votes(bag: Any) -> Grown:
    """Lay out a bag of trees that vote with their shares of classes."""
    if any(len(tree.classes_) != len(bag.classes_) for tree in bag.estimators_):
        raise NotThese("A bag in which a tree knows fewer classes has no engine.")
    return _bagged(bag, Finish(Link.SHARE, Choice.LARGEST))


def bag_mean(bag: Any) -> Grown:
    """Lay out a bag of trees that gives their mean."""
    return _bagged(bag, Finish(Link.SHARE, Choice.NO_CLASS))


def boosted_numbers(ensemble: Any) -> Grown:
    """Lay out gradient boosting that gives a number."""
    return _boosted(ensemble, Finish(Link.IDENTITY, Choice.NO_CLASS))


def boosted_classes(ensemble: Any) -> Grown:
    """Lay out gradient boosting that chooses a class."""
    if ensemble.loss != "log_loss":
        raise NotThese(f"Gradient boosting with the loss {ensemble.loss!r} has no engine.")
    is_pair = ensemble.estimators_.shape[1] == 1
    link = Link.EXPIT if is_pair else Link.SOFTMAX
    return _boosted(ensemble, Finish(link, Choice.NOT_BELOW if is_pair else Choice.LARGEST))


def binned_numbers(ensemble: Any) -> Grown:
    """Lay out histogram boosting that gives a number."""
    links = {"IdentityLink": Link.IDENTITY, "LogLink": Link.EXP}
    name = type(ensemble._loss.link).__name__  # noqa: SLF001 - told nowhere else
    if name not in links:
        raise NotThese(f"Histogram boosting with the link {name!r} has no engine.")
    return _binned(ensemble, Finish(links[name], Choice.NO_CLASS))


def binned_classes(ensemble: Any) -> Grown:
    """Lay out histogram boosting that chooses a class."""
    is_pair = ensemble.n_trees_per_iteration_ == 1
    link = Link.EXPIT if is_pair else Link.SOFTMAX
    return _binned(ensemble, Finish(link, Choice.ABOVE if is_pair else Choice.LARGEST))


def _bagged(bag: Any, finish: Finish) -> Grown:
    """Lay out trees each of which was shown some of the columns."""
    columns = [np.asarray(found, np.int64) for found in bag.estimators_features_]
    return _sklearn_trees(bag.estimators_, finish, columns)


def _sklearn_trees(
    estimators: Sequence[Any], finish: Finish, columns: Sequence[NDArray[np.int64]] = ()
) -> Grown:
    if estimators[0].n_outputs_ != 1:
        raise NotThese("Trees with several outputs have no engine.")
    grove = _grove([estimator.tree_ for estimator in estimators])
    if columns:
        seen = zip(columns, estimators, strict=True)
        places = [mine.take(one.tree_.feature, mode="clip") for mine, one in seen]
        grove = structs.replace(grove, columns=np.concatenate(places))
    start = np.zeros(grove.values.shape[1])
    allows_missing = bool(estimators[0].__sklearn_tags__().input_tags.allow_nan)
    trees = Trees(
        depth=0,
        count=len(estimators),
        groups=1,
        is_narrow=True,
        allows_missing=allows_missing,
        allows_infinite=False,
    )
    return lay_out(grove, trees, start, finish)


def _boosted(ensemble: Any, finish: Finish) -> Grown:
    estimators = ensemble.estimators_.reshape(-1)
    grove = _grove([estimator.tree_ for estimator in estimators])
    grove = Grove(
        grove.roots,
        grove.left,
        grove.right,
        grove.columns,
        grove.thresholds,
        grove.goes_left,
        grove.values * float(ensemble.learning_rate),
    )
    groups = ensemble.estimators_.shape[1]
    trees = Trees(
        depth=0,
        count=len(estimators),
        groups=groups,
        is_narrow=True,
        allows_missing=False,
        allows_infinite=False,
    )
    return lay_out(grove, trees, _constant_start(ensemble, groups), finish)


def _constant_start(ensemble: Any, groups: int) -> NDArray[np.float64]:
    """Return what boosting starts from, where that is the same for all rows."""
    if ensemble.init_ == "zero":
        return np.zeros(groups)
    kind = type(ensemble.init_)
    is_constant = kind.__name__ in ("DummyClassifier", "DummyRegressor")
    if not is_constant or kind.__module__ != "sklearn.dummy":
        raise NotThese("Gradient boosting that starts from another model has no engine.")
    row = np.zeros((1, ensemble.n_features_in_), np.float32)
    start: NDArray[np.float64] = ensemble._raw_predict_init(row).reshape(-1)  # noqa: SLF001
    return start


def _binned(ensemble: Any, finish: Finish) -> Grown:
    predictors = [one for stage in ensemble._predictors for one in stage]  # noqa: SLF001
    nodes = [predictor.nodes for predictor in predictors]
    groups = ensemble.n_trees_per_iteration_
    roots = starts_of([len(one) for one in nodes])
    joined = np.concatenate(nodes)
    offsets = np.repeat(roots, [len(one) for one in nodes])
    is_leaf = joined["is_leaf"].astype(bool)
    here = np.arange(len(joined))
    columns, thresholds = joined["feature_idx"], joined["num_threshold"]
    if has_categories(ensemble):
        splits = find_splits(ensemble)
        columns, thresholds = splits.columns, splits.thresholds
    grove = Grove(
        roots=roots,
        left=np.where(is_leaf, here, joined["left"] + offsets),
        right=np.where(is_leaf, here, joined["right"] + offsets),
        columns=columns.astype(np.int64),
        thresholds=thresholds.astype(np.float64),
        goes_left=joined["missing_go_to_left"].astype(bool),
        values=joined["value"].astype(np.float64).reshape(-1, 1),
    )
    start = np.asarray(ensemble._baseline_prediction, np.float64).reshape(-1)  # noqa: SLF001
    trees = Trees(
        depth=0,
        count=len(nodes),
        groups=groups,
        is_narrow=False,
        allows_missing=True,
        allows_infinite=True,
    )
    return lay_out(grove, trees, start, finish)


def _grove(trees: Sequence[Any]) -> Grove:
    """Put the nodes of scikit-learn's trees into one row."""
    sizes = [tree.node_count for tree in trees]
    if sum(sizes) > _MAX_NODES:
        raise NotThese("The trees have too many nodes for an engine.")
    roots = starts_of(sizes)
    offsets = np.repeat(roots, sizes)
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    is_leaf, here = left < 0, np.arange(len(left))
    return Grove(
        roots=roots,
        left=np.where(is_leaf, here, left + offsets),
        right=np.where(is_leaf, here, right + offsets),
        columns=np.concatenate([tree.feature for tree in trees]).astype(np.int64),
        thresholds=np.concatenate([tree.threshold for tree in trees]).astype(np.float64),
        goes_left=np.concatenate([tree.missing_go_to_left for tree in trees]).astype(bool),
        values=np.concatenate([tree.value[:, 0, :] for tree in trees]).astype(np.float64),
    )


def starts_of(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Return where each of several rows begins that are put into one."""
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def lay_out(grove: Grove, trees: Trees, start: NDArray[Any], finish: Finish) -> Grown:
    """Number nodes anew, level by level, so that children stand side by side after parents."""
    inner = grove.left != np.arange(len(grove.left))
    if (grove.columns[inner] >> COLUMN_BITS).any():
        raise NotThese("The trees look at more columns than an engine can.")
    order, place, depth = _by_levels(grove, inner)
    here = np.arange(len(order))
    kept = inner[order]
    left = np.where(kept, place[grove.left[order]], here)
    packed = left << COLUMN_BITS | np.where(kept, grove.columns[order], 0)
    thresholds = np.where(kept, grove.thresholds[order], np.inf)
    goes_left = np.where(kept, grove.goes_left[order], True)  # noqa: FBT003 - numpy's signature
    arrays: dict[str, NDArray[Any]] = {
        "nodes": packed.astype(np.int64),
        "thresholds": thresholds,
        "left": goes_left,
        "values": np.ascontiguousarray(grove.values[order], start.dtype),
        "start": start,
        "depths": _depths(left, trees.count),
    }
    table = build_table(arrays, trees.count)
    described = structs.replace(trees, depth=depth, table_from_rows=1 if table else 0)
    return described, arrays | (table or {}), finish


def _depths(left: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how deep each tree is."""
    depths, at, trees = np.zeros(count, np.int64), np.arange(count), np.arange(count)
    while (inner := left[at] != at).any():
        at, trees = left[at[inner]], trees[inner]
        depths[trees] += 1
        at, trees = np.concatenate([at, at + 1]), np.concatenate([trees, trees])
    return depths


def _by_levels(
    grove: Grove, inner: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return nodes in the order of levels, the new place of each, and the depth."""
    level, levels = grove.roots, [grove.roots]
    while (parents := level[inner[level]]).size:
        level = np.stack([grove.left[parents], grove.right[parents]], axis=1).reshape(-1)
        levels.append(level)
        if len(levels) > MAX_DEPTH:
            raise NotThese("The trees are too deep for an engine.")
    order = np.concatenate(levels)
    place = np.full(len(inner), -1, np.int64)
    place[order] = np.arange(len(order))
    if len(np.unique(order)) != len(order):
        raise NotThese("The trees are no trees: a node has two parents.")
    return order, place, len(levels) - 1
