"""The xgboost flavor: a Booster or an estimator of XGBoost, in the library's own format.

Nothing is unpickled: ``load`` reads UBJSON or JSON. The library is imported where it is called.
"""

import platform
from pathlib import Path
from typing import Any

import numpy as np

from registry.environment import ENVIRONMENT_ENTRY, pin_installed, write_environment
from registry.flavors.files import named_file
from registry.flavors.flavor import Flavor, Options, Question
from registry.flavors.layout import arrange, shape, to_frame, to_matrix
from registry.flavors.sklearn import bound_method, offered_methods
from registry.tensors import Batch
from tracking.errors import InvalidRequest, NotImplementedHere

_MODEL_FILE = "model.ubj"
_PACKAGES = ("numpy", "pandas", "scikit-learn", "xgboost", "xgboost-cpu")
_BOOSTER = "xgboost.core.Booster"
_CLASSES = frozenset(
    {
        "Booster",
        "XGBClassifier",
        "XGBRFClassifier",
        "XGBRFRegressor",
        "XGBRanker",
        "XGBRegressor",
    }
)


def save(model: Any, folder: Path, predict_method: str) -> dict[str, dict[str, Any]]:
    """Write a Booster or an estimator into a folder and return its ``flavors`` entry.

    Raises:
        InvalidRequest: It is neither, or has no such method.
    """
    import xgboost

    kind = type(model)
    if kind.__module__.partition(".")[0] != "xgboost" or kind.__name__ not in _CLASSES:
        raise InvalidRequest(f"A {kind.__name__!r} is no model of XGBoost.")
    bound_method(model, predict_method)
    model.save_model(folder / _MODEL_FILE)
    write_environment(folder, pin_installed(_PACKAGES))
    return {
        "python_function": {
            "data": _MODEL_FILE,
            "env": ENVIRONMENT_ENTRY,
            "loader_module": "mlflow.xgboost",
            "predict_fn": predict_method,
            "python_version": platform.python_version(),
        },
        "xgboost": {
            "code": None,
            "data": _MODEL_FILE,
            "model_class": f"{kind.__module__}.{kind.__name__}",
            "model_format": "ubj",
            "xgb_version": xgboost.__version__,
        },
    }


def load(folder: Path, options: Options) -> Any:
    """Read a model back.

    Raises:
        ResourceMissing: The file is not there.
        InvalidRequest: It cannot be read, or XGBoost is not installed.
        NotImplementedHere: It is of a class that is none of XGBoost's own.
    """
    path = named_file(folder, options.get("data") or _MODEL_FILE)
    module, _, name = str(options.get("model_class") or _BOOSTER).rpartition(".")
    if module.partition(".")[0] != "xgboost" or name not in _CLASSES:
        raise NotImplementedHere(f"A model of the class {name!r} is none of XGBoost's own.")
    try:
        import xgboost
    except ImportError as error:
        raise InvalidRequest(
            "The model needs XGBoost: install stagedoor[xgboost] or the package 'xgboost'."
        ) from error
    try:
        model = getattr(xgboost, name)()
        model.load_model(path)
    except xgboost.core.XGBoostError as error:
        first = str(error).strip().splitlines()[-1]
        raise InvalidRequest(f"The file {path.name!r} cannot be loaded: {first}") from error
    return model


def answer(model: Any, batch: Batch, question: Question) -> Any:
    """Ask a model for one batch, as a DataFrame when it was fitted with column names.

    Raises:
        InvalidRequest: It has no such method.
    """
    ask = bound_method(model, question.method)
    if not _is_booster(model):
        return ask(arrange(model, batch))
    fitted = model.feature_names
    names = batch.names or tuple(fitted or ())
    return _ask_booster(model, to_frame(names, batch) if fitted else to_matrix(batch))


def predict(model: Any, data: Any, question: Question) -> Any:
    """Ask a model for data as its user has them.

    Raises:
        InvalidRequest: It has no such method.
    """
    ask = bound_method(model, question.method)
    rows = shape(model, data) if not _is_booster(model) or not hasattr(data, "columns") else data
    return _ask_booster(model, rows) if _is_booster(model) else ask(rows)


XGBOOST = Flavor(
    name="xgboost", save=save, load=load, answer=answer, predict=predict, methods=offered_methods
)


def _is_booster(model: Any) -> bool:
    return type(model).__name__ == "Booster"


def _ask_booster(model: Any, rows: Any) -> Any:
    import xgboost

    fitted = model.feature_names
    if fitted and hasattr(rows, "columns") and set(rows.columns) == set(fitted):
        rows = rows[list(fitted)]
    if hasattr(rows, "columns"):
        return model.predict(xgboost.DMatrix(rows))
    return model.predict(xgboost.DMatrix(np.asarray(rows), feature_names=fitted))
