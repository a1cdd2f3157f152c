"""Proof that an engine answers as its model does: labels the same, numbers within 1e-12.

In the model's process, after it was warmed up. What a model refuses, its engine has to refuse with
the same words. A method that differs anywhere is not the engine's.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from gateway.serving.engines.assembling import finisher_of
from gateway.serving.engines.comparing import Native
from gateway.serving.engines.comparison import Comparison
from gateway.serving.engines.conversion import Draft, convert
from gateway.serving.engines.description import TAKEN, Description
from gateway.serving.engines.engine import Engine
from gateway.serving.engines.folder import write_engine
from gateway.serving.engines.graph_proof import make_graph_engine
from gateway.serving.engines.no_engine import NoEngine
from gateway.serving.engines.proof_tables import proof_tables
from gateway.serving.engines.tuning import tune
from gateway.serving.engines.within import make_engine_within

_ONNX = "onnx"
_SKLEARN = "sklearn"
_FLAVORS = frozenset({"lightgbm", _SKLEARN, "xgboost"})


def make_engine(model: Native, folder: Path, tolerance: float = 0.0) -> str:
    """Make, prove and write the engine of a model, if it has one.

    Args:
        model: Loaded and warm.
        folder: Empty; written to only when there is an engine.
        tolerance: Within which a graph may answer where nothing answers exactly; 0 for never.

    Returns:
        Why there is none, in one sentence, or an empty text.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            _make_any(model, folder, tolerance)
    except NoEngine as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - a model that cannot be read has no engine
        return f"Making an engine of it raised {type(error).__name__}."
    return ""


def _make_any(model: Native, folder: Path, tolerance: float) -> None:
    """Make the exact engine, or else the one that a tolerance was stated for."""
    try:
        _make_engine(model, folder)
    except NoEngine as error:
        if not tolerance or model.flavor != _SKLEARN:
            raise
        try:
            make_engine_within(model, folder, tolerance)
        except NoEngine as other:
            raise NoEngine(f"{error} {other}") from other


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
    comparison = Comparison(model, draft, Engine(description, draft.arrays))
    proved = tuple(method for method in methods if not comparison.difference(method))
    if model.default_method not in proved:
        where = comparison.difference(model.default_method)
        raise NoEngine(f"The engine made of {draft.kind} answered otherwise than it {where}.")
    if not comparison.sample:
        raise NoEngine(f"The engine made of {draft.kind} takes no rows that it was tried with.")
    dtypes = tuple(dtype for dtype in TAKEN if comparison.agrees_on(dtype, [model.default_method]))
    description = replace(description, methods=proved, sample=comparison.sample, dtypes=dtypes)
    write_engine(folder, _allow_missing_text(model, draft, description), draft.arrays)


def _allow_missing_text(model: Native, draft: Draft, description: Description) -> Description:
    """Have the engine take missing texts, too, if it answers them as the model does."""
    if not draft.wordings:
        return description
    allowing = replace(description, takes_missing_text=True)
    comparison = Comparison(model, draft, Engine(allowing, draft.arrays))
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
