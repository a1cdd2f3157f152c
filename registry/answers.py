"""What a library's model gave back, turned into a ``Prediction``. Pure; runs where the model runs.

Nothing but plain data leaves: numbers, booleans, text and bytes, and what JSON makes of them. Times
become ISO text.
"""

import math
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.pieces import plain_piece
from registry.tensors import Prediction
from tracking.errors import ModelFailed

_OUTPUT = "output"
_TEXTS = frozenset({str, bytes, NoneType})
_NUMBERS = frozenset({int, float})


def to_prediction(answer: Any, rows: int, *, exact: bool = True) -> Prediction:
    """Name and flatten an answer.

    Args:
        answer: An array, a DataFrame, a Series, a sparse matrix, a mapping of name to array, or a
            list or tuple of values, of objects or of arrays; first axis rows. The answer to a
            single row may be whatever JSON can hold: text, a number, an object, nothing.
        rows: How many rows were asked for.
        exact: Whether it must have as many rows; else a single value is the whole answer.

    Raises:
        ModelFailed: It has another number of rows, or is none of these.
    """
    if _is_whole(answer) if rows == 1 else not exact and _is_single(answer):
        return _whole(plain_piece(answer))
    prediction = _named(answer)
    if not exact:
        return prediction
    for name, array in zip(prediction.names, prediction.arrays, strict=True):
        if array.ndim == 0 or array.shape[0] != rows:
            answered = "a single value" if array.ndim == 0 else f"{array.shape[0]} rows"
            raise ModelFailed(
                f"The model was asked for {rows} rows and gave {answered} in {name!r}."
            )
    return prediction


def documents_prediction(answers: Sequence[Any]) -> Prediction:
    """Return answers to documents: each whatever JSON can hold.

    Raises:
        ModelFailed: One is something else.
    """
    cells = _objects([plain_piece(answer) for answer in answers])
    return Prediction(names=(_OUTPUT,), arrays=(cells,), is_whole=True)


def _is_whole(answer: Any) -> bool:
    """Say whether an answer to one row is the answer itself, and no list of one."""
    if isinstance(answer, Mapping):
        return not (answer and all(_is_list_of_one(value) for value in answer.values()))
    if hasattr(answer, "columns") or hasattr(answer, "toarray"):
        return False
    if hasattr(answer, "__array__"):
        return np.ndim(answer) == 0
    return isinstance(answer, str | bytes) or not isinstance(answer, Sequence)


def _is_list_of_one(value: Any) -> bool:
    is_list = isinstance(value, list | tuple)
    return len(value) == 1 if is_list else getattr(value, "shape", ())[:1] == (1,)


def _is_single(answer: Any) -> bool:
    """Say whether an answer to many rows is one answer to all of them."""
    if isinstance(answer, Mapping):
        return not answer or any(_is_single(value) for value in answer.values())
    return _is_whole(answer)


def _whole(answer: Any) -> Prediction:
    if isinstance(answer, dict) and answer:
        arrays = tuple(_typed([value]) for value in answer.values())
        return Prediction(names=tuple(answer), arrays=arrays, is_table=True, is_whole=True)
    return Prediction(names=(_OUTPUT,), arrays=(_typed([answer]),), is_whole=True)


def _named(answer: Any) -> Prediction:
    if hasattr(answer, "columns"):
        names = tuple(str(name) for name in answer.columns)
        arrays = tuple(_plain(answer.iloc[:, at]) for at in range(len(names)))
        return Prediction(names=names, arrays=arrays, is_table=True)
    if isinstance(answer, Mapping):
        arrays = tuple(_plain(array) for array in answer.values())
        return Prediction(names=tuple(str(name) for name in answer), arrays=arrays)
    if _are_records(answer):
        names = tuple(answer[0])
        arrays = tuple(_plain([row[name] for row in answer]) for name in names)
        return Prediction(names=tuple(map(str, names)), arrays=arrays, is_table=True)
    # An estimator with several outputs answers predict_proba with a list, one array for each.
    if isinstance(answer, list | tuple) and answer and isinstance(answer[0], np.ndarray):
        names = tuple(f"{_OUTPUT}_{at}" for at in range(len(answer)))
        return Prediction(names=names, arrays=tuple(_plain(array) for array in answer))
    return Prediction(names=(_OUTPUT,), arrays=(_plain(answer),))


def _are_records(answer: Any) -> bool:
    """Say whether it is one object for each row, all with the same names: a table."""
    if not (isinstance(answer, list | tuple) and answer and isinstance(answer[0], Mapping)):
        return False
    names = answer[0].keys()
    return bool(names) and all(isinstance(row, Mapping) and row.keys() == names for row in answer)


def _plain(values: Any) -> NDArray[Any]:
    array = _array(values)
    match array.dtype.kind:
        case "b" | "i" | "u":
            return array
        case "f":
            return (
                array.astype(np.float64)
                if array.dtype.itemsize > np.dtype(float).itemsize
                else array
            )
        case "U" | "S":
            return array.astype(object)
        case "M":
            return np.datetime_as_string(array).astype(object)
        case "O":
            return _plain_objects(array)
        case _:
            raise ModelFailed(
                f"The model gave values of dtype {array.dtype.name!r}, not plain data."
            )


def _array(values: Any) -> NDArray[Any]:
    try:
        array = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    except ValueError:  # rows of several lengths
        return _objects(values)
    if array.dtype.kind in "US" and isinstance(values, list | tuple):
        return np.asarray(values, dtype=object)  # numpy writes numbers beside text as text
    return array


def _plain_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as a number array and text as it is; else each cell is what JSON has."""
    values = array.ravel().tolist()
    if values and all(_is_number(value) for value in values):
        return np.asarray(array.tolist())
    if _TEXTS.issuperset(map(type, values)):
        return array
    texts = [None if _is_gap(value) else value for value in values]
    if _TEXTS.issuperset(map(type, texts)) and set(map(type, texts)) != {NoneType}:
        return _objects(texts).reshape(array.shape)
    return _typed([plain_piece(value) for value in values]).reshape(array.shape)


def _typed(values: list[Any]) -> NDArray[Any]:
    """Return plain values as an array of their own type, if they have one."""
    kinds = set(map(type, values))
    if kinds == {bool} or (kinds and kinds <= _NUMBERS):
        return np.asarray(values)
    if kinds == {float, NoneType}:
        return np.asarray(values, dtype=np.float64)
    return _objects(values)


def _objects(values: Any) -> NDArray[Any]:
    """Return an array of cells; numpy's own ways look into those that are lists."""
    return np.fromiter(values, dtype=object, count=len(values))


def _is_gap(value: Any) -> bool:
    """Say whether it is what pandas has for a text that is missing."""
    return isinstance(value, float) and math.isnan(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
