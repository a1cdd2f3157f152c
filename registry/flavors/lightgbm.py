"""The lightgbm flavor: a Booster as text, or an estimator of LightGBM pickled as MLflow does it.

``load`` may unpickle, which runs code: it is called in a runner's process, or in the process of a
user who asked for it. The library is imported where it is called.
"""

import pickle
import platform
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from registry.environment import ENVIRONMENT_ENTRY, pin_installed, write_environment
from registry.flavors import sklearn as sklearn_flavor
from registry.flavors.files import named_file
from registry.flavors.flavor import Flavor, Options, Question
from registry.flavors.layout import arrange, shape, to_frame, to_matrix
from registry.flavors.sklearn import bound_method, offered_methods
from registry.tensors import Batch
from tracking.errors import InvalidRequest

_BOOSTER = "lightgbm.basic.Booster"
_PACKAGES = ("cloudpickle", "lightgbm", "numpy", "pandas", "scikit-learn")


def save(model: Any, folder: Path, predict_method: str) -> dict[str, dict[str, Any]]:
    """Write a Booster or an estimator into a folder and return its ``flavors`` entry.

    Raises:
        InvalidRequest: It is neither, has no such method, or cannot be pickled.
    """
    import lightgbm

    kind = type(model)
    if kind.__module__.partition(".")[0] != "lightgbm":
        raise InvalidRequest(f"A {kind.__name__!r} is no model of LightGBM.")
    bound_method(model, predict_method)
    is_booster = _is_booster(model)
    file = "model.lgb" if is_booster else "model.pkl"
    if is_booster:
        model.save_model(folder / file)
    else:
        _pickle(model, folder / file)
    write_environment(folder, pin_installed(_PACKAGES))
    return {
        "python_function": {
            "data": file,
            "env": ENVIRONMENT_ENTRY,
            "loader_module": "mlflow.lightgbm",
            "predict_fn": predict_method,
            "python_version": platform.python_version(),
        },
        "lightgbm": {
            "code": None,
            "data": file,
            "lgb_version": lightgbm.__version__,
            "model_class": f"{kind.__module__}.{kind.__name__}",
            "serialization_format": None if is_booster else "cloudpickle",
        },
    }


def load(folder: Path, options: Options) -> Any:
    """Read a model back.

    Raises:
        ResourceMissing: The file is not there.
        InvalidRequest: It cannot be read, or LightGBM is not installed.
    """
    path = named_file(folder, options.get("data") or "model.lgb")
    try:
        import lightgbm
    except ImportError as error:
        raise InvalidRequest(
            "The model needs LightGBM: install stagedoor[lightgbm] or the package 'lightgbm'."
        ) from error
    if str(options.get("model_class") or _BOOSTER) != _BOOSTER:
        packed = {
            **options,
            "serialization_format": options.get("serialization_format") or "pickle",
        }
        return sklearn_flavor.load(folder, packed)
    try:
        return lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise InvalidRequest(f"The file {path.name!r} cannot be loaded: {error}") from error


def answer(model: Any, batch: Batch, question: Question) -> Any:
    """Ask a model for one batch, as a DataFrame when it comes with column names.

    Raises:
        InvalidRequest: It has no such method.
    """
    ask = bound_method(model, question.method)
    if not _is_booster(model):
        return ask(arrange(model, batch))
    return ask(_in_order(model, to_frame(batch.names, batch) if batch.names else to_matrix(batch)))


def predict(model: Any, data: Any, question: Question) -> Any:
    """Ask a model for data as its user has them.

    Raises:
        InvalidRequest: It has no such method.
    """
    ask = bound_method(model, question.method)
    return ask(_in_order(model, data) if _is_booster(model) else shape(model, data))


LIGHTGBM = Flavor(
    name="lightgbm", save=save, load=load, answer=answer, predict=predict, methods=offered_methods
)


def _is_booster(model: Any) -> bool:
    return type(model).__name__ == "Booster"


def _in_order(model: Any, rows: Any) -> Any:
    """Put columns in the order of the fit: a Booster goes by position."""
    if not hasattr(rows, "columns"):
        return np.asarray(rows)
    fitted = model.feature_name()
    return rows[fitted] if set(rows.columns) == set(fitted) else rows


def _pickle(model: Any, path: Path) -> None:
    try:
        path.write_bytes(cloudpickle.dumps(model))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"The model cannot be pickled: {error}") from error
