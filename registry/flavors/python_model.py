"""What a custom model is made of: the classes that its author derives from, or is handed.

Names and behaviour are those of ``mlflow.pyfunc``. A saved model carries this module's classes
inside its pickle, so that it loads where this package is not installed: nothing is imported here
but the standard library, and nothing of it may depend on another module of ours.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any


class PythonModel:
    """A model of one's own: derive from it and write ``predict``."""

    def load_context(self, context: "PythonModelContext") -> None:
        """Read what the model needs from its artifacts; called once, before any rows."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Answer rows."""
        raise NotImplementedError

    @property
    def predict_type_hints(self) -> "TypeHints":
        """What ``predict`` is annotated with, as MLflow asks for it."""
        found = self.__dict__.get("_predict_type_hints")
        return found if found is not None else TypeHints()


class FunctionModel(PythonModel):
    """A function of rows, as a model."""

    def __init__(self, func: Callable[[Any], Any], signature: Any = None) -> None:
        self.func = func
        self.signature = signature

    def predict(self, model_input: Any, params: Any = None) -> Any:  # type: ignore[override] # MLflow's has no context either
        """Call the function."""
        del params
        return self.func(model_input)


class PythonModelContext:
    """What a model is loaded with.

    Args:
        artifacts: By name the path of each file or folder.
        model_config: What its author configured.
    """

    def __init__(
        self, artifacts: Mapping[str, str], model_config: Mapping[str, Any] | None = None
    ) -> None:
        self._artifacts = dict(artifacts)
        self._model_config = dict(model_config or {})

    @property
    def artifacts(self) -> dict[str, str]:
        """By name the path of each file or folder on this machine."""
        return self._artifacts

    @property
    def model_config(self) -> dict[str, Any]:
        """What its author configured."""
        return self._model_config


class TypeHints:
    """Annotations of a ``predict`` function."""

    def __init__(self, input_: Any = None, output: Any = None) -> None:
        self.input = input_
        self.output = output


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of that name."""
    return name in inspect.signature(function).parameters
