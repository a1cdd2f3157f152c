"""Proof that an engine answers as its model does: labels the same, numbers within 1e-12.

In the model's process, after it was warmed up. What a model refuses, its engine has to refuse with
the same words. A method that differs anywhere is not the engine's.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.serving.engines.assembling import finisher_of
from gateway.serving.engines.comparing import Native, outcome, same
from gateway.serving.engines.conversion import Draft, convert
from gateway.serving.engines.description import TAKEN, Columns, Description, Encoding
from gateway.serving.engines.engine import Engine
from gateway.serving.engines.folder import write_engine
from gateway.serving.engines.graph_proof import make_graph_engine
from gateway.serving.engines.no_engine import NoEngine
from gateway.serving.engines.proof_rows import proof_rows, typed_rows
from gateway.serving.engines.proof_tables import proof_tables
from gateway.serving.engines.tuning import tune
from registry.tensors import PREDICT_METHOD, Batch, Prediction

_ONNX = "onnx"
_FLAVORS = frozenset({"lightgbm", "sklearn", "xgboost"})


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
    if model.flavor == _ONNX:
        make_graph_engine(model, folder)
        return
    if model.flavor not in _FLAVORS:
        raise NoEngine(f"Models of the flavor {model.flavor!r} have no engine yet.")
    draft = tune(convert(model.native))
    methods = tuple(_methods(model, draft))
    if model.default_method not in methods:
        raise NoEngine(f"{model.default_method!r} of {draft.kind} has no engine.")
    description = _describe(model, draft, methods)
    comparison = _Comparison(model, draft, Engine(description, draft.arrays))
    proved = tuple(method for method in methods if not comparison.difference(method))
    if model.default_method not in proved:
        where = comparison.difference(model.default_method)
        raise NoEngine(f"The engine made of {draft.kind} answered otherwise than it {where}.")
    if not comparison.sample:
        raise NoEngine(f"The engine made of {draft.kind} takes no rows that it was tried with.")
    dtypes = tuple(dtype for dtype in TAKEN if comparison.agrees_on(dtype))
    description = replace(description, methods=proved, sample=comparison.sample, dtypes=dtypes)
    write_engine(folder, _allow_missing_text(model, draft, description), draft.arrays)


def _allow_missing_text(model: Native, draft: Draft, description: Description) -> Description:
    """Have the engine take missing texts, too, if it answers them as the model does."""
    if not draft.wordings:
        return description
    allowing = replace(description, takes_missing_text=True)
    comparison = _Comparison(model, draft, Engine(allowing, draft.arrays))
    tables = tuple(proof_tables(draft, comparison.example, model.signature, is_gappy=True))
    if any(comparison.difference(method, tables) for method in description.methods):
        return description
    return allowing


def _describe(model: Native, draft: Draft, methods: Sequence[str]) -> Description:
    return Description(
        kind=draft.kind,
        width=draft.width,
        names=draft.names,
        steps=draft.steps,
        finish=draft.finish,
        methods=tuple(methods),
        default_method=model.default_method,
        wordings=draft.wordings,
        leaves_shapes=draft.leaves_shapes,
    )


def _methods(model: Native, draft: Draft) -> list[str]:
    finisher = finisher_of(draft.steps, draft.finish, draft.arrays.get("classes"))
    return [method for method in finisher.methods if hasattr(model.native, method)]


class _Comparison:
    """A model and the engine made of it, asked the same."""

    def __init__(self, model: Native, draft: Draft, engine: Engine) -> None:
        self._model = model
        self._draft = draft
        self._engine = engine
        self.example = _example(model, engine)
        self.sample: tuple[float, ...] = ()

    def difference(self, method: str, batches: Iterable[Batch] | None = None) -> str:
        """Return where engine and model differ, to complete a sentence, or an empty text."""
        for batch in self._batches() if batches is None else batches:
            found = outcome(partial(self._engine.predict_batch, batch, method))
            if found is None:
                # Left to the model, which answers as it does.
                continue
            expected = outcome(partial(self._model.predict_batch, batch, {PREDICT_METHOD: method}))
            if not same(expected, found):
                return f"in {method!r} on {_describe_rows(batch)}"
            if isinstance(found, Prediction):
                self._keep_sample(batch)
        return ""

    def agrees_on(self, dtype: str) -> bool:
        """Whether both answer rows of a type alike, with names and without."""
        names = self._draft.names or ()
        batches = [
            Batch(some, (rows,), is_matrix=True)
            for rows in typed_rows(self._draft, self.example, dtype)
            for some in dict.fromkeys(((), names))
        ]
        return not self.difference(self._model.default_method, batches)

    def _batches(self) -> Iterator[Batch]:
        draft, signature = self._draft, self._model.signature
        for rows in proof_rows(draft, self.example, signature):
            yield Batch(draft.names or (), (rows,), is_matrix=True)
        if draft.names is not None and isinstance(draft.steps[0], Columns | Encoding):
            yield from proof_tables(draft, self.example, signature)

    def _keep_sample(self, batch: Batch) -> None:
        rows = None if self.sample else self._engine.arrange(batch)
        if rows is not None:
            self.sample = tuple(map(float, np.nan_to_num(rows[0])))


def _describe_rows(batch: Batch) -> str:
    if not batch.is_matrix:
        return f"a table of {batch.rows} rows"
    return f"rows of {batch.arrays[0].dtype} and shape {batch.arrays[0].shape}"


def _example(model: Native, engine: Engine) -> NDArray[Any] | None:
    example = model.input_example()
    return None if example is None else engine.arrange(example)
