"""Steps of an engine, built from their descriptions and arrays. Pure.

Each step is checked by the module that owns it; here they are put one after the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines import description as described
from gateway.serving.engines.description import BadEngine, Finish
from gateway.serving.engines.ensemble import Ensemble, Voice, make_calibration, make_ensemble
from gateway.serving.engines.finishing import Finisher, make_finisher
from gateway.serving.engines.linear import make_linear
from gateway.serving.engines.preparing import beneath, make_preparation
from gateway.serving.engines.scaling import Step
from gateway.serving.engines.sides import Sides, SidesThenTrees
from gateway.serving.engines.trees import make_forest

Arrays = Mapping[str, NDArray[Any]]

_MOST_MEMBERS = 64


def make_steps(steps: Sequence[described.Step], arrays: Arrays, width: int) -> list[Step]:
    """Build steps; the last gives scores.

    Args:
        steps: Their descriptions.
        arrays: Of all of them, by ``{step}.{name}``.
        width: How many columns the first one takes.

    Raises:
        BadEngine: A step does not fit its arrays, or the ones before.
    """
    _check_order(steps)
    made: list[Step] = []
    for at, step in enumerate(steps):
        mine = beneath(arrays, str(at))
        match step:
            case described.Linear():
                if mine.keys() != {"coef", "intercept"}:
                    raise BadEngine("A linear model has a coefficient and an intercept array.")
                made.append(make_linear(step, mine["coef"], mine["intercept"], width))
            case described.Trees():
                forest: Step = make_forest(step, mine, width)
                if made and isinstance(sides := made[-1], Sides):
                    made[-1] = SidesThenTrees(sides, forest, width)
                else:
                    made.append(forest)
            case described.Ensemble():
                made.append(_make_ensemble(step, mine, width))
                width = step.width
            case _:
                prepared, width = make_preparation(step, mine, width)
                made.append(prepared)
    return made


def finisher_of(
    steps: Sequence[described.Step], finish: Finish, classes: NDArray[Any] | None
) -> Finisher:
    """Return what is done with the scores of steps.

    Raises:
        BadEngine: The labels do not fit.
    """
    match steps[-1]:
        case described.Trees(count=count):
            return make_finisher(finish, classes, count)
        case described.Ensemble(combining=described.Combining.SUM, members=members):
            return make_finisher(finish, classes, len(members))
        case _:
            return make_finisher(finish, classes, 1)


def _check_order(steps: Sequence[described.Step]) -> None:
    if not steps or any(
        isinstance(step, described.Linear | described.Trees) for step in steps[:-1]
    ):
        raise BadEngine("Only steps that prepare rows come before the last one.")
    if not isinstance(steps[-1], described.Linear | described.Trees | described.Ensemble):
        raise BadEngine("The last step gives no scores.")

    *_, before, last = (None, *steps)
    is_before_trees = isinstance(before, described.Splitting) and isinstance(last, described.Trees)
    if sum(isinstance(step, described.Splitting) for step in steps) != is_before_trees:
        raise BadEngine("Splits by category come right before trees.")


def _make_ensemble(step: described.Ensemble, arrays: Arrays, width: int) -> Ensemble:
    if len(step.members) > _MOST_MEMBERS:
        raise BadEngine("An ensemble has too many members.")
    voices = [
        _make_voice(member, beneath(arrays, str(at)), width)
        for at, member in enumerate(step.members)
    ]
    return make_ensemble(step, voices, arrays)


def _make_voice(member: described.Member, arrays: Arrays, width: int) -> Voice:
    columns = None
    if member.columns:
        if not all(0 <= column < width for column in member.columns):
            raise BadEngine("A member looks at a column that there is not.")
        columns = np.array(member.columns, np.intp)
        width = len(member.columns)
    steps, classes = make_steps(member.steps, arrays, width), arrays.get("classes")
    finisher = finisher_of(member.steps, member.finish, classes)
    if member.method not in finisher.methods:
        raise BadEngine(f"A member has no method {member.method!r}.")
    scores = 1 if classes is None or len(classes) <= 2 else len(classes)  # noqa: PLR2004
    calibration = make_calibration(member.calibration, arrays, scores)
    return Voice(columns, steps, finisher.methods[member.method], calibration)
