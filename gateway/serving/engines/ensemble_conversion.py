"""Fitted ensembles of other estimators, each member expressed by itself. In the model's process.

Voting, stacking, bagging and calibration. Bags of trees are forests (``tree_conversion``).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.engines.assembling import finisher_of
from gateway.serving.engines.classes import name_of
from gateway.serving.engines.description import (
    Calibration,
    Choice,
    Combining,
    Ensemble,
    Finish,
    Imputing,
    Linear,
    Link,
    Member,
    Scaling,
    Step,
    Trees,
)
from gateway.serving.engines.no_engine import NoEngine

Arrays = dict[str, NDArray[Any]]

_MOST_MEMBERS = 64
_TREES = frozenset(
    {
        *("DecisionTreeClassifier", "DecisionTreeRegressor"),
        *("ExtraTreeClassifier", "ExtraTreeRegressor"),
    }
)
_PLAIN = Scaling | Imputing | Linear | Trees | Ensemble
_SHARES = Finish(Link.SHARE, Choice.LARGEST)


class Part(Struct, frozen=True):
    """A fitted estimator as steps: what ``conversion`` makes of it, and of each of its members.

    Args:
        steps: As in an engine.
        arrays: By ``{step}.{name}``; labels are ``classes``.
        finish: As in an engine.
        width: How many columns it takes.
        leaves_shapes: As in an engine.
    """

    steps: tuple[Step, ...]
    arrays: Arrays
    finish: Finish
    width: int
    leaves_shapes: bool = False


Convert = Callable[[Any], Part]


def convert_ensemble(ensemble: Any, convert: Convert) -> Part | None:
    """Express an ensemble, or return ``None`` for what is none.

    Args:
        ensemble: Fitted.
        convert: Expresses a member.

    Raises:
        NoEngine: It cannot be.
    """
    converter = _ENSEMBLES.get(name_of(ensemble))
    if converter is None or _is_bag_of_trees(ensemble):
        return None
    if len(getattr(ensemble, "estimators_", ())) > _MOST_MEMBERS:
        raise NoEngine(f"{name_of(ensemble)} of more than {_MOST_MEMBERS} members has no engine.")
    return converter(ensemble, convert)


def _voting_numbers(ensemble: Any, convert: Convert) -> Part:
    members = [_member(one, convert, "predict") for one in ensemble.estimators_]
    finish = Finish(Link.IDENTITY, Choice.NO_CLASS)
    return _put_together(ensemble, members, Combining.MEAN, finish, weights=_weights(ensemble))


def _voting_classes(ensemble: Any, convert: Convert) -> Part:
    is_soft = ensemble.voting == "soft"
    method = "predict_proba" if is_soft else "predict"
    members = [_member(one, convert, method) for one in ensemble.estimators_]
    if is_soft:
        combining, finish = Combining.MEAN, _SHARES
    else:
        combining, finish = Combining.VOTES, Finish(Link.NONE, Choice.LARGEST)
    return _put_together(ensemble, members, combining, finish, weights=_weights(ensemble))


def _weights(ensemble: Any) -> NDArray[Any] | None:
    weights = ensemble._weights_not_none  # noqa: SLF001 - told nowhere else
    return None if weights is None else np.asarray(weights)


def _bag_numbers(ensemble: Any, convert: Convert) -> Part:
    finish = Finish(Link.SHARE, Choice.NO_CLASS)
    members = _bag(ensemble, convert, "predict")
    return _put_together(ensemble, members, Combining.SUM, finish)


def _bag_classes(ensemble: Any, convert: Convert) -> Part:
    members = _bag(ensemble, convert, "predict_proba")
    for one in ensemble.estimators_:
        if len(one.classes_) != len(ensemble.classes_):
            raise NoEngine("A bag in which a member knows fewer classes has no engine.")
    return _put_together(ensemble, members, Combining.SUM, _SHARES)


def _is_bag_of_trees(ensemble: Any) -> bool:
    """Whether a bag is a forest, which has an engine of its own."""
    if not name_of(ensemble).startswith("Bagging"):
        return False
    return all(name_of(one) in _TREES for one in ensemble.estimators_)


def _bag(ensemble: Any, convert: Convert, method: str) -> "list[_Made]":
    # Also where it is all of them: the columns that are picked lie in memory one after the other,
    # and products of matrices are added up in another order then.
    pairs = zip(ensemble.estimators_, ensemble.estimators_features_, strict=True)
    return [
        _member(one, convert, method, tuple(np.asarray(columns).tolist())) for one, columns in pairs
    ]


def _calibrated(ensemble: Any, convert: Convert) -> Part:
    members = [_calibrated_member(one, convert) for one in ensemble.calibrated_classifiers_]
    for one in ensemble.calibrated_classifiers_:
        if not np.array_equal(one.estimator.classes_, ensemble.classes_):
            raise NoEngine("Calibration of a member that knows fewer classes has no engine.")
    return _put_together(ensemble, members, Combining.SUM, _SHARES)


def _calibrated_member(one: Any, convert: Convert) -> "_Made":
    is_decided = hasattr(one.estimator, "decision_function")
    method = "decision_function" if is_decided else "predict_proba"
    member, arrays, part = _member(one.estimator, convert, method)
    match one.method:
        case "sigmoid":
            kind = Calibration.SIGMOID
            arrays |= {
                "slopes": np.array([curve.a_ for curve in one.calibrators], np.float64),
                "intercepts": np.array([curve.b_ for curve in one.calibrators], np.float64),
            }
        case "isotonic":
            kind = Calibration.ISOTONIC
            for at, curve in enumerate(one.calibrators):
                arrays[f"at{at}"] = np.asarray(curve.X_thresholds_, np.float64)
                arrays[f"becomes{at}"] = np.asarray(curve.y_thresholds_, np.float64)
        case other:
            raise NoEngine(f"Calibration by {other!r} has no engine.")
    calibrated = Member(member.columns, member.steps, member.finish, member.method, kind)
    return calibrated, arrays, part


def _stacking(ensemble: Any, convert: Convert) -> Part:
    """Express members, then what is made of their answers: its steps come behind."""
    members = [
        _member(one, convert, method)
        for one, method in zip(ensemble.estimators_, ensemble.stack_method_, strict=True)
    ]
    final = convert(ensemble.final_estimator_)
    labels = getattr(ensemble, "classes_", None)
    first = _put_together(
        ensemble,
        members,
        Combining.BESIDE,
        final.finish,
        width=final.width,
        drops_first=labels is not None and len(labels) == 2,  # noqa: PLR2004
        passes_rows=bool(ensemble.passthrough),
    )
    arrays = first.arrays | shifted(final.arrays, 1)
    if "classes" in final.arrays and not _are_places(final.arrays["classes"]):
        raise NoEngine("Stacking whose last estimator has labels of its own has no engine.")
    return Part(
        (*first.steps, *final.steps), arrays, final.finish, first.width, first.leaves_shapes
    )


def shifted(arrays: Arrays, by: int) -> Arrays:
    """Return the arrays of steps that come so many places later; labels stay labels."""
    moved = {}
    for name, array in arrays.items():
        step, _, rest = name.partition(".")
        moved[f"{int(step) + by}.{rest}" if rest else name] = array
    return moved


_Made = tuple[Member, Arrays, Part]


def _member(estimator: Any, convert: Convert, method: str, columns: tuple[int, ...] = ()) -> _Made:
    part = convert(estimator)
    if not all(isinstance(step, _PLAIN) for step in part.steps):
        raise NoEngine(f"{name_of(estimator)} that treats columns apart has no engine in another.")
    if method not in finisher_of(part.steps, part.finish, part.arrays.get("classes")).methods:
        raise NoEngine(f"{method!r} of {name_of(estimator)} has no engine.")
    return Member(columns, part.steps, part.finish, method), dict(part.arrays), part


def _put_together(  # noqa: PLR0913 - one place where members become a step
    ensemble: Any,
    members: Sequence[_Made],
    combining: Combining,
    finish: Finish,
    *,
    weights: NDArray[Any] | None = None,
    width: int | None = None,
    drops_first: bool = False,
    passes_rows: bool = False,
) -> Part:
    labels = getattr(ensemble, "classes_", None)
    step = Ensemble(
        members=tuple(member for member, _, _ in members),
        combining=combining,
        width=width or (1 if labels is None else len(labels)),
        drops_first=drops_first,
        passes_rows=passes_rows,
    )
    arrays = {
        f"0.{at}.{name}": array
        for at, (_, mine, _) in enumerate(members)
        for name, array in mine.items()
    }
    if weights is not None:
        arrays["0.weights"] = weights
    return Part(
        (step,),
        arrays,
        finish,
        int(ensemble.n_features_in_),
        any(part.leaves_shapes for _, _, part in members),
    )


def _are_places(labels: NDArray[Any]) -> bool:
    return labels.dtype.kind in "iu" and labels.tolist() == list(range(len(labels)))


_ENSEMBLES: Mapping[str, Callable[[Any, Convert], Part]] = {
    "BaggingClassifier": _bag_classes,
    "BaggingRegressor": _bag_numbers,
    "CalibratedClassifierCV": _calibrated,
    "StackingClassifier": _stacking,
    "StackingRegressor": _stacking,
    "VotingClassifier": _voting_classes,
    "VotingRegressor": _voting_numbers,
}
