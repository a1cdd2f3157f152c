"""Several engines, and what is made of their answers. Pure.

Voting, bagging and calibration end with it; stacking goes on with the answers as its columns.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine, Calibration, Combining
from gateway.serving.engines.description import Ensemble as Described
from gateway.serving.engines.finishing import expit
from gateway.serving.engines.refusal import Refused, all_numbers
from gateway.serving.engines.scaling import Step

Answer = NDArray[Any]
Calibrate = Callable[[Answer], Answer]

_MATRIX = 2
_PAIR = 2
_SLIGHTLY_MORE_THAN_ONE = 1.0 + 1e-5


class Voice(Struct, frozen=True):
    """A member of an ensemble, ready to answer.

    Args:
        columns: Which ones it looks at; none for all.
        steps: What is done with rows, to scores.
        finish: From scores to its answer.
        calibrate: What is done with that; none for nothing.
    """

    columns: NDArray[np.intp] | None
    steps: Sequence[Step]
    finish: Callable[[Answer], Answer]
    calibrate: Calibrate | None

    def answer(self, rows: NDArray[Any]) -> Answer:
        """Return the member's answer to rows."""
        found = rows if self.columns is None else rows[:, self.columns]
        for step in self.steps:
            found = step(found)
        found = self.finish(found)
        return found if self.calibrate is None else self.calibrate(found)


class Ensemble:
    """Immutable, safe from any thread.

    Args:
        described: How the answers are put together.
        voices: Its members.
        weights: Of each; none where all weigh the same.
    """

    def __init__(
        self, described: Described, voices: Sequence[Voice], weights: NDArray[Any] | None
    ) -> None:
        self._described = described
        self._voices = voices
        self._weights = weights

    def __call__(self, rows: NDArray[Any]) -> Answer:
        """Return scores, or columns for the next step.

        Raises:
            Refused: A member does.
        """
        answers = [voice.answer(rows) for voice in self._voices]
        match self._described.combining:
            case Combining.MEAN:
                mean: Answer = np.average(np.asarray(answers), axis=0, weights=self._weights)
                return mean
            case Combining.SUM:
                return _sum(answers)
            case Combining.VOTES:
                return self._count(answers)
            case Combining.BESIDE:
                return self._put_beside(answers, rows)

    def _count(self, answers: Sequence[Answer]) -> Answer:
        """Return how much weight each label has; members answer with places of labels."""
        counts = np.zeros((len(answers[0]), self._described.width))
        here = np.arange(len(counts))
        weights = np.ones(len(answers)) if self._weights is None else self._weights
        for answer, weight in zip(answers, weights, strict=True):
            counts[here, answer] += weight
        return counts

    def _put_beside(self, answers: Sequence[Answer], rows: NDArray[Any]) -> Answer:
        columns = [_as_columns(answer, self._described.drops_first) for answer in answers]
        if self._described.passes_rows:
            columns.append(rows)
        beside = np.hstack(columns)
        if beside.shape[1] != self._described.width:
            raise ValueError(beside.shape)
        return beside


def make_ensemble(
    described: Described, voices: Sequence[Voice], arrays: Mapping[str, NDArray[Any]]
) -> Ensemble:
    """Check what an ensemble is put together by, and return it.

    Raises:
        BadEngine: There are no members, or no weight for each.
    """
    if not voices or described.width < 1:
        raise BadEngine("An ensemble has no members, or nothing comes out.")
    weights = arrays.get("weights")
    if weights is not None and (weights.shape != (len(voices),) or weights.dtype.kind not in "iuf"):
        raise BadEngine("There is not one weight for each member.")
    return Ensemble(described, voices, weights)


def make_calibration(
    calibration: Calibration, arrays: Mapping[str, NDArray[Any]], scores: int
) -> Calibrate | None:
    """Check the arrays of a calibration and return it.

    Args:
        calibration: Its kind.
        arrays: What it goes by.
        scores: How many it is given for a row.

    Raises:
        BadEngine: They do not fit.
    """
    curves: list[Callable[[Answer], Answer]]
    match calibration:
        case Calibration.NONE:
            return None
        case Calibration.SIGMOID:
            slopes = _floats(arrays, "slopes", (scores,))
            intercepts = _floats(arrays, "intercepts", (scores,))
            curves = [_Sigmoid(*pair) for pair in zip(slopes, intercepts, strict=True)]
        case Calibration.ISOTONIC:
            curves = [_make_steps_of(arrays, at) for at in range(scores)]
    return _Calibrator(curves)


class _Sigmoid(Struct, frozen=True):
    slope: Any
    intercept: Any

    def __call__(self, scores: Answer) -> Answer:
        return expit(-(self.slope * scores + self.intercept))


class _Isotonic(Struct, frozen=True):
    at: NDArray[np.float64]
    becomes: NDArray[np.float64]

    def __call__(self, scores: Answer) -> Answer:
        scores = scores.astype(np.float64)
        if not all_numbers(scores):
            raise Refused
        inside = np.clip(scores, self.at[0], self.at[-1])
        found: Answer = np.interp(inside, self.at, self.becomes)
        return found


class _Calibrator(Struct, frozen=True):
    """From a member's scores to probabilities: a curve for each class, one for two of them."""

    curves: Sequence[Callable[[Answer], Answer]]

    def __call__(self, scores: Answer) -> Answer:
        if len(self.curves) == 1:
            likely = self.curves[0](scores[:, 1] if scores.ndim == _MATRIX else scores)
            shares: Answer = np.stack([1.0 - likely, likely], axis=1)
        else:
            columns = zip(self.curves, scores.T, strict=True)
            shares = np.stack([curve(column) for curve, column in columns], axis=1)
            total = np.sum(shares, axis=1)[:, None]
            equal = np.full_like(shares, 1 / len(self.curves))
            shares = np.divide(shares, total, out=equal, where=total != 0)
        shares[(shares > 1.0) & (shares <= _SLIGHTLY_MORE_THAN_ONE)] = 1.0
        return shares


def _make_steps_of(arrays: Mapping[str, NDArray[Any]], at: int) -> _Isotonic:
    places = _floats(arrays, f"at{at}", None)
    becomes = _floats(arrays, f"becomes{at}", places.shape)
    if not (np.diff(places) > 0).all():
        raise BadEngine("A curve goes back.")
    return _Isotonic(places, becomes)


def _floats(
    arrays: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...] | None
) -> NDArray[np.float64]:
    array = arrays.get(name)
    if array is None or array.dtype != np.float64 or array.ndim != 1 or not array.size:
        raise BadEngine(f"The array {name!r} of a calibration is missing, or has another form.")
    if shape is not None and array.shape != shape:
        raise BadEngine(f"The array {name!r} of a calibration has another length.")
    return array


def _sum(answers: Sequence[Answer]) -> Answer:
    """Add up answers in order; probabilities in float64, whatever they come in."""
    first = answers[0]
    total = np.zeros(first.shape, np.float64 if first.ndim == _MATRIX else first.dtype)
    for answer in answers:
        total = total + answer
    return total


def _as_columns(answer: Answer, drops_first: bool) -> Answer:  # noqa: FBT001 - private
    """Return an answer as columns; of two probabilities the second tells all."""
    if answer.ndim < _MATRIX:
        return answer.reshape(-1, 1)
    return answer[:, 1:] if drops_first and answer.shape[1] == _PAIR else answer
