"""An ONNX graph as an engine: ONNX Runtime answers inside the worker, on the thread that asks.

The library is imported when the first such engine is built. The graph is read as hostile
(``graph_reading``); shapes and types that do not fit are left to the model's own process.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.serving.engines.description import BadEngine, GraphDescription
from gateway.serving.engines.graph_reading import check_graph
from gateway.serving.engines.refusal import Refused, refusal
from registry.answers import to_prediction
from registry.flavors.onnx import Graph, run
from registry.tensors import Batch, Prediction
from tracking.errors import InvalidRequest, ModelFailed

PREDICT = "predict"

_NUMBERS = {"tensor(double)": np.float64, "tensor(float)": np.float32, "tensor(int64)": np.int64}
_TAKEN = frozenset(np.dtype(kind) for kind in ("<f8", "<f4", "<i8", "<i4"))
_MATRIX = 2


class GraphEngine:
    """Immutable, safe from any thread.

    Args:
        description: What it is.
        data: The file.

    Raises:
        BadEngine: It is no graph that a worker may run, or one of other inputs.
    """

    def __init__(self, description: GraphDescription, data: bytes) -> None:
        check_graph(data)
        try:
            self._session = Graph(data).session
        except InvalidRequest as error:
            raise BadEngine(error.message) from error
        self.description = description
        self.default_method = PREDICT
        self._width = _width_of(self._session)
        if self._width != description.width:
            raise BadEngine("It takes another number of columns.")
        self._input = self._session.get_inputs()[0].name

    def takes(self, method: object) -> bool:
        """Whether it answers for a method of the model."""
        return method == PREDICT

    def arrange(self, batch: Batch) -> NDArray[Any] | None:
        """Return a batch as one matrix, or ``None`` for what is left to the model itself."""
        rows = batch.arrays[0]
        if not batch.is_matrix:
            if any(array.ndim != 1 or array.dtype not in _TAKEN for array in batch.arrays):
                return None
            rows = np.column_stack(batch.arrays)
        is_fit = rows.ndim == _MATRIX and rows.shape[1] == self._width and len(rows) > 0
        return rows if is_fit and rows.dtype in _TAKEN else None

    def answer(self, rows: NDArray[Any], method: str) -> Prediction:
        """Return what the graph gives for rows, as arranged.

        Raises:
            Refused: The library raises on them.
        """
        del method
        try:
            return to_prediction(run(self._session, {self._input: rows}), len(rows))
        except ModelFailed:
            raise
        except Exception as error:  # the library's errors have no class in common
            raise Refused(type(error).__name__) from error

    def tell(self, answer: Prediction) -> Prediction:
        """Return an answer as it is sent."""
        return answer

    def sample(self, rows: int) -> NDArray[np.float64]:
        """Return so many rows that it takes, as arranged."""
        return np.zeros((rows, self._width))

    def predict_batch(self, batch: Batch, method: str) -> Prediction | None:
        """Answer a batch from end to end; ``None`` leaves it to the model itself.

        Raises:
            ModelFailed: The library raises on it.
        """
        rows = self.arrange(batch)
        try:
            return None if rows is None else self.answer(rows, method)
        except Refused as error:
            raise refusal(error, method, batch.rows) from error


def describe_graph(session: Any) -> GraphDescription:
    """Describe a graph that is loaded.

    Raises:
        BadEngine: Its inputs are not one matrix of numbers with any number of rows.
    """
    return GraphDescription(kind="ONNX graph", width=_width_of(session))


def _width_of(session: Any) -> int:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _NUMBERS:
        raise BadEngine("It takes several inputs, or no numbers.")
    shape = inputs[0].shape
    if len(shape) != _MATRIX or isinstance(shape[0], int) or not isinstance(shape[1], int):
        raise BadEngine("It does not take a matrix of any number of rows.")
    return int(shape[1])
