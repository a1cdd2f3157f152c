"""Proof that a graph answers in a worker as it does in its own process. In the model's process.

The library is the same, so answers are the same to the bit; what is tried out is the way to it.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.comparing import Native, outcome, same
from gateway.serving.engines.description import BadEngine
from gateway.serving.engines.folder import write_graph
from gateway.serving.engines.graph import GraphEngine, describe_graph
from gateway.serving.engines.no_engine import NoEngine
from registry.tensors import Batch

_SEED = 20_261_124
_ODD = (np.nan, np.inf, -np.inf, 0.0, 1e300, 1e-300, 2.5)


def make_graph_engine(model: Native, folder: Path) -> None:
    """Prove and write the engine of a graph.

    Raises:
        NoEngine: It has none.
    """
    graph = model.native
    try:
        description = describe_graph(graph.session)
        engine = GraphEngine(description, graph.data)
    except BadEngine as error:
        raise NoEngine(f"The graph has no engine: {error}") from error
    for rows in _rows(model, description.width):
        batch = Batch((), (rows,), is_matrix=True)
        expected = outcome(partial(model.predict_batch, batch, {}))
        found = outcome(partial(engine.predict_batch, batch, "predict"))
        if not same(expected, found):
            where = f"rows of {rows.dtype} and shape {rows.shape}"
            raise NoEngine(f"The graph answered otherwise in a worker on {where}.")
    write_graph(folder, description, graph.data)


def _rows(model: Native, width: int) -> Iterator[NDArray[Any]]:
    chance = np.random.default_rng(_SEED)
    example = model.input_example()
    if example is not None and example.is_matrix:
        yield example.arrays[0]
    rows = chance.normal(size=(64, width)) * 10.0 ** chance.integers(-3, 3, (64, 1))
    for dtype in (np.float64, np.float32, np.int64, np.int32):
        yield from (some.astype(dtype) for some in (rows, rows[:1], rows[:7]))
    for value in _ODD:
        yield np.full((1, width), value)
