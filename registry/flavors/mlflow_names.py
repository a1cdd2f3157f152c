"""The few names of ``mlflow`` that a custom model's own code asks for, where it is not installed.

A model that somebody derived from ``mlflow.pyfunc.PythonModel`` names that class in its pickle or
its source. While such a model is loaded, and only then, modules of these names lead to our classes
of the same behaviour; any other name says which package to install. One load at a time.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from registry.flavors.python_model import (
    FunctionModel,
    PythonModel,
    PythonModelContext,
    TypeHints,
)

_PACKAGE = "mlflow"


class _FuncInfo(NamedTuple):
    input_type_hint: Any
    input_param_name: str


class _MlflowError(Exception):
    """Stands for ``MlflowException``, which models raise and catch."""


def _unchanged(args: Any, kwargs: Any, *_hints: object) -> tuple[Any, Any]:
    """Let rows pass: the signature has been enforced before."""
    return args, kwargs


def _pyfunc(func: Callable[..., Any]) -> Callable[..., Any]:
    return func


class Told:
    """What a model's source has said of itself while it ran."""

    model: Any = None
    config: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Stand for ``mlflow.models.set_model``."""
        self.model = model


class _Config:
    """Stands for ``mlflow.models.ModelConfig``: what a model's source is configured with."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def get(self, key: str) -> Any:
        return self._values[key]

    def to_dict(self) -> dict[str, Any]:
        return dict(self._values)


def is_installed() -> bool:
    """Whether the real package is here."""
    return importlib.util.find_spec(_PACKAGE) is not None


@contextmanager
def stand_ins(config: dict[str, Any]) -> Iterator[Told]:
    """Let the names of ``mlflow`` lead to ours for a while; a package that is there stays."""
    told = Told()
    if is_installed():
        yield told
        return
    modules = _modules(told, config)
    sys.modules.update(modules)
    try:
        yield told
    finally:
        for name in modules:
            sys.modules.pop(name, None)


def _modules(told: Told, config: dict[str, Any]) -> dict[str, ModuleType]:
    classes = {
        "PythonModel": PythonModel,
        "PythonModelContext": PythonModelContext,
        "_FunctionPythonModel": FunctionModel,
    }
    hints = {"pyfunc": _pyfunc, "FuncInfo": _FuncInfo, "_validate_model_input": _unchanged}

    def model_config(development_config: Any = None) -> _Config:
        given = development_config if isinstance(development_config, dict) else {}
        return _Config({**given, **config})

    names: dict[str, dict[str, Any]] = {
        "mlflow": {},
        "mlflow.exceptions": {"MlflowException": _MlflowError},
        "mlflow.models": {"set_model": told.set_model, "ModelConfig": model_config},
        "mlflow.models.signature": {"_TypeHints": TypeHints},
        "mlflow.pyfunc": classes,
        "mlflow.pyfunc.model": classes,
        "mlflow.pyfunc.utils": {"pyfunc": _pyfunc},
        "mlflow.pyfunc.utils.data_validation": hints,
    }
    made = {name: _module(name, content) for name, content in names.items()}
    for name, module in made.items():
        parent, _, child = name.rpartition(".")
        if parent:
            made[parent].__dict__[child] = module
    return made


def _module(name: str, content: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(content)
    module.__dict__["__path__"] = []
    module.__dict__["__getattr__"] = _missing(name)
    return module


def _missing(module: str) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ModuleNotFoundError(
            f"the model needs {module}.{name}: install the package {_PACKAGE!r}", name=_PACKAGE
        )

    return find
