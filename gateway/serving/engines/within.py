"""A scikit-learn model without an exact engine, as a graph that answers within a tolerance.

In the model's process, and only where ``serving.onnx_tolerance_of`` names the model. ``skl2onnx``
makes the graph; what it makes is compared with the model as exact engines are, by ``Comparison``.
"""

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gateway.serving.engines.classes import name_of, stages_of
from gateway.serving.engines.comparing import Native
from gateway.serving.engines.comparison import Comparison
from gateway.serving.engines.conversion import Draft
from gateway.serving.engines.converted_graph import DIGITS, ConvertedGraphEngine
from gateway.serving.engines.description import (
    TAKEN,
    BadEngine,
    Choice,
    ConvertedGraph,
    Finish,
    Linear,
    Link,
)
from gateway.serving.engines.folder import write_graph
from gateway.serving.engines.no_engine import NoEngine
from gateway.serving.engines.proof_rows import dtypes_of
from registry.signature import Signature

_INPUT = "rows"
_METHODS = ("predict", "predict_proba")
_NO_FINISH = Finish(Link.IDENTITY, Choice.NO_CLASS)


def make_engine_within(model: Native, folder: Path, tolerance: float) -> None:
    """Convert a model, prove what came of it and write that.

    Raises:
        NoEngine: It cannot be converted, or answers otherwise than the model.
    """
    _check_signature(model.signature)
    try:
        data, description = _prove(model, tolerance, "DoubleTensorType")
    except NoEngine:
        # ONNX Runtime has some of its steps for float32 alone.
        data, description = _prove(model, tolerance, "FloatTensorType")
    write_graph(folder, description, data)


def _prove(model: Native, tolerance: float, kind: str) -> tuple[bytes, ConvertedGraph]:
    """Return a graph that takes numbers of a kind, and what was proved of it."""
    data, description = _convert(model, tolerance, kind)
    try:
        engine = ConvertedGraphEngine(description, data)
    except BadEngine as error:
        raise NoEngine(f"The graph made of it has no engine: {error}") from error
    comparison = Comparison(model, _draft(description), engine, tolerance=tolerance)
    if comparison.example is None:
        raise NoEngine("It was saved without an input example to compare a graph on.")
    methods = [method for method, _ in description.outputs]
    if model.default_method not in methods:
        raise NoEngine(f"The graph made of it does not answer {model.default_method!r}.")
    for method in methods:
        # All have to be right: labels follow from the numbers.
        if where := _difference(comparison, method):
            raise NoEngine(f"The graph made of it was not within {tolerance:g} of it {where}.")
    dtypes = tuple(dtype for dtype in TAKEN if comparison.agrees_on(dtype, methods, digits=DIGITS))
    if not dtypes:
        raise NoEngine(f"The graph made of it was not within {tolerance:g} of it on large rows.")
    return data, replace(description, sample=comparison.sample, dtypes=dtypes)


def _difference(comparison: Comparison, method: str) -> str:
    where = comparison.difference(method)
    if where or not comparison.difference(method, comparison.beside_jumps(method)):
        return where
    return f"in {method!r} beside a place where its numbers jump"


def _check_signature(signature: Signature | None) -> None:
    for dtype in () if signature is None else dtypes_of(signature):
        if dtype not in TAKEN:
            raise NoEngine("By its signature it takes something else than numbers.")


def _convert(model: Native, tolerance: float, kind: str) -> tuple[bytes, ConvertedGraph]:
    try:
        from skl2onnx import to_onnx
        from skl2onnx.common import data_types
    except ImportError as error:
        raise NoEngine(
            "No graph was made of it: skl2onnx is not installed, stagedoor[skl2onnx] has it."
        ) from error
    native = model.native
    width = getattr(native, "n_features_in_", 0)
    if not width:
        raise NoEngine("No graph was made of it: it does not say how many columns it takes.")
    options = {"zipmap": False} if hasattr(native, "classes_") else {}
    types = [(_INPUT, getattr(data_types, kind)([None, width]))]
    try:
        graph = to_onnx(native, initial_types=types, options={id(native): options})
    except Exception as error:  # its errors have no class in common
        raise NoEngine(f"skl2onnx does not convert it ({type(error).__name__}).") from error
    names = getattr(native, "feature_names_in_", None)
    outputs = zip(_METHODS, (output.name for output in graph.graph.output), strict=False)
    return graph.SerializeToString(), ConvertedGraph(
        kind=" + ".join(name_of(stage) for stage in stages_of(native)),
        width=int(width),
        names=None if names is None else tuple(map(str, names)),
        outputs=tuple(pair for pair in outputs if hasattr(native, pair[0])),
        default_method=model.default_method,
        tolerance=tolerance,
        dtypes=TAKEN,
    )


def _draft(description: ConvertedGraph) -> Draft:
    """Return what the rows of the proof are made from: there are no thresholds to be near."""
    arrays: dict[str, Any] = {}
    return Draft(
        description.kind,
        description.width,
        description.names,
        (Linear(),),
        arrays,
        _NO_FINISH,
        leaves_shapes=True,
    )
