"""Models of XGBoost and LightGBM, read from the text that their libraries write. In their process.

XGBoost compares and adds up in float32, "less than" goes left; LightGBM in float64, "not above".
"""

import ctypes
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import Choice, Finish, Link, Trees
from gateway.serving.engines.tree_conversion import Grove, Grown, NotThese, lay_out, starts_of

_XGB_LINKS = {
    "binary:logistic": Link.NARROW_EXPIT,
    "binary:logitraw": Link.IDENTITY,
    "count:poisson": Link.NARROW_EXP,
    "multi:softprob": Link.NARROW_SOFTMAX,
    "rank:map": Link.IDENTITY,
    "rank:ndcg": Link.IDENTITY,
    "rank:pairwise": Link.IDENTITY,
    "reg:absoluteerror": Link.IDENTITY,
    "reg:gamma": Link.NARROW_EXP,
    "reg:logistic": Link.NARROW_EXPIT,
    "reg:pseudohubererror": Link.IDENTITY,
    "reg:quantileerror": Link.IDENTITY,
    "reg:squarederror": Link.IDENTITY,
    "reg:squaredlogerror": Link.IDENTITY,
    "reg:tweedie": Link.NARROW_EXP,
}
_LGB_LINKS = {
    "binary sigmoid:1": Link.EXPIT,
    "cross_entropy": Link.EXPIT,
    "fair": Link.IDENTITY,
    "gamma": Link.EXP,
    "huber": Link.IDENTITY,
    "lambdarank": Link.IDENTITY,
    "mape": Link.IDENTITY,
    "multiclass": Link.SOFTMAX,
    "poisson": Link.EXP,
    "quantile": Link.IDENTITY,
    "rank_xendcg": Link.IDENTITY,
    "regression": Link.IDENTITY,
    "regression_l1": Link.IDENTITY,
    "tweedie": Link.EXP,
}
_LGB_ZERO = float(np.float32(1e-35))
_LIKELIER, _NUMBERS = Choice.LIKELIER, Choice.NO_CLASS


def xgb_classes(estimator: Any) -> Grown:
    """Lay out an estimator of XGBoost that chooses a class."""
    return _xgb(estimator.get_booster(), _LIKELIER, estimator)


def xgb_numbers(estimator: Any) -> Grown:
    """Lay out an estimator of XGBoost that gives a number."""
    return _xgb(estimator.get_booster(), _NUMBERS, estimator)


def lgb_classes(estimator: Any) -> Grown:
    """Lay out an estimator of LightGBM that chooses a class."""
    return _lgb(estimator.booster_, _LIKELIER)


def lgb_numbers(estimator: Any) -> Grown:
    """Lay out an estimator of LightGBM that gives a number."""
    return _lgb(estimator.booster_, _NUMBERS)


def booster_numbers(booster: Any) -> Grown:
    """Lay out a Booster of either library."""
    if type(booster).__module__.partition(".")[0] == "xgboost":
        return _xgb(booster, _NUMBERS, None)
    return _lgb(booster, _NUMBERS)


def booster_columns(booster: Any) -> tuple[int, tuple[str, ...] | None]:
    """Return how many columns a Booster takes, and their names."""
    if type(booster).__module__.partition(".")[0] == "xgboost":
        names = booster.feature_names
        return int(booster.num_features()), None if names is None else tuple(names)
    return int(booster.num_feature()), tuple(booster.feature_name())


# --- XGBoost --------------------------------------------------------------------------------------


def _xgb(booster: Any, choice: Choice, estimator: Any) -> Grown:
    learner = json.loads(booster.save_raw("json"))["learner"]
    name, link = _xgb_link(learner)
    model = learner["gradient_booster"]["model"]
    told = learner["learner_model_param"]
    groups = max(1, int(told["num_class"]))
    if estimator is not None and not np.isnan(estimator.missing):
        raise NotThese("XGBoost with another value for what is missing has no engine.")
    trees = _xgb_in_turn(model, groups, _xgb_kept(booster, estimator, model, groups))
    start = _xgb_start(told["base_score"], groups, link)
    described = Trees(
        depth=0,
        count=len(trees),
        groups=groups,
        is_narrow=True,
        allows_missing=True,
        # An estimator takes infinities, a matrix of the library does not.
        allows_infinite=estimator is not None,
        refuses_with="XGBoostError",
        is_single=True,
    )
    if choice is _LIKELIER and link not in (Link.NARROW_EXPIT, Link.NARROW_SOFTMAX):
        raise NotThese(f"XGBoost that chooses a class by {name!r} has no engine.")
    return lay_out(_xgb_grove(trees), described, start, Finish(link, choice))


