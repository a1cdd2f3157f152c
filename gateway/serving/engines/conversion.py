"""From a fitted estimator to an engine not yet proved. In the model's process.

Reads attributes of the library's own classes, by their exact type: a subclass may answer otherwise.
What it cannot express it says in one sentence.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.engines import tree_conversion
from gateway.serving.engines.description import (
    Choice,
    Finish,
    Linear,
    Link,
    Operation,
    Scaling,
    Trees,
    Verb,
)

Arrays = dict[str, NDArray[Any]]


class NoEngine(Exception):
    """A model has no form as an engine; the message says why, for people."""


class Draft(Struct, frozen=True):
    """What was made of an estimator.

    Args:
        kind: The names of its classes.
        width: How many columns a row has.
        names: The names that it was fitted with, or none.
        steps: As in an engine.
        arrays: Likewise.
        finish: Likewise.
    """

    kind: str
    width: int
    names: tuple[str, ...] | None
    steps: tuple[Scaling | Linear | Trees, ...]
    arrays: Arrays
    finish: Finish


def convert(model: Any) -> Draft:
    """Express a fitted estimator in arrays.

    Raises:
        NoEngine: It cannot be.
    """
    stages = _stages(model)
    scalers = [_convert_scaler(stage) for stage in stages[:-1]]
    last = stages[-1]
    converter = _FINAL.get(_name(last))
    if converter is None:
        raise NoEngine(f"{_name(last)} is not among the kinds that have an engine.")
    step, arrays, finish = converter(last)
    named = {f"{len(scalers)}.{name}": array for name, array in arrays.items()}
    for at, (_, operands) in enumerate(scalers):
        named |= {f"{at}.{n}": operand for n, operand in enumerate(operands)}
    if finish.choice is not Choice.NO_CLASS:
        named["classes"] = _labels(last)
    return Draft(
        kind=" + ".join(_name(stage) for stage in stages),
        width=int(model.n_features_in_),
        names=_fitted_names(model),
        steps=(*(scaling for scaling, _ in scalers), step),
        arrays=named,
        finish=finish,
    )


def _stages(model: Any) -> list[Any]:
    """Return the estimators of a pipeline in order, or the one that it is."""
    if _name(model) != "Pipeline":
        return [model]
    steps = [step for _, step in model.steps]
    if not steps:
        raise NoEngine("The pipeline is empty.")
    kept = [step for step in steps[:-1] if step is not None and step != "passthrough"]
    return [*kept, *_stages(steps[-1])]


def _name(estimator: Any) -> str:
    """Return the class of an estimator if it is the library's own, else what it is in words."""
    kind = type(estimator)
    if kind.__module__.partition(".")[0] != "sklearn":
        return f"a {kind.__name__} of its own"
    return kind.__name__


def _fitted_names(model: Any) -> tuple[str, ...] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))


def _labels(estimator: Any) -> NDArray[Any]:
    labels = np.asarray(estimator.classes_)
    if labels.dtype.kind == "O" and all(type(label) is str for label in labels):
        labels = labels.astype(np.str_)
    if labels.ndim != 1 or labels.dtype.kind not in "biufU":
        raise NoEngine("Its labels are neither numbers nor text, or there are several outputs.")
    return labels


# --- scalers --------------------------------------------------------------------------------------

_Scaler = tuple[Scaling, list[NDArray[Any]]]


def _convert_scaler(estimator: Any) -> _Scaler:
    """Return the operations of a scaler and their arrays."""
    converter = _SCALERS.get(_name(estimator))
    if converter is None:
        raise NoEngine(f"{_name(estimator)} is not among the steps that have an engine.")
    parts = converter(estimator)
    operations = tuple(Operation(verb, is_narrowed) for verb, is_narrowed, _ in parts)
    return Scaling(operations), [np.asarray(array) for *_, array in parts]


_Parts = list[tuple[Verb, bool, Any]]


def _standard(scaler: Any) -> _Parts:
    parts: _Parts = []
    if scaler.with_mean:
        parts.append((Verb.SUBTRACT, True, scaler.mean_))
    if scaler.with_std:
        parts.append((Verb.DIVIDE, True, scaler.scale_))
    return parts


def _min_max(scaler: Any) -> _Parts:
    parts: _Parts = [(Verb.MULTIPLY, False, scaler.scale_), (Verb.ADD, False, scaler.min_)]
    if scaler.clip:
        parts.append((Verb.CLIP, True, np.array(scaler.feature_range, np.float64)))
    return parts


