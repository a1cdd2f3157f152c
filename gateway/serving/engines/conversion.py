"""From a fitted estimator to an engine not yet proved. In the model's process.

Reads attributes of the library's own classes, by their exact type: a subclass may answer otherwise.
What it cannot express it says in one sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.engines import boosting_conversion as boosting
from gateway.serving.engines import tree_conversion
from gateway.serving.engines.category_conversion import has_categories, prepare_categories
from gateway.serving.engines.classes import name_of, stages_of
from gateway.serving.engines.column_conversion import Lexicon, Prepared, convert_preparation
from gateway.serving.engines.description import (
    Choice,
    Finish,
    Linear,
    Link,
    Step,
    Trees,
    Wording,
)
from gateway.serving.engines.ensemble_conversion import Part, convert_ensemble, shifted
from gateway.serving.engines.no_engine import NoEngine

Arrays = dict[str, NDArray[Any]]

_FIRST_ONLY = frozenset({"ColumnTransformer", "FeatureUnion"})


class Draft(Struct, frozen=True):
    """What was made of an estimator.

    Args:
        kind: The names of its classes.
        width: How many columns a row has.
        names: The names that it was fitted with, or none.
        steps: As in an engine.
        arrays: Likewise.
        finish: Likewise.
        wordings: Likewise.
        leaves_shapes: Likewise.
    """

    kind: str
    width: int
    names: tuple[str, ...] | None
    steps: tuple[Step, ...]
    arrays: Arrays
    finish: Finish
    wordings: tuple[Wording, ...] = ()
    leaves_shapes: bool = False


def convert(model: Any) -> Draft:
    """Express a fitted estimator in arrays.

    Raises:
        NoEngine: It cannot be.
    """
    lexicon = Lexicon()
    part = _convert(model, lexicon)
    _, names = _fitted_columns(model)
    return Draft(
        kind=" + ".join(name_of(stage) for stage in stages_of(model)),
        width=part.width,
        names=names,
        steps=part.steps,
        arrays=part.arrays,
        finish=part.finish,
        wordings=lexicon.wordings(),
        leaves_shapes=part.leaves_shapes,
    )


def _convert(model: Any, lexicon: Lexicon) -> Part:
    *stages, last = stages_of(model)
    part = _convert_last(last)
    width, _ = _fitted_columns(model)
    prepared = _prepare(stages, width, lexicon)
    if has_categories(last):
        prepared += _prepare_categories(last, lexicon, is_first=not stages)
    steps = part.steps
    if prepared and prepared[-1].is_sparse:
        if not isinstance(steps[0], Linear | Trees):
            raise NoEngine(f"{name_of(last)} after {name_of(stages[0])} has no engine.")
        if isinstance(steps[0], Linear):
            steps = (Linear(is_in_order=True),)
    arrays = shifted(part.arrays, len(prepared))
    for at, one in enumerate(prepared):
        arrays |= {f"{at}.{name}": array for name, array in one.arrays.items()}
    return Part(
        (*(one.step for one in prepared), *steps),
        arrays,
        part.finish,
        width,
        part.leaves_shapes or has_categories(last),
    )


def _convert_last(last: Any) -> Part:
    """Express the last step of a pipeline, which may be an ensemble of others."""
    part = convert_ensemble(last, _convert_member)
    if part is None:
        converter = _FINAL.get(name_of(last))
        if converter is None:
            raise NoEngine(f"{name_of(last)} is not among the kinds that have an engine.")
        step, arrays, finish = converter(last)
        named = {f"0.{name}": array for name, array in arrays.items()}
        is_foreign = type(last).__module__.partition(".")[0] != "sklearn"
        width, _ = _fitted_columns(last)
        part = Part((step,), named, finish, width, is_foreign)
    if part.finish.choice is not Choice.NO_CLASS:
        part.arrays["classes"] = _labels(last)
    return part


def _convert_member(estimator: Any) -> Part:
    """Express an estimator within another one: texts are only known to the whole."""
    lexicon = Lexicon()
    part = _convert(estimator, lexicon)
    if lexicon.wordings():
        raise NoEngine(f"{name_of(estimator)} that reads text has no engine in another.")
    return part


def _prepare(stages: Sequence[Any], width: int, lexicon: Lexicon) -> list[Prepared]:
    """Express what comes before the last step."""
    prepared: list[Prepared] = []
    columns: Sequence[int | None] = range(width)
    for stage in stages:
        if prepared and (prepared[-1].is_sparse or name_of(stage) in _FIRST_ONLY):
            raise NoEngine(f"{name_of(stage)} after {name_of(stages[0])} has no engine.")
        one = convert_preparation(stage, columns, lexicon)
        prepared.append(one)
        columns = one.columns
    return prepared


def _prepare_categories(last: Any, lexicon: Lexicon, *, is_first: bool) -> list[Prepared]:
    """Express how the last step numbers its categories: texts are only known to the first."""
    words = lexicon if is_first else Lexicon()
    prepared = prepare_categories(last, words)
    if not is_first and words.wordings():
        raise NoEngine("Text that another step has made has no engine.")
    return prepared


def _fitted_columns(model: Any) -> tuple[int, tuple[str, ...] | None]:
    """Return how many columns a model takes, and their names if it has any."""
    if name_of(model) == "Booster":
        return boosting.booster_columns(model)
    names = getattr(model, "feature_names_in_", None)
    return int(model.n_features_in_), None if names is None else tuple(map(str, names))


def _labels(estimator: Any) -> NDArray[Any]:
    labels = np.asarray(estimator.classes_)
    if labels.dtype.kind == "O" and all(type(label) is str for label in labels):
        labels = labels.astype(np.str_)
    if labels.ndim != 1 or labels.dtype.kind not in "biufU":
        raise NoEngine("Its labels are neither numbers nor text, or there are several outputs.")
    return labels


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
    "BaggingClassifier": _of_trees(tree_conversion.bag_votes),
    "BaggingRegressor": _of_trees(tree_conversion.bag_mean),
    "GradientBoostingClassifier": _of_trees(tree_conversion.boosted_classes),
    "GradientBoostingRegressor": _of_trees(tree_conversion.boosted_numbers),
    "HistGradientBoostingClassifier": _of_trees(tree_conversion.binned_classes),
    "HistGradientBoostingRegressor": _of_trees(tree_conversion.binned_numbers),
    **dict.fromkeys(("XGBClassifier", "XGBRFClassifier"), _of_trees(boosting.xgb_classes)),
    **dict.fromkeys(
        ("XGBRanker", "XGBRegressor", "XGBRFRegressor"), _of_trees(boosting.xgb_numbers)
    ),
    "LGBMClassifier": _of_trees(boosting.lgb_classes),
    **dict.fromkeys(("LGBMRanker", "LGBMRegressor"), _of_trees(boosting.lgb_numbers)),
    "Booster": _of_trees(boosting.booster_numbers),
}  # fmt: skip
