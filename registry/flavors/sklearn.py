"""The sklearn flavor: an estimator, pickled into ``model.pkl`` as the ``mlflow`` client does it.

``load`` unpickles, which runs code: it is called in a runner's process, or in the process of a user
who asked for it.
"""

import importlib
import pickle
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from registry.environment import ENVIRONMENT_ENTRY, pin_installed, write_environment
from registry.flavors.flavor import Flavor, Options, Talk
from registry.tensors import Batch
from tracking.errors import InvalidRequest, NotImplementedHere, ResourceMissing

PREDICT_METHODS = ("predict", "predict_proba", "decision_function", "transform")

_MODEL_FILE = "model.pkl"
_PACKAGES = ("cloudpickle", "numpy", "pandas", "scikit-learn", "scipy")


def save(model: Any, folder: Path, predict_method: str) -> dict[str, dict[str, Any]]:
    """Write an estimator into a folder and return its ``flavors`` entry.

    Raises:
        InvalidRequest: It has no such method, or cannot be pickled.
    """
    import sklearn

    _bound_method(model, predict_method)
    try:
        data = cloudpickle.dumps(model)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"The model cannot be pickled: {error}") from error
    (folder / _MODEL_FILE).write_bytes(data)
    write_environment(folder, pin_installed(_PACKAGES))
    return {
        "python_function": {
            "env": ENVIRONMENT_ENTRY,
            "loader_module": "mlflow.sklearn",
            "model_path": _MODEL_FILE,
            "predict_fn": predict_method,
            "python_version": platform.python_version(),
        },
        "sklearn": {
            "code": None,
            "pickled_model": _MODEL_FILE,
            "serialization_format": "cloudpickle",
            "sklearn_version": sklearn.__version__,
        },
    }


def load(folder: Path, options: Options) -> Any:
    """Read an estimator back.

    Raises:
        ResourceMissing: The file is not there.
        InvalidRequest: It cannot be read: truncated, or it needs a module that is not installed.
        NotImplementedHere: It has a format other than pickle, cloudpickle and skops.
    """
    name = options.get("pickled_model") or options.get("model_path") or options.get("data")
    path = folder / str(name or _MODEL_FILE)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InvalidRequest(f"MLmodel names the file {name!r}, which lies outside the folder.")
    if not path.is_file():
        raise ResourceMissing(f"The file {path.name!r} that MLmodel names is missing.")
    try:
        return _read(path, options)
    except (OSError, MemoryError, NotImplementedHere):
        raise
    except Exception as error:
        raise InvalidRequest(
            f"The file {path.name!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def answer(model: Any, batch: Batch, method: str) -> Any:
    """Ask an estimator for one batch, as a DataFrame when it was fitted with column names.

    Raises:
        InvalidRequest: It has no such method.
    """
    return _bound_method(model, method)(_arrange(model, batch))


def predict(model: Any, data: Any, method: str) -> Any:
    """Ask an estimator for data as its user has them; rows as dicts or lists are put in shape.

    Raises:
        InvalidRequest: It has no such method.
    """
    return _bound_method(model, method)(_shape(model, data))


def can_talk(model: Any) -> bool:
    """Say whether a model gives its answers in pieces: no estimator does, objects like one may."""
    return callable(getattr(model, "predict_stream", None))


def stream(
    model: Any, asked: Batch | Mapping[str, Any], _params: Mapping[str, Any]
) -> Iterable[Any]:
    """Ask for the pieces of an answer."""
    pieces: Iterable[Any] = model.predict_stream(
        _arrange(model, asked) if isinstance(asked, Batch) else asked
    )
    return pieces


def answer_document(model: Any, document: Mapping[str, Any], _params: Mapping[str, Any]) -> Any:
    """Ask for the answer to a document."""
    return model.predict(document)


SKLEARN = Flavor(
    name="sklearn",
    save=save,
    load=load,
    answer=answer,
    predict=predict,
    talk=Talk(can_talk, stream, answer_document),
)


def _read(path: Path, options: Options) -> Any:
    match options.get("serialization_format", "pickle"):
        case "pickle" | "cloudpickle":
            with path.open("rb") as file:
                return pickle.load(file)  # noqa: S301 - the module's docstring says where
        case "skops":
            return _read_skops(path, options)
        case other:
            raise NotImplementedHere(
                f"The model is saved in the format {other!r}; "
                "the ones that load here are cloudpickle, pickle and skops."
            )


def _read_skops(path: Path, options: Options) -> Any:
    # By its name: the package is optional, and has no types.
    return importlib.import_module("skops.io").load(
        path, trusted=options.get("skops_trusted_types")
    )


def _bound_method(model: Any, method: str) -> Any:
    offered = [name for name in PREDICT_METHODS if hasattr(model, name)]
    if method not in offered:
        raise InvalidRequest(
            f"The model has no method {method!r}; it has {', '.join(offered) or 'none of them'}."
        )
    return getattr(model, method)


def _arrange(model: Any, batch: Batch) -> Any:
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is None:
        return _matrix(batch)
    names = batch.names or tuple(map(str, fitted))
    frame = _frame(names, batch)
    if set(names) == set(fitted):
        return frame[list(fitted)]
    return frame


def _matrix(batch: Batch) -> NDArray[Any]:
    if batch.is_matrix:
        return batch.arrays[0]
    if len(batch.arrays) == 1 and batch.arrays[0].ndim > 1:
        return batch.arrays[0]
    return np.column_stack(batch.arrays)


def _frame(names: tuple[str, ...], batch: Batch) -> Any:
    import pandas as pd

    if not batch.is_matrix:
        return pd.DataFrame(dict(zip(names, batch.arrays, strict=True)))
    matrix = batch.arrays[0]
    if matrix.ndim != 2 or matrix.shape[1] != len(names):  # noqa: PLR2004 - rows and columns
        return matrix
    return pd.DataFrame(matrix, columns=list(names))


def _shape(model: Any, data: Any) -> Any:
    import pandas as pd

    if isinstance(data, Mapping):
        return pd.DataFrame(dict(data))
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        return pd.DataFrame.from_records(data)
    array = np.asarray(data) if isinstance(data, list | tuple) else data
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is not None and isinstance(array, np.ndarray) and array.shape[1:] == (len(fitted),):
        return pd.DataFrame(array, columns=fitted)
    return array
