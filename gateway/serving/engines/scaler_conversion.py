"""Fitted scalers as operations on columns. In the model's process."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import Operation, Scaling, Verb

_Scaler = tuple[Scaling, list[NDArray[Any]]]


def convert_scaler(estimator: Any) -> _Scaler:
    """Return the operations of a scaler and their arrays."""
    parts = SCALERS[type(estimator).__name__](estimator)
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


SCALERS: Mapping[str, Callable[[Any], _Parts]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
}