def _xgb_link(learner: Mapping[str, Any]) -> tuple[str, Link]:
    kind = learner["gradient_booster"]["name"]
    if kind == "dart" or "weight_drop" in learner["gradient_booster"].get("model", {}):
        # Since 3.4 they are a part of the plain kind.
        raise NotThese("XGBoost with dropped trees has no engine.")
    if kind != "gbtree":
        raise NotThese(f"XGBoost of the kind {kind!r} has no engine.")
    if int(learner["learner_model_param"].get("num_target", 1)) > 1:
        raise NotThese("XGBoost with several outputs has no engine.")
    name = learner["objective"]["name"]
    if name not in _XGB_LINKS:
        raise NotThese(f"XGBoost with the objective {name!r} has no engine.")
    return name, _XGB_LINKS[name]


def _xgb_kept(booster: Any, estimator: Any, model: Mapping[str, Any], groups: int) -> int:
    """Return how many trees answer: an estimator stops at its best iteration."""
    count = len(model["trees"])
    best = booster.attr("best_iteration") if estimator is not None else None
    if best is None:
        return count
    at_once = int(model["gbtree_model_param"]["num_parallel_tree"]) * groups
    return min(count, (int(best) + 1) * at_once)


def _xgb_in_turn(model: Mapping[str, Any], groups: int, kept: int) -> list[Mapping[str, Any]]:
    """Return trees so that groups take turns; within a group they stay in order."""
    by_group: list[list[Mapping[str, Any]]] = [[] for _ in range(groups)]
    for tree, group in zip(model["trees"][:kept], model["tree_info"][:kept], strict=True):
        if any(tree["split_type"]) or int(tree["tree_param"]["size_leaf_vector"]) > 1:
            raise NotThese("XGBoost with categories or vectors in leaves has no engine.")
        by_group[group].append(tree)
    turns = list(zip(*by_group, strict=False))
    if len(turns) * groups != kept or not turns:
        raise NotThese("XGBoost with more trees for one class than another has no engine.")
    return [tree for turn in turns for tree in turn]


def _xgb_start(base_score: str, groups: int, link: Link) -> NDArray[np.float32]:
    """Return what sums start from: the base score before the link, by the C library's logarithm."""
    scores = np.array(json.loads(base_score), np.float32).reshape(-1)
    one = np.float32(1)
    match link:
        case Link.NARROW_EXPIT:
            scores = np.array([-_logf(one / score - one) for score in scores], np.float32)
        case Link.NARROW_EXP:
            scores = np.array([_logf(score) for score in scores], np.float32)
        case _:
            pass
    return np.ascontiguousarray(np.broadcast_to(scores, (groups,)))


def _logf(value: np.float32) -> float:
    logf = ctypes.CDLL(None).logf
    logf.restype, logf.argtypes = ctypes.c_float, [ctypes.c_float]
    return float(logf(float(value)))


def _xgb_grove(trees: list[Mapping[str, Any]]) -> Grove:
    sizes = [len(tree["left_children"]) for tree in trees]
    roots = starts_of(sizes)
    offsets, here = np.repeat(roots, sizes), np.arange(sum(sizes))
    left, right = (
        _joined(trees, f"{side}_children").astype(np.int64) for side in ("left", "right")
    )
    conditions = _joined(trees, "split_conditions").astype(np.float32)
    is_leaf = left < 0
    # "Less than" is "not above the number before".
    thresholds = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
    return Grove(
        roots=roots,
        left=np.where(is_leaf, here, left + offsets),
        right=np.where(is_leaf, here, right + offsets),
        columns=_joined(trees, "split_indices").astype(np.int64),
        thresholds=thresholds,
        goes_left=_joined(trees, "default_left").astype(bool),
        values=conditions.astype(np.float64).reshape(-1, 1),
    )


