"""The python_function flavor: a model of its author's own, by class, function, source or loader.

``load`` runs code of whoever saved it: it is called in a runner's process, or in the process of a
user who asked for it.
"""

import importlib
import pickle
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_origin

import cloudpickle
from msgspec import Struct, structs

from registry.environment import ENVIRONMENT_ENTRY, pin_installed, write_environment
from registry.flavors import python_model
from registry.flavors.files import named_file
from registry.flavors.flavor import Flavor, Options, Question, Talk
from registry.flavors.layout import to_frame, to_matrix
from registry.flavors.mlflow_names import stand_ins
from registry.flavors.python_model import FunctionModel, PythonModelContext, takes
from registry.model_folder import read_model_folder
from registry.signature import ColumnSpec, Signature
from registry.tensors import Batch
from tracking.errors import InvalidRequest, NotImplementedHere, ResourceMissing

NAME = "python_function"

_MODEL_FILE = "python_model.pkl"
_ARTIFACTS = "artifacts"
_BY_CLASS = "mlflow.pyfunc.model"
_BY_SOURCE = "mlflow.pyfunc.loaders.code_model"
_PACKAGES = ("cloudpickle", "numpy", "pandas")


class Packed(Struct, frozen=True):
    """A model of its author's own, and what it was or is to be loaded with.

    Args:
        model: Has ``predict``.
        context: Its artifacts and configuration.
        signature: What it takes; tells whether rows come as a DataFrame.
        takes_context: Whether ``predict`` takes a context first.
        takes_params: Whether it takes params.
        takes_texts: Whether it takes a list of texts in place of a table.
        pickled: The model before it read its artifacts; only when it is to be saved.
    """

    model: Any
    context: PythonModelContext
    signature: Signature | None
    takes_context: bool
    takes_params: bool
    takes_texts: bool
    pickled: bytes = b""


def prepare(model: Any, artifacts: Mapping[str, str], config: Mapping[str, Any]) -> Packed:
    """Make a model that can be saved: pickled first, since it may hold on to what it reads.

    Raises:
        InvalidRequest: It cannot be pickled, or cannot predict.
        NotImplementedHere: It takes rows of a kind that does not come here.
    """
    if not hasattr(model, "predict") and callable(model):
        model = FunctionModel(model)
    pickled = _dumps(model)
    return structs.replace(pack(model, artifacts, config), pickled=pickled)


def pack(
    model: Any, artifacts: Mapping[str, str], config: Mapping[str, Any], signature: Any = None
) -> Packed:
    """Make a model of a class's instance, or of a function, and let it read its artifacts.

    Raises:
        InvalidRequest: It cannot predict.
        NotImplementedHere: It takes rows of a kind that does not come here.
    """
    if not hasattr(model, "predict"):
        if not callable(model):
            raise InvalidRequest(f"A {type(model).__name__!r} has no method 'predict'.")
        model = FunctionModel(model)
    context = PythonModelContext(artifacts, config)
    if hasattr(model, "load_context"):
        model.load_context(context)
    hint = getattr(getattr(model, "predict_type_hints", None), "input", None)
    return Packed(
        model=model,
        context=context,
        signature=signature,
        takes_context=takes(model.predict, "context"),
        takes_params=takes(model.predict, "params"),
        takes_texts=_takes_texts(hint),
    )


def save(packed: Any, folder: Path, predict_method: str) -> dict[str, dict[str, Any]]:
    """Write a prepared model into a folder and return its ``flavors`` entry.

    Raises:
        InvalidRequest: Another method than ``predict`` is to be asked.
    """
    if predict_method != "predict":
        raise InvalidRequest("A model of one's own is asked by its method 'predict'.")
    (folder / _MODEL_FILE).write_bytes(packed.pickled)
    artifacts = {
        name: {"path": _copy_artifact(folder, name, Path(path)), "uri": Path(path).name}
        for name, path in packed.context.artifacts.items()
    }
    write_environment(folder, pin_installed(_PACKAGES))
    entry: dict[str, Any] = {
        "cloudpickle_version": cloudpickle.__version__,
        "code": None,
        "env": ENVIRONMENT_ENTRY,
        "loader_module": _BY_CLASS,
        "python_model": _MODEL_FILE,
        "python_version": platform.python_version(),
        "streamable": can_talk(packed),
    }
    if artifacts:
        entry["artifacts"] = artifacts
    if packed.context.model_config:
        entry["config"] = packed.context.model_config
    return {NAME: entry}


def load(folder: Path, options: Options) -> Any:
    """Read a model back, by the loader that its folder names.

    Raises:
        ResourceMissing: A file is not there.
        InvalidRequest: It cannot be read, or needs a module that is not installed.
        NotImplementedHere: Its loader is none, or it takes rows of a kind that does not come here.
    """
    config = dict(options.get("config") or {})
    signature = read_model_folder(folder).signature
    with stand_ins(config) as told:
        try:
            loader = str(options.get("loader_module"))
            if loader == _BY_CLASS:
                model = _unpickle(folder, options)
            elif loader == _BY_SOURCE:
                model = _run_source(folder, options, told)
            else:
                return _plain(_load_by(loader, folder, options), signature)
            return pack(model, _artifact_paths(folder, options), config, signature)
        except (OSError, MemoryError, InvalidRequest, NotImplementedHere, ResourceMissing):
            raise
        except Exception as error:
            raise InvalidRequest(f"The model cannot be loaded: {_because(error)}") from error


def answer(packed: Packed, batch: Batch, question: Question) -> Any:
    """Ask a model for one batch, as the DataFrame or array that its signature speaks of.

    Raises:
        InvalidRequest: Another method than ``predict`` is asked for.
    """
    return predict(packed, _arrange(packed, batch), question)


