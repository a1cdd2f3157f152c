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

from registry.asking import check_method
from registry.environment import ENVIRONMENT_ENTRY, pin_installed, write_environment
from registry.flavors.files import named_file
from registry.flavors.flavor import Flavor, Options, Question, Talk
from registry.flavors.layout import arrange, shape
from registry.tensors import METHODS, Batch
from tracking.errors import InvalidRequest, NotImplementedHere

_MODEL_FILE = "model.pkl"
_PACKAGES = ("cloudpickle", "numpy", "pandas", "scikit-learn", "scipy")


def save(model: Any, folder: Path, predict_method: str) -> dict[str, dict[str, Any]]:
    """Write an estimator into a folder and return its ``flavors`` entry.

    Raises:
        InvalidRequest: It has no such method, or cannot be pickled.
    """
    import sklearn

    bound_method(model, predict_method)
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
    path = named_file(folder, name or _MODEL_FILE)
    try:
        return _read(path, options)
    except (OSError, MemoryError, NotImplementedHere):
        raise
    except Exception as error:
        raise InvalidRequest(
            f"The file {path.name!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def answer(model: Any, batch: Batch, question: Question) -> Any:
    """Ask an estimator for one batch, as a DataFrame when it was fitted with column names.

    Raises:
        InvalidRequest: It has no such method.
    """
    return bound_method(model, question.method)(arrange(model, batch))


def predict(model: Any, data: Any, question: Question) -> Any:
    """Ask an estimator for data as its user has them; rows as dicts or lists are put in shape.

    Raises:
        InvalidRequest: It has no such method.
    """
    return bound_method(model, question.method)(shape(model, data))


def can_talk(model: Any) -> bool:
    """Say whether a model gives its answers in pieces: no estimator does, objects like one may."""
    return callable(getattr(model, "predict_stream", None))


def stream(
    model: Any, asked: Batch | Mapping[str, Any], _params: Mapping[str, Any]
) -> Iterable[Any]:
    """Ask for the pieces of an answer."""
    pieces: Iterable[Any] = model.predict_stream(
        arrange(model, asked) if isinstance(asked, Batch) else asked
    )
    return pieces


def answer_document(model: Any, document: Mapping[str, Any], _params: Mapping[str, Any]) -> Any:
    """Ask for the answer to a document."""
    return model.predict(document)


def bound_method(model: Any, method: str) -> Any:
    """Return a method of an estimator that may be asked.

    Raises:
        InvalidRequest: It has no such method.
    """
    check_method(method, offered_methods(model))
    return getattr(model, method)


def offered_methods(model: Any) -> tuple[str, ...]:
    """Return the methods of an estimator that may be asked."""
    return tuple(name for name in METHODS if hasattr(model, name))


SKLEARN = Flavor(
    name="sklearn",
    save=save,
    load=load,
    answer=answer,
    predict=predict,
    talk=Talk(can_talk, stream, answer_document),
    methods=offered_methods,
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
