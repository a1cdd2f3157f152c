"""Fitted estimators by their exact class: a subclass may answer otherwise. In its process."""

from typing import Any

from gateway.serving.engines.no_engine import NoEngine

LIBRARIES = frozenset({"lightgbm", "sklearn", "xgboost"})


def name_of(estimator: Any) -> str:
    """Return the class of an estimator if it is a library's own, else what it is in words."""
    kind = type(estimator)
    if kind.__module__.partition(".")[0] not in LIBRARIES:
        return f"a {kind.__name__} of its own"
    return kind.__name__


def stages_of(model: Any) -> list[Any]:
    """Return the estimators of a pipeline in order, or the one that it is.

    Raises:
        NoEngine: The pipeline is empty.
    """
    if name_of(model) != "Pipeline":
        return [model]
    steps = [step for _, step in model.steps]
    if not steps:
        raise NoEngine("The pipeline is empty.")
    kept = [step for step in steps[:-1] if step is not None and step != "passthrough"]
    return [*(stage for step in kept for stage in stages_of(step)), *stages_of(steps[-1])]
