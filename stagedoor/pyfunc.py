"""Models of one's own, and any model whatever made it: log, save, load, then ``predict``."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

from registry.flavors.pyfunc import PYFUNC, Packed, prepare
from registry.flavors.python_model import PythonModel, PythonModelContext
from stagedoor import models
from stagedoor.models import ModelInfo, SaveOptions, fetch_uri, load_model

__all__ = ["PythonModel", "PythonModelContext", "load_model", "log_model", "save_model"]


def log_model(
    name: str | None = None,
    *,
    python_model: Any,
    artifacts: Mapping[str, str] | None = None,
    model_config: Mapping[str, Any] | None = None,
    artifact_path: str | None = None,
    registered_model_name: str | None = None,
    **options: Unpack[SaveOptions],
) -> ModelInfo:
    """Write a model of one's own into the active run, and register it when a name is given.

    Args:
        name: Its folder beneath the run's artifacts.
        python_model: An instance with ``predict``, best of a class derived from ``PythonModel``, or
            a function of rows.
        artifacts: By name a local path or an artifact URI of what the model reads when it is
            loaded.
        model_config: What it finds in its context besides.
        artifact_path: The same as ``name``, by its older name.
        registered_model_name: The model to add a version to.
        **options: As of ``stagedoor.sklearn.log_model``.

    Raises:
        InvalidRequest: It has no name, cannot predict, or cannot be pickled.
    """
    folder = models.folder_of(name, artifact_path)
    with _packed(python_model, artifacts or {}, model_config or {}) as packed:
        return models.log_model(
            packed, folder, PYFUNC, options, registered_model_name=registered_model_name
        )


def save_model(
    path: str | Path,
    *,
    python_model: Any,
    artifacts: Mapping[str, str] | None = None,
    model_config: Mapping[str, Any] | None = None,
    **options: Unpack[SaveOptions],
) -> None:
    """Write a model of one's own into a new folder of this machine; all as in ``log_model``."""
    with _packed(python_model, artifacts or {}, model_config or {}) as packed:
        models.save_model(packed, path, PYFUNC, options)


@contextmanager
def _packed(
    model: Any, artifacts: Mapping[str, str], config: Mapping[str, Any]
) -> Iterator[Packed]:
    """Fetch what the model reads, and let it read."""
    with tempfile.TemporaryDirectory() as parent:
        found = {
            name: uri if Path(uri).exists() else str(fetch_uri(uri, Path(parent) / str(at)))
            for at, (name, uri) in enumerate(artifacts.items())
        }
        yield prepare(model, found, config)