def _joined(trees: list[Mapping[str, Any]], name: str) -> NDArray[Any]:
    return np.concatenate([np.asarray(tree[name]) for tree in trees])


# --- LightGBM -------------------------------------------------------------------------------------


def _lgb(booster: Any, choice: Choice) -> Grown:
    model = booster.dump_model()
    objective = str(model.get("objective", ""))
    name = objective if objective.startswith("binary") else objective.partition(" ")[0]
    if name not in _LGB_LINKS or objective.endswith(" sqrt"):
        raise NotThese(f"LightGBM with the objective {objective!r} has no engine.")
    if model["average_output"]:
        raise NotThese("LightGBM that averages its trees has no engine.")
    if model.get("pandas_categorical"):
        raise NotThese("LightGBM with categories has no engine.")
    link = _LGB_LINKS[name]
    if choice is _LIKELIER and link not in (Link.EXPIT, Link.SOFTMAX):
        raise NotThese(f"LightGBM that chooses a class by {objective!r} has no engine.")
    groups = int(model["num_tree_per_iteration"])
    described = Trees(
        depth=0,
        count=len(model["tree_info"]),
        groups=groups,
        is_narrow=False,
        allows_missing=True,
        allows_infinite=True,
    )
    if not described.count:
        raise NotThese("LightGBM without trees has no engine.")
    grove = _lgb_grove([tree["tree_structure"] for tree in model["tree_info"]])
    return lay_out(grove, described, np.zeros(groups), Finish(link, choice))


def _lgb_grove(trees: list[Mapping[str, Any]]) -> Grove:
    nodes: list[tuple[int, int, int, float, bool, float]] = []
    roots = []
    for tree in trees:
        roots.append(len(nodes))
        nodes.extend(_lgb_nodes(tree, len(nodes)))
    left, right, columns, thresholds, goes_left, values = zip(*nodes, strict=True)
    return Grove(
        roots=np.array(roots, np.int64),
        left=np.array(left, np.int64),
        right=np.array(right, np.int64),
        columns=np.array(columns, np.int64),
        thresholds=np.array(thresholds, np.float64),
        goes_left=np.array(goes_left, bool),
        values=np.array(values, np.float64).reshape(-1, 1),
    )


def _lgb_nodes(
    tree: Mapping[str, Any], start: int
) -> Iterator[tuple[int, int, int, float, bool, float]]:
    """Yield left, right, column, threshold, whether NaN goes left, and value of each node."""
    waiting, taken = [tree], start + 1
    for at, node in enumerate(_growing(waiting), start):
        if "leaf_value" in node:
            if "leaf_const" in node:
                raise NotThese("LightGBM with linear models in leaves has no engine.")
            yield at, at, 0, np.inf, True, node["leaf_value"]
            continue
        waiting += [node["left_child"], node["right_child"]]
        yield taken, taken + 1, node["split_feature"], *_lgb_split(node), 0.0
        taken += 2


def _growing(waiting: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield those who wait, also those who come meanwhile."""
    at = 0
    while at < len(waiting):
        yield waiting[at]
        at += 1


def _lgb_split(node: Mapping[str, Any]) -> tuple[float, bool]:
    if node["decision_type"] != "<=":
        raise NotThese("LightGBM with categories has no engine.")
    threshold = _lgb_threshold(float(node["threshold"]))
    match node["missing_type"]:
        case "None":
            # NaN is taken for zero.
            return threshold, threshold >= 0
        case "NaN":
            return threshold, bool(node["default_left"])
        case other:
            raise NotThese(f"LightGBM that treats {other!r} as missing has no engine.")


def _lgb_threshold(threshold: float) -> float:
    """Move a threshold beside zero: the library takes what is that close to zero for zero."""
    if not -_LGB_ZERO <= threshold <= _LGB_ZERO:
        return threshold
    return _LGB_ZERO if threshold >= 0 else float(np.nextafter(-_LGB_ZERO, -np.inf))
