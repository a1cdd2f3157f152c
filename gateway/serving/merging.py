"""Whether a model answers each row for itself: only then may requests share a call of it.

Decided in the runner's process, once, when the model is loaded and warm: by the libraries that are
known to do so, or by trial. A model that is neither known nor proved gets each request alone, as
MLflow asks it; ``queueing`` obeys.
"""

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.serving.batching import Merged, Merging
from gateway.serving.sample_rows import pick, rows_of, several
from gateway.serving.time_limit import TookTooLong, within
from gateway.serving.warmup import Answering
from registry.tensors import Batch, Prediction

_BY_CONTRACT = frozenset({"xgboost", "lightgbm"})
_SKLEARN = "sklearn"
_LIBRARIES = ("sklearn.", "xgboost.", "lightgbm.")
_NOT_BY_ROW = frozenset({"FunctionTransformer"})
"""Part of scikit-learn, but what they do is their author's."""

_LONGEST_S = 10.0
_TOLERANCES = {2: 1e-2, 4: 1e-4, 8: 1e-7}
"""By the width of a number: sums over another number of rows are rounded otherwise."""


class Rowwise(Answering, Protocol):
    """What is asked of a loaded model."""

    native: Any


def find_merging(model: Rowwise, said: bool | None = None) -> Merging:  # noqa: FBT001 - a setting
    """Decide which requests may share a call of a model.

    Args:
        model: Loaded and warm.
        said: What the operator says of it, if anything.
    """
    if said is not None:
        return Merging(Merged.ALWAYS if said else Merged.NEVER, "serving.merge_of says so.")
    if goes_by_rows(model):
        return Merging(Merged.ALWAYS)
    rows = model.input_example() or rows_of(model.signature)
    if rows is None:
        why = "It has no input example to try it with, and no signature to make rows from."
        return Merging(Merged.NEVER, why)
    if why := _refute(model, rows):
        return Merging(Merged.NEVER, why)
    return Merging(Merged.PLAIN, "It was tried without params only.")


def goes_by_rows(model: Rowwise) -> bool:
    """Whether a model is of a library that is known to answer each row for itself."""
    is_known = model.flavor in _BY_CONTRACT
    return is_known or (model.flavor == _SKLEARN and _is_of_libraries(model.native))


def _is_of_libraries(estimator: Any) -> bool:
    """Whether all that an estimator is made of comes from libraries that go by rows."""
    if not hasattr(estimator, "get_params"):
        return False
    try:
        parts = [estimator, *estimator.get_params(deep=True).values()]
    except Exception:  # noqa: BLE001 - an estimator of its author's own may raise anything
        return False
    return all(map(_is_known, parts))


def _is_known(part: Any) -> bool:
    if isinstance(part, FunctionType):
        return False
    if not hasattr(part, "fit"):
        return True
    kind = type(part)
    return f"{kind.__module__}.".startswith(_LIBRARIES) and kind.__name__ not in _NOT_BY_ROW


def _refute(model: Rowwise, example: Batch) -> str:
    """Return why the rows of a call have to stay alone; empty when each is answered for itself."""
    try:
        rows = several(example)
        if rows is None:
            return "There are no two different rows to try it with: save it with such an example."
        with within(_LONGEST_S):
            return _compare(partial(_ask, model), rows)
    except _Unproved as error:
        return str(error)
    except TookTooLong:
        return f"To try whether it answers each row for itself took over {_LONGEST_S:g} s."
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        return f"It raised {type(error).__name__} on rows that it was tried with."


class _Unproved(Exception):
    """A trial has told enough."""


def _ask(model: Rowwise, rows: Batch) -> Prediction:
    answer = model.predict_batch(rows, {})
    if any(array.shape[0] != rows.rows for array in answer.arrays):
        raise _Unproved("It does not give one answer for each row.")
    return answer


def _compare(ask: Callable[[Batch], Prediction], rows: Batch) -> str:
    together = ask(rows)
    places = list(range(rows.rows))
    turned = places[1:] + places[:1]
    alone = [ask(pick(rows, [place])) for place in places[:-1]]
    if not all(_same(_row(together, at), one) for at, one in enumerate([*alone, alone[0]])):
        return "Its answer to a row is another one when other rows are beside it."
    otherwise = ask(pick(rows, turned))
    if not all(_same(_row(otherwise, at), _row(together, was)) for at, was in enumerate(turned)):
        return "Its answer to a row is another one when the rows come in another order."
    return ""


def _row(answer: Prediction, place: int) -> Prediction:
    arrays = tuple(array[place : place + 1] for array in answer.arrays)
    return replace(answer, arrays=arrays)


def _same(one: Prediction, other: Prediction) -> bool:
    kinds = [(some.names, some.is_table, some.is_whole) for some in (one, other)]
    return kinds[0] == kinds[1] and all(map(_equal, one.arrays, other.arrays))


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind not in "fiu" or other.dtype.kind not in "fiu":
        return bool(one.tolist() == other.tolist())
    tolerance = max(_TOLERANCES.get(x.dtype.itemsize, 0.0) for x in (one, other))
    if one.dtype.kind != "f" and other.dtype.kind != "f":
        tolerance = 0.0
    sizes = np.abs(one[np.isfinite(one)])
    largest = float(sizes.max()) if sizes.size else 0.0
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance * largest, equal_nan=True))
