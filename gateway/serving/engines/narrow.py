"""Exponentials in float32 by the C library, as XGBoost calls it. Pure.

numpy's own differ in the last bit, which in float32 is the seventh digit.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LIBRARY = ctypes.CDLL(None)
_expf = _LIBRARY.expf
_expf.restype, _expf.argtypes = ctypes.c_float, [ctypes.c_float]

_ONE = np.float32(1)
_LARGEST = np.float32(88.7)


def exp(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Return the exponential of each score."""
    values = [_expf(score) for score in scores.reshape(-1).tolist()]
    return np.array(values, np.float32).reshape(scores.shape)


def expit(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Return the logistic function of each score; the exponent is kept from overflowing."""
    found: NDArray[np.float32] = _ONE / (exp(np.minimum(-scores, _LARGEST)) + _ONE)
    return found


def softmax(scores: NDArray[Any]) -> NDArray[np.float32]:
    """Return shares of the classes; their sum is taken in float64, one after the other."""
    shares = exp(scores - scores.max(axis=1).reshape(-1, 1))
    total = np.add.accumulate(shares, axis=1, dtype=np.float64)[:, -1:]
    shares /= total.astype(np.float32)
    return shares
