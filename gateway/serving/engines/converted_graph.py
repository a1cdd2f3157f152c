"""A graph made of a scikit-learn model: it answers the model's methods, within a tolerance.

Rows that nothing was proved of (missing values, infinities, numbers of more than ``DIGITS``,
other shapes, types and names) are left to the model's own process.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import TAKEN, BadEngine, ConvertedGraph
from gateway.serving.engines.graph import describe_graph
from gateway.serving.engines.graph_reading import check_graph
from registry.flavors.onnx import Graph
from registry.tensors import Batch, Prediction
from tracking.errors import InvalidRequest, ModelFailed

_MATRIX = 2
_NAMES = ("output",)
_TYPES = {"tensor(double)": np.float64, "tensor(float)": np.float32}
_MOST_TOLERANCE = 1e-2

DIGITS = 15
"""Of the numbers that it takes: the products of longer ones leave what float32 can hold."""

_TOO_LARGE = 10.0**DIGITS


class ConvertedGraphEngine:
    """Immutable, safe from any thread.

    Args:
        description: What it is.
        data: The file.

    Raises:
        BadEngine: It is no graph that a worker may run, or does not fit its description.
    """

    def __init__(self, description: ConvertedGraph, data: bytes) -> None:
        check_graph(data)
        try:
            self._session = Graph(data).session
        except InvalidRequest as error:
            raise BadEngine(error.message) from error
        _check(description, self._session)
        self.description = description
        self.default_method = description.default_method
        self._outputs = dict(description.outputs)
        self._dtypes = frozenset(map(np.dtype, description.dtypes))
        rows = self._session.get_inputs()[0]
        self._input, self._type = rows.name, _TYPES[rows.type]

    def takes(self, method: object) -> bool:
        """Whether it answers for a method of the model."""
        return method in self._outputs

    def arrange(self, batch: Batch) -> NDArray[Any] | None:
        """Return a batch as one matrix, or ``None`` for what is left to the model itself."""
        if batch.names and batch.names != self.description.names:
            return None
        rows = batch.arrays[0]
        if not batch.is_matrix:
            if any(array.ndim != 1 or array.dtype not in self._dtypes for array in batch.arrays):
                return None
            rows = np.column_stack(batch.arrays)
        is_fit = rows.ndim == _MATRIX and rows.shape[1] == self.description.width and len(rows) > 0
        if not is_fit or rows.dtype not in self._dtypes:
            return None
        # NaN is in between of nothing; the lowest integer has no absolute value.
        is_proved = bool(((rows < _TOO_LARGE) & (rows > -_TOO_LARGE)).all())
        return rows if is_proved else None

    def answer(self, rows: NDArray[Any], method: str) -> NDArray[Any]:
        """Return what a method of the model gives for rows, as arranged, numbers as float64."""
        feeds = {self._input: rows.astype(self._type, copy=False)}
        found = np.asarray(self._session.run([self._outputs[method]], feeds)[0])
        if len(found) != len(rows):
            raise ModelFailed(f"The graph gave {len(found)} rows for {len(rows)}.")
        if found.dtype == np.float32:
            found = found.astype(np.float64)
        is_column = found.ndim == _MATRIX and found.shape[1] == 1
        return found[:, 0] if is_column else found

    def tell(self, answer: NDArray[Any]) -> Prediction:
        """Name an answer as the model's own process does."""
        return Prediction(_NAMES, (answer,))

    def sample(self, rows: int) -> NDArray[np.float64]:
        """Return so many rows that it takes, as arranged."""
        one = self.description.sample or (0.0,) * self.description.width
        return np.tile(np.array(one, np.float64), (rows, 1))

    def predict_batch(self, batch: Batch, method: str) -> Prediction | None:
        """Answer a batch from end to end; ``None`` leaves it to the model itself."""
        rows = self.arrange(batch)
        return None if rows is None else self.tell(self.answer(rows, method))


def _check(description: ConvertedGraph, session: Any) -> None:
    names, width = description.names, describe_graph(session).width
    if width != description.width or (names is not None and len(names) != width):
        raise BadEngine("It takes another number of columns.")
    if len(description.sample) not in (0, width) or not set(description.dtypes) <= set(TAKEN):
        raise BadEngine("Its sample or its types do not fit.")
    if session.get_inputs()[0].type not in _TYPES:
        raise BadEngine("It takes numbers of another type.")
    outputs = {one.name for one in session.get_outputs() if one.type.startswith("tensor(")}
    if not {output for _, output in description.outputs} <= outputs:
        raise BadEngine("It has no such outputs.")
    if description.default_method not in dict(description.outputs):
        raise BadEngine("It does not answer the method that is asked for by default.")
    if not 0 < description.tolerance <= _MOST_TOLERANCE:
        raise BadEngine("It has no tolerance, or too large a one.")
