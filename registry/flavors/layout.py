"""A batch, or a user's data, in the form that a library of models takes: matrix or DataFrame."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.tensors import Batch


def arrange(model: Any, batch: Batch) -> Any:
    """Return a batch as a DataFrame if the estimator was fitted with names, else as a matrix."""
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is None:
        return to_matrix(batch)
    names = batch.names or tuple(map(str, fitted))
    frame = to_frame(names, batch)
    if set(names) == set(fitted):
        return frame[list(fitted)]
    return frame


def to_matrix(batch: Batch) -> NDArray[Any]:
    """Return a batch as one array."""
    if batch.is_matrix:
        return batch.arrays[0]
    if len(batch.arrays) == 1 and batch.arrays[0].ndim > 1:
        return batch.arrays[0]
    return np.column_stack(batch.arrays)


def to_frame(names: tuple[str, ...], batch: Batch) -> Any:
    """Return a batch as a DataFrame; a matrix of another width than names stays one."""
    import pandas as pd

    if not batch.is_matrix:
        columns = map(_mark_missing, batch.arrays)
        return pd.DataFrame(dict(zip(names, columns, strict=True)))
    matrix = batch.arrays[0]
    if matrix.ndim != 2 or matrix.shape[1] != len(names):  # noqa: PLR2004 - rows and columns
        return matrix
    return pd.DataFrame(matrix, columns=list(names))


def _mark_missing(column: NDArray[Any]) -> NDArray[Any]:
    """Write NaN for None, as pandas does in a column that holds text besides.

    In one that holds nothing else it does not, and models tell the two apart: the answer to a row
    must not depend on which others come with it.
    """
    if column.dtype.kind != "O" or all(cell is not None for cell in column.flat):
        return column
    marked = column.copy()
    marked[[cell is None for cell in column]] = np.nan
    return marked


def shape(model: Any, data: Any) -> Any:
    """Return a user's rows as an estimator takes them."""
    import pandas as pd

    if isinstance(data, Mapping):
        return pd.DataFrame(dict(data))
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        return pd.DataFrame.from_records(data)
    array = np.asarray(data) if isinstance(data, list | tuple) else data
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is not None and isinstance(array, np.ndarray) and array.shape[1:] == (len(fitted),):
        return pd.DataFrame(array, columns=fitted)
    return array