def _max_abs(scaler: Any) -> _Parts:
    parts: _Parts = [(Verb.DIVIDE, False, scaler.scale_)]
    if getattr(scaler, "clip", False):
        parts.append((Verb.CLIP, True, np.array([-1.0, 1.0])))
    return parts


def _robust(scaler: Any) -> _Parts:
    parts: _Parts = []
    if scaler.with_centering:
        parts.append((Verb.SUBTRACT, False, scaler.center_))
    if scaler.with_scaling:
        parts.append((Verb.DIVIDE, False, scaler.scale_))
    return parts


_SCALERS: Mapping[str, Callable[[Any], _Parts]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
}

# --- last steps -----------------------------------------------------------------------------------

_Final = tuple[Linear | Trees, Arrays, Finish]
_NUMBERS = Finish(Link.IDENTITY, Choice.NO_CLASS)


def _linear_arrays(estimator: Any) -> Arrays:
    coef = np.asarray(estimator.coef_)
    intercept = estimator.intercept_
    # A plain Python number takes the type of what it is added to.
    kind = coef.dtype if type(intercept) in (float, int) else None
    return {"coef": coef, "intercept": np.asarray(intercept, kind)}


def _linear_numbers(estimator: Any) -> _Final:
    return Linear(), _linear_arrays(estimator), _NUMBERS


def _linear_classes(link_of: Callable[[Any], Link]) -> Callable[[Any], _Final]:
    def convert_classes(estimator: Any) -> _Final:
        arrays = _linear_arrays(estimator)
        is_pair = arrays["coef"].shape[0] == 1
        choice = Choice.ABOVE if is_pair else Choice.LARGEST
        return Linear(), arrays, Finish(link_of(estimator), choice)

    return convert_classes


def _logistic_link(estimator: Any) -> Link:
    return Link.EXPIT if len(estimator.classes_) <= 2 else Link.SOFTMAX  # noqa: PLR2004


def _descent_link(estimator: Any) -> Link:
    if estimator.loss != "log_loss":
        return Link.NONE
    return Link.EXPIT if len(estimator.classes_) <= 2 else Link.ONE_VS_REST  # noqa: PLR2004


def _no_link(_estimator: Any) -> Link:
    return Link.NONE


def _of_trees(collect: Callable[[Any], tree_conversion.Grown]) -> Callable[[Any], _Final]:
    def convert_trees(estimator: Any) -> _Final:
        try:
            trees, arrays, finish = collect(estimator)
        except tree_conversion.NotThese as error:
            raise NoEngine(str(error)) from error
        return trees, arrays, finish

    return convert_trees


_FINAL: Mapping[str, Callable[[Any], _Final]] = {
    **dict.fromkeys(
        (
            "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor",
            "Lars", "LarsCV", "Lasso", "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC",
            "LinearRegression", "LinearSVR", "OrthogonalMatchingPursuit", "QuantileRegressor",
            "Ridge", "RidgeCV", "SGDRegressor", "TheilSenRegressor",
        ),
        _linear_numbers,
    ),
    "LogisticRegression": _linear_classes(_logistic_link),
    "LogisticRegressionCV": _linear_classes(_logistic_link),
    **dict.fromkeys(
        ("LinearSVC", "Perceptron", "RidgeClassifier", "RidgeClassifierCV"),
        _linear_classes(_no_link),
    ),
    "SGDClassifier": _linear_classes(_descent_link),
    **dict.fromkeys(
        ("DecisionTreeClassifier", "ExtraTreeClassifier"), _of_trees(tree_conversion.one_vote)
    ),
    **dict.fromkeys(
        ("DecisionTreeRegressor", "ExtraTreeRegressor"), _of_trees(tree_conversion.one_number)
    ),
    **dict.fromkeys(
        ("RandomForestClassifier", "ExtraTreesClassifier"), _of_trees(tree_conversion.votes)
    ),
    **dict.fromkeys(
        ("RandomForestRegressor", "ExtraTreesRegressor"), _of_trees(tree_conversion.mean)
    ),
    "GradientBoostingClassifier": _of_trees(tree_conversion.boosted_classes),
    "GradientBoostingRegressor": _of_trees(tree_conversion.boosted_numbers),
    "HistGradientBoostingClassifier": _of_trees(tree_conversion.binned_classes),
    "HistGradientBoostingRegressor": _of_trees(tree_conversion.binned_numbers),
}  # fmt: skip
