"""From scores to what each method of the model answers, by the libraries' own formulas. Pure."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines import narrow
from gateway.serving.engines.description import BadEngine, Choice, Finish, Link

Scores = NDArray[Any]
_FLAT = 1


class Finisher:
    """Immutable, safe from any thread.

    Args:
        finish: What is done.
        classes: The labels, in order; none for a model that gives numbers.
        trees: How many trees share a vote; 1 where that is not asked.
    """

    def __init__(self, finish: Finish, classes: NDArray[Any] | None, trees: int) -> None:
        self._finish = finish
        self._classes = classes
        self._trees = trees
        self.methods: dict[str, Callable[[Scores], NDArray[Any]]] = {"predict": self._predict}
        if finish.choice is not Choice.NO_CLASS:
            if finish.link is not Link.NONE:
                self.methods["predict_proba"] = self._probabilities
            if finish.link is not Link.SHARE and finish.choice is not Choice.LIKELIER:
                self.methods["decision_function"] = _flat

    def _predict(self, scores: Scores) -> NDArray[Any]:
        if self._classes is None:
            return self._numbers(_flat(scores))
        answer: NDArray[Any] = self._classes.take(self._choose(scores), mode="clip")
        return answer

    def _numbers(self, scores: Scores) -> NDArray[Any]:
        match self._finish.link:
            case Link.SHARE:
                return scores / self._trees
            case Link.EXP:
                with np.errstate(over="ignore"):
                    return np.exp(scores)
            case Link.EXPIT:
                return expit(scores)
            case Link.SOFTMAX:
                return _softmax(scores)
            case Link.NARROW_EXP | Link.NARROW_EXPIT | Link.NARROW_SOFTMAX as link:
                return _NARROW[link](scores)
            case _:
                return scores

    def _choose(self, scores: Scores) -> Any:
        match self._finish.choice:
            case Choice.ABOVE:
                return (_flat(scores) > 0).astype(np.intp)
            case Choice.NOT_BELOW:
                return (_flat(scores) >= 0).astype(np.intp)
            case Choice.LIKELIER:
                return np.argmax(self._probabilities(scores), axis=1)
            case _ if self._finish.link is Link.SHARE:
                return np.argmax(scores / self._trees, axis=1)
            case _:
                return np.argmax(scores, axis=1)

    def _probabilities(self, scores: Scores) -> NDArray[Any]:
        match self._finish.link:
            case Link.SHARE:
                return scores / self._trees
            case Link.EXPIT | Link.NARROW_EXPIT:
                second = self._numbers(_flat(scores))
                return np.stack([1 - second, second], axis=1)
            case Link.ONE_VS_REST:
                return _normalized(expit(scores))
            case Link.NARROW_SOFTMAX:
                return narrow.softmax(scores)
            case _:
                return _softmax(scores)


_NARROW: Mapping[Link, Callable[[Scores], Scores]] = {
    Link.NARROW_EXP: narrow.exp,
    Link.NARROW_EXPIT: narrow.expit,
    Link.NARROW_SOFTMAX: narrow.softmax,
}


def make_finisher(finish: Finish, classes: NDArray[Any] | None, trees: int) -> Finisher:
    """Check the labels and return the last step.

    Raises:
        BadEngine: They do not fit what is done.
    """
    if (classes is None) != (finish.choice is Choice.NO_CLASS):
        raise BadEngine("Labels are missing, or are there without need.")
    if classes is not None and (classes.ndim != 1 or not classes.size):
        raise BadEngine("The labels are no list.")
    if classes is not None and classes.dtype.kind not in "biufU":
        raise BadEngine("The labels are neither numbers nor text.")
    if classes is not None and classes.dtype.kind == "U":
        classes = classes.astype(object)
    return Finisher(finish, classes, trees)


def _flat(scores: Scores) -> Scores:
    """Return one score a row as a vector."""
    return scores[:, 0] if scores.ndim > _FLAT and scores.shape[1] == 1 else scores


def expit(scores: Scores) -> Scores:
    """Return the logistic function by the C library's ``exp``, which is what scipy calls.

    numpy's own differs from it in the last bit, and in 1 - p that bit is no longer the last.
    """
    values = [_logistic(score) for score in scores.reshape(-1).tolist()]
    return np.array(values, scores.dtype).reshape(scores.shape)


def _logistic(score: float) -> float:
    try:
        return 1.0 / (1.0 + math.exp(-score))
    except OverflowError:
        return 0.0


def _normalized(shares: Scores) -> Scores:
    total = shares.sum(axis=1)
    is_nothing = total == 0
    if is_nothing.any():
        shares[is_nothing] = 1
        total[is_nothing] = shares.shape[1]
    shares /= total.reshape(-1, 1)
    return shares


def _softmax(scores: Scores) -> Scores:
    shares: Scores = scores - scores.max(axis=1).reshape(-1, 1)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis=1).reshape(-1, 1)
    return shares
