"""What a library's model gave back, turned into a ``Prediction``. Pure; runs where the model runs.

Nothing but plain data leaves: numbers, booleans and text. Times become ISO text.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.tensors import Prediction
from tracking.errors import ModelFailed

_OUTPUT = "output"


def to_prediction(answer: Any, rows: int | None = None) -> Prediction:
    """Name and flatten an answer.

    Args:
        answer: An array, a DataFrame, a Series, a sparse matrix, a mapping of name to array, or a
            list or tuple of values or of arrays; first axis rows.
        rows: How many rows it must have; unset takes what there is, a single value as one row.

    Raises:
        ModelFailed: It has another number of rows, or is none of these.
    """
    prediction = _named(answer)
    if rows is None:
        arrays = tuple(np.atleast_1d(array) for array in prediction.arrays)
        return Prediction(prediction.names, arrays, prediction.is_table)
    for name, array in zip(prediction.names, prediction.arrays, strict=True):
        if array.ndim == 0 or array.shape[0] != rows:
            answered = "a single value" if array.ndim == 0 else f"{array.shape[0]} rows"
            raise ModelFailed(
                f"The model was asked for {rows} rows and gave {answered} in {name!r}."
            )
    return prediction


def _named(answer: Any) -> Prediction:
    if hasattr(answer, "columns"):
        names = tuple(str(name) for name in answer.columns)
        arrays = tuple(_plain(answer.iloc[:, at]) for at in range(len(names)))
        return Prediction(names=names, arrays=arrays, is_table=True)
    if isinstance(answer, Mapping):
        arrays = tuple(_plain(array) for array in answer.values())
        return Prediction(names=tuple(str(name) for name in answer), arrays=arrays)
    # An estimator with several outputs answers predict_proba with a list, one array for each.
    if isinstance(answer, list | tuple) and answer and isinstance(answer[0], np.ndarray):
        names = tuple(f"{_OUTPUT}_{at}" for at in range(len(answer)))
        return Prediction(names=names, arrays=tuple(_plain(array) for array in answer))
    return Prediction(names=(_OUTPUT,), arrays=(_plain(answer),))


def _plain(values: Any) -> NDArray[Any]:
    try:
        array = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    except ValueError as error:
        raise ModelFailed("The model gave rows of several lengths, which are no array.") from error
    match array.dtype.kind:
        case "b" | "i" | "u":
            return array
        case "f":
            return (
                array.astype(np.float64)
                if array.dtype.itemsize > np.dtype(float).itemsize
                else array
            )
        case "U":
            return array.astype(object)
        case "M":
            return np.datetime_as_string(array).astype(object)
        case "O":
            return _plain_objects(array)
        case _:
            raise ModelFailed(
                f"The model gave values of dtype {array.dtype.name!r}, not plain data."
            )


def _plain_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as a number array and text as it is; anything else is refused."""
    values = array.ravel().tolist()
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        return array.astype(bool)
    if values and all(_is_number(value) for value in values):
        return np.asarray(array.tolist())
    if all(value is None or isinstance(value, str) for value in values):
        return array
    odd = next(value for value in values if not (value is None or isinstance(value, str)))
    raise ModelFailed(f"The model gave values of type {type(odd).__name__!r}, not plain data.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
