"""Proof that an engine answers as its model does: labels the same, numbers within 1e-12.

In the model's process, after it was warmed up. What a model refuses, its engine has to refuse with
the same words. A method that differs anywhere is not the engine's.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.serving.engines.conversion import Draft, NoEngine, convert
from gateway.serving.engines.description import Description, Trees
from gateway.serving.engines.engine import Engine
from gateway.serving.engines.finishing import make_finisher
from gateway.serving.engines.folder import write_engine
from gateway.serving.engines.proof_rows import proof_rows
from registry.signature import Signature
from registry.tensors import PREDICT_METHOD, Batch, Prediction
from tracking.errors import StagedoorError

TOLERANCE = 1e-12
"""How far numbers may be apart, relative to the larger."""

_SKLEARN = "sklearn"
_COMPARED_ROWS = (1, 4, 16, 64, 256)
_TIMED_S = 0.004


class Native(Protocol):
    """What proving needs of a loaded model."""

    native: Any

    @property
    def signature(self) -> Signature | None:
        """What it takes and gives, or none."""

    @property
    def flavor(self) -> str:
        """How it was loaded."""

    @property
    def default_method(self) -> str:
        """The method that is asked for by default."""

    def input_example(self) -> Batch | None:
        """Return the rows it was saved with, or ``None``."""

    def predict_batch(self, batch: Batch, params: Mapping[str, Any]) -> Prediction:
        """Answer one batch."""


def make_engine(model: Native, folder: Path) -> str:
    """Make, prove and write the engine of a model, if it has one.

    Args:
        model: Loaded and warm.
        folder: Empty; written to only when there is an engine.

    Returns:
        Why there is none, in one sentence, or an empty text.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            _make_engine(model, folder)
    except NoEngine as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a model that cannot be read has no engine
        return f"Making an engine of it raised {type(error).__name__}."
    return ""


def _make_engine(model: Native, folder: Path) -> None:
    if model.flavor != _SKLEARN:
        raise NoEngine(f"Models of the flavor {model.flavor!r} have no engine yet.")
    draft = _tune(convert(model.native))
    methods = tuple(_methods(model, draft))
    if model.default_method not in methods:
        raise NoEngine(f"{model.default_method!r} of {draft.kind} has no engine.")
    engine = Engine(_describe(model, draft, methods), draft.arrays)
    proved = tuple(method for method in methods if not _difference(model, engine, draft, method))
    if model.default_method not in proved:
        where = _difference(model, engine, draft, model.default_method)
        raise NoEngine(f"The engine made of {draft.kind} answered otherwise than it {where}.")
    write_engine(folder, _describe(model, draft, proved), draft.arrays)


def _describe(model: Native, draft: Draft, methods: Sequence[str]) -> Description:
    return Description(
        kind=draft.kind,
        width=draft.width,
        names=draft.names,
        steps=draft.steps,
        finish=draft.finish,
        methods=tuple(methods),
        default_method=model.default_method,
    )


def _methods(model: Native, draft: Draft) -> list[str]:
    finisher = make_finisher(draft.finish, draft.arrays.get("classes"), 1)
    return [method for method in finisher.methods if hasattr(model.native, method)]


def _difference(model: Native, engine: Engine, draft: Draft, method: str) -> str:
    """Return where engine and model differ, to complete a sentence, or an empty text."""
    for rows in proof_rows(draft, _example(model, engine), model.signature):
        batch = Batch(draft.names or (), (rows,), is_matrix=True)
        expected = _outcome(partial(model.predict_batch, batch, {PREDICT_METHOD: method}))
        found = _outcome(partial(engine.predict_batch, batch, method))
        if not _same(expected, found):
            return f"in {method!r} on rows of {rows.dtype} and shape {rows.shape}"
    return ""


def _example(model: Native, engine: Engine) -> NDArray[Any] | None:
    example = model.input_example()
    return None if example is None else engine.arrange(example)


def _outcome(ask: Callable[[], Prediction | None]) -> Prediction | tuple[str, str] | None:
    try:
        return ask()
    except StagedoorError as error:
        return (error.code, error.message)


def _same(expected: object, found: object) -> bool:
    if not isinstance(expected, Prediction) or not isinstance(found, Prediction):
        return expected == found
    if expected.names != found.names or len(expected.arrays) != len(found.arrays):
        return False
    return all(map(_alike, expected.arrays, found.arrays))


def _alike(expected: NDArray[Any], found: NDArray[Any]) -> bool:
    if expected.dtype != found.dtype or expected.shape != found.shape:
        return False
    if expected.dtype.kind != "f":
        return bool((expected == found).all())
    return bool(np.isclose(found, expected, rtol=TOLERANCE, atol=0.0, equal_nan=True).all())


def _tune(draft: Draft) -> Draft:
    """Find out from how many rows on the table of trees is faster than the walk, if ever."""
    last = draft.steps[-1]
    if not isinstance(last, Trees) or not last.table_from_rows:
        return draft
    rows = np.zeros((max(_COMPARED_ROWS), draft.width))
    walk, table = (_timed_engine(draft, replace(last, table_from_rows=n)) for n in (0, 1))
    faster = [n for n in _COMPARED_ROWS if _time(table, rows[:n]) < _time(walk, rows[:n])]
    tuned = replace(last, table_from_rows=min(faster, default=0))
    return replace(draft, steps=(*draft.steps[:-1], tuned))


def _timed_engine(draft: Draft, last: Trees) -> Callable[[NDArray[Any]], object]:
    steps = (*draft.steps[:-1], last)
    described = Description(
        draft.kind, draft.width, draft.names, steps, draft.finish, ("predict",), "predict"
    )
    engine = Engine(described, draft.arrays)
    return lambda rows: engine.answer(rows, "predict")


def _time(ask: Callable[[NDArray[Any]], object], rows: NDArray[Any]) -> float:
    """Return the least time of several calls, in seconds."""
    ask(rows)
    least, ends_at = np.inf, time.perf_counter() + _TIMED_S
    while (started := time.perf_counter()) < ends_at:
        ask(rows)
        least = min(least, time.perf_counter() - started)
    return float(least)
