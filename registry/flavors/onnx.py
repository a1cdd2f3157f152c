"""The onnx flavor: a graph that ONNX Runtime answers. Loading it runs no code of its author.

The library is imported where it is called.
"""

import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from registry.asking import check_method
from registry.environment import ENVIRONMENT_ENTRY, pin_installed, write_environment
from registry.flavors.files import named_file
from registry.flavors.flavor import Flavor, Options, Question
from registry.flavors.layout import to_matrix
from registry.tensors import Batch
from tracking.errors import InvalidRequest

_MODEL_FILE = "model.onnx"
_PACKAGES = ("numpy", "onnx", "onnxruntime")
_METHODS = ("predict",)
_PROVIDERS = ["CPUExecutionProvider"]
_TYPES = {
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


class Graph:
    """A graph and the session that answers it. Safe from any thread.

    Args:
        data: The file.

    Raises:
        InvalidRequest: It cannot be read, or ONNX Runtime is not installed.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.session = open_session(data)


def save(model: Any, folder: Path, predict_method: str) -> dict[str, dict[str, Any]]:
    """Write a graph into a folder and return its ``flavors`` entry.

    Args:
        model: The bytes of an ONNX file, or an ``onnx.ModelProto``.
        folder: Where it goes.
        predict_method: Must be ``predict``: a graph has no other.

    Raises:
        InvalidRequest: It is no graph.
    """
    if predict_method != "predict":
        raise InvalidRequest("A graph is asked by 'predict'; it has no other method.")
    (folder / _MODEL_FILE).write_bytes(_bytes_of(model))
    write_environment(folder, pin_installed(_PACKAGES))
    return {
        "onnx": {"code": None, "data": _MODEL_FILE, "providers": _PROVIDERS},
        "python_function": {
            "data": _MODEL_FILE,
            "env": ENVIRONMENT_ENTRY,
            "loader_module": "mlflow.onnx",
            "python_version": platform.python_version(),
        },
    }


def load(folder: Path, options: Options) -> Any:
    """Read a graph back.

    Raises:
        ResourceMissing: The file is not there.
        InvalidRequest: It cannot be read, or ONNX Runtime is not installed.
    """
    return Graph(named_file(folder, options.get("data") or _MODEL_FILE).read_bytes())


def open_session(data: bytes) -> Any:
    """Make a session that uses the thread that calls it, and no other.

    Raises:
        InvalidRequest: The graph cannot be read, or ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InvalidRequest(
            "The model needs ONNX Runtime: install stagedoor[onnx] or the package 'onnxruntime'."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=_PROVIDERS)
    except Exception as error:  # the library's errors have no class in common
        first = str(error).strip().splitlines()[0]
        raise InvalidRequest(f"The graph cannot be loaded: {first}") from error


def answer(model: Any, batch: Batch, question: Question) -> Any:
    """Ask a graph for one batch; its outputs come by name.

    Raises:
        InvalidRequest: Another method than ``predict`` is asked for, or inputs are missing.
    """
    check_method(question.method, _METHODS)
    inputs = model.session.get_inputs()
    if len(inputs) == 1:
        return run(model.session, {inputs[0].name: to_matrix(batch)})
    given = dict(zip(batch.names, _columns(batch), strict=False))
    return run(model.session, {one.name: _fit(given, one) for one in inputs})


def predict(model: Any, data: Any, question: Question) -> Any:
    """Ask a graph for an array, a DataFrame, or a mapping of name to array.

    Args:
        model: A ``Graph``, or what ``save`` takes.
        data: The rows.
        question: Must ask for ``predict``.

    Raises:
        InvalidRequest: Another method is asked for, or the graph cannot be loaded.
    """
    check_method(question.method, _METHODS)
    model = model if isinstance(model, Graph) else Graph(_bytes_of(model))
    inputs = model.session.get_inputs()
    if hasattr(data, "columns") and len(inputs) > 1:
        return run(model.session, {one.name: _fit(data, one) for one in inputs})
    if isinstance(data, dict):
        return run(model.session, {name: np.asarray(array) for name, array in data.items()})
    return run(model.session, {inputs[0].name: np.asarray(data)})


def run(session: Any, feeds: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Run a session; float64 is narrowed where the graph takes float32, as MLflow does."""
    for one in session.get_inputs():
        wanted = _TYPES.get(one.type)
        if wanted is not None and one.name in feeds:
            feeds[one.name] = feeds[one.name].astype(wanted, copy=False)
    names = [output.name for output in session.get_outputs()]
    return {
        name: _plain(value) for name, value in zip(names, session.run(names, feeds), strict=True)
    }


ONNX = Flavor(
    name="onnx",
    save=save,
    load=load,
    answer=answer,
    predict=predict,
    methods=lambda _graph: _METHODS,
)


def _bytes_of(model: Any) -> bytes:
    data = model if isinstance(model, bytes) else getattr(model, "SerializeToString", bytes)()
    if not data:
        raise InvalidRequest(f"A {type(model).__name__!r} is no ONNX model.")
    return bytes(data)


def _columns(batch: Batch) -> list[NDArray[Any]]:
    if not batch.is_matrix:
        return list(batch.arrays)
    return list(np.moveaxis(batch.arrays[0], 1, 0)) if batch.arrays[0].ndim > 1 else []


def _fit(given: Any, wanted: Any) -> NDArray[Any]:
    """Return a column in the number of axes that an input has."""
    if wanted.name not in given:
        raise InvalidRequest(f"The graph takes an input {wanted.name!r}, which is missing.")
    array = np.asarray(given[wanted.name])
    return array.reshape(-1, 1) if len(wanted.shape or ()) == array.ndim + 1 else array


def _plain(value: Any) -> Any:
    """Return an output as an array: a converter may have made a mapping of each row's classes."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        labels = list(value[0])
        return np.array([[row[label] for label in labels] for row in value])
    return value
