"""What rows a model without a signature takes, if numbers only: found by trial, in its process.

Once, when it is loaded and warm. Only estimators that are made of libraries' parts are tried: they
answer rows, and do nothing else. A text in any column has to be refused, whichever it is; then
each column is left out once, one is added, and rows are made narrower and wider.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.merging import Rowwise, goes_by_rows
from gateway.serving.row_form import RowForm
from gateway.serving.time_limit import TookTooLong, within
from registry.tensors import Batch
from tracking.errors import ModelFailed

_MOST_COLUMNS = 64
_LONGEST_S = 2.0
_TEXT = np.array(["text"], dtype=object)
_STRANGE = "a column that no model knows"
_MATRIX = 2


def find_row_form(model: Rowwise) -> RowForm | None:
    """Return what rows it takes; none where that is not known, or texts are among them.

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


def _try_out(model: Rowwise) -> RowForm | None:
    fitted = getattr(model.native, "feature_names_in_", None)
    row = _one_row(model)
    if row is None or not 0 < len(row) <= _MOST_COLUMNS:
        return None
    places = range(len(row))
    names = tuple(map(str, places if fitted is None else fitted))
    if not _takes(model, names, row):
        return None
    if any(_takes(model, names, [*row[:at], _TEXT, *row[at + 1 :]]) for at in places):
        return None
    width = len(row) if _is_strict(model, row) else 0
    if fitted is None or not (required := _required(model, names, row)):
        return RowForm(width=width)
    allows_more = required != names or _takes(model, [*names, _STRANGE], [*row, row[0]])
    return RowForm(names, required, width, allows_more)


def _required(model: Rowwise, names: tuple[str, ...], row: list[NDArray[Any]]) -> tuple[str, ...]:
    """Return the columns without which there is no answer, also where another is in their place."""
    needed = []
    for at, name in enumerate(names):
        left = ([*names[:at], *names[at + 1 :]], [*row[:at], *row[at + 1 :]])
        other = ([*names[:at], _STRANGE, *names[at + 1 :]], row)
        if not _takes(model, *other) and not (left[0] and _takes(model, *left)):
            needed.append(name)
    return tuple(needed)


def _takes(model: Rowwise, names: Sequence[str], row: Sequence[NDArray[Any]]) -> bool:
    return _is_answered(model, Batch(tuple(names), tuple(row), is_matrix=False))


def _is_strict(model: Rowwise, row: list[NDArray[Any]]) -> bool:
    """Whether rows without names have to be as many values, and rows of values."""
    whole = np.column_stack(row)
    others = (whole[:, 1:], np.hstack([whole, whole]), whole[0], whole[:, :, np.newaxis])
    tried = (Batch((), (one,), is_matrix=True) for one in others if one.size)
    return not any(_is_answered(model, one) for one in tried)


def _is_answered(model: Rowwise, batch: Batch) -> bool:
    try:
        model.predict_batch(batch, {})
    except ModelFailed as error:
        if isinstance(error.__cause__, MemoryError):
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
    return [np.ones(1)] * width if isinstance(width, int) else None
