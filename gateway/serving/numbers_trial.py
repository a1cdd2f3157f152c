"""Whether a model without a signature takes numbers only: found out by trial, in its process.

Once, when it is loaded and warm. Only estimators that are made of libraries' parts are tried: they
answer rows, and do nothing else. A text in any column has to be refused, whichever it is.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.merging import Rowwise, goes_by_rows
from gateway.serving.numbers_only import NumbersOnly
from gateway.serving.time_limit import TookTooLong, within
from registry.tensors import Batch
from tracking.errors import ModelFailed

_MOST_COLUMNS = 64
_LONGEST_S = 2.0
_TEXT = "text"
_MATRIX = 2


def find_numbers_only(model: Rowwise) -> NumbersOnly | None:
    """Return which columns have to be numbers; none where that is not known, or is not so.

    Args:
        model: Loaded and warm.
    """
    if (model.signature is not None and model.signature.inputs) or not goes_by_rows(model):
        return None
    try:
        with within(_LONGEST_S), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _try_out(model)
    except (Exception, TookTooLong):  # noqa: BLE001 - nobody sent these rows
        return None


def _try_out(model: Rowwise) -> NumbersOnly | None:
    fitted = getattr(model.native, "feature_names_in_", None)
    row = _one_row(model)
    if row is None or not 0 < len(row) <= _MOST_COLUMNS:
        return None
    names = tuple(map(str, range(len(row)) if fitted is None else fitted))
    if not _takes(model, names, row):
        return None
    for at in range(len(row)):
        told = list(row)
        told[at] = _cell(_TEXT, object)
        if _takes(model, names, told):
            return None
    return NumbersOnly(() if fitted is None else names)


def _takes(model: Rowwise, names: tuple[str, ...], row: list[NDArray[Any]]) -> bool:
    try:
        model.predict_batch(Batch(names, tuple(row), is_matrix=False), {})
    except ModelFailed as error:
        if not isinstance(error.__cause__, ValueError | TypeError):
            raise
        return False
    return True


def _one_row(model: Rowwise) -> list[NDArray[Any]] | None:
    """Return the cells of a row of numbers that the model may take, as columns."""
    example = model.input_example()
    if example is not None:
        rows = example.arrays[0]
        is_fit = example.is_matrix and rows.ndim == _MATRIX and rows.dtype.kind in "fiu"
        return list(rows[:1].T) if is_fit else None
    width = getattr(model.native, "n_features_in_", None)
    return [_cell(1.0, np.float64)] * width if isinstance(width, int) else None


def _cell(value: Any, dtype: Any) -> NDArray[Any]:
    return np.array([value], dtype=dtype)