def predict(packed: Packed, data: Any, question: Question) -> Any:
    """Ask a model for data as its user has them.

    Raises:
        InvalidRequest: Another method than ``predict`` is asked for.
    """
    if question.method != "predict":
        raise InvalidRequest(
            f"The model has no method {question.method!r}; a model of its author's own has predict."
        )
    given = {"params": dict(question.params)} if packed.takes_params else {}
    leading = (packed.context,) if packed.takes_context else ()
    return packed.model.predict(*leading, data, **given)


def can_talk(packed: Packed) -> bool:
    """Say whether a model gives its answers in pieces, by a ``predict_stream`` of its own."""
    method = getattr(packed.model, "predict_stream", None)
    # MLflow's own class has one that only says that there is none.
    return callable(method) and not str(getattr(method, "__module__", "")).startswith("mlflow.")


def stream(
    packed: Packed, asked: Batch | Mapping[str, Any], params: Mapping[str, Any]
) -> Iterable[Any]:
    """Ask for the pieces of an answer."""
    method = packed.model.predict_stream
    given = {"params": dict(params)} if takes(method, "params") else {}
    leading = (packed.context,) if takes(method, "context") else ()
    subject = _arrange(packed, asked) if isinstance(asked, Batch) else asked
    pieces: Iterable[Any] = method(*leading, subject, **given)
    return pieces


def answer_document(packed: Packed, document: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    """Ask for the answer to a document."""
    return predict(packed, document, Question(params=params))


PYFUNC = Flavor(
    name=NAME,
    save=save,
    load=load,
    answer=answer,
    predict=predict,
    talk=Talk(can_talk, stream, answer_document),
)


def _dumps(model: Any) -> bytes:
    """Pickle a model with our own classes inside."""
    cloudpickle.register_pickle_by_value(python_model)
    try:
        return bytes(cloudpickle.dumps(model))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"The model cannot be pickled: {error}") from error
    finally:
        cloudpickle.unregister_pickle_by_value(python_model)


def _copy_artifact(folder: Path, name: str, path: Path) -> str:
    target = folder / _ARTIFACTS / path.name
    if target.exists():
        target = folder / _ARTIFACTS / name / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, target)
    else:
        shutil.copyfile(path, target)
    return target.relative_to(folder).as_posix()


def _unpickle(folder: Path, options: Options) -> Any:
    if options.get("model_compression"):
        raise NotImplementedHere("The model is compressed; save it without compression.")
    with named_file(folder, options.get("python_model") or _MODEL_FILE).open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the module's docstring says where


def _run_source(folder: Path, options: Options, told: Any) -> Any:
    """Run a model that was saved as source, which names itself by ``set_model``."""
    path = named_file(folder, Path(str(options.get("model_code_path"))).name)
    spec = importlib.util.spec_from_file_location("model_source", path)
    if spec is None or spec.loader is None:
        raise InvalidRequest(f"The file {path.name!r} is no Python source.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    model = told.model
    if model is None and (real := sys.modules.get("mlflow.models.model")) is not None:
        model = real.__mlflow_model__
    if model is None:
        raise InvalidRequest(f"The source {path.name!r} names no model by set_model().")
    return model


def _load_by(loader: str, folder: Path, options: Options) -> Any:
    """Ask a module of the model's own, or of an installed library, to load it."""
    path = named_file(folder, options["data"]) if options.get("data") else folder
    try:
        module = importlib.import_module(loader)
    except ModuleNotFoundError as error:
        raise NotImplementedHere(
            f"The python_function flavor of the model loads by {loader!r}, which is not installed "
            f"here: install the package {str(error.name).partition('.')[0]!r}."
        ) from error
    find = getattr(module, "_load_pyfunc", None)
    if find is None:
        raise NotImplementedHere(
            f"The python_function flavor of the model loads by {loader!r}, which cannot."
        )
    return find(str(path))


def _plain(model: Any, signature: Signature | None) -> Packed:
    takes_params = takes(model.predict, "params")
    nothing = PythonModelContext({})
    return Packed(model, nothing, signature, False, takes_params, False)  # noqa: FBT003 - a struct


def _artifact_paths(folder: Path, options: Options) -> dict[str, str]:
    entries: Mapping[str, Mapping[str, Any]] = options.get("artifacts") or {}
    return {name: str(named_file(folder, entry["path"])) for name, entry in entries.items()}


def _because(error: Exception) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    hint = f"; install the package {missing.partition('.')[0]!r}" if missing else ""
    return f"{type(error).__name__}: {error}{hint}"


def _takes_texts(hint: Any) -> bool:
    """Tell by an annotation whether a list of texts is wanted: MLflow minds those of lists only."""
    if hint == list[str]:
        return True
    if get_origin(hint) is list:
        raise NotImplementedHere(
            f"The model takes rows of the type {hint}; tables, arrays and list[str] come here."
        )
    return False


def _arrange(packed: Packed, batch: Batch) -> Any:
    """Return rows as MLflow hands them to a model: a table, an array, or arrays by name."""
    if packed.takes_texts:
        return [str(text) for text in to_matrix(batch)[:, 0].tolist()]
    specs = () if packed.signature is None else packed.signature.inputs
    if (specs and isinstance(specs[0], ColumnSpec)) or (not specs and batch.names):
        return _as_table(batch)
    if batch.is_matrix:
        return batch.arrays[0]
    if specs:
        return dict(zip(batch.names, batch.arrays, strict=True))
    return to_matrix(batch)


def _as_table(batch: Batch) -> Any:
    if batch.names:
        return to_frame(batch.names, batch)
    import pandas as pd

    return pd.DataFrame(to_matrix(batch))
