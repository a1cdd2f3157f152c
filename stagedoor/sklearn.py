"""scikit-learn models: log, save, load."""

from pathlib import Path
from typing import Any, Unpack

from registry.flavors.sklearn import SKLEARN
from stagedoor import models
from stagedoor.models import ModelInfo, SaveOptions


def log_model(
    sk_model: Any,
    name: str | None = None,
    *,
    artifact_path: str | None = None,
    registered_model_name: str | None = None,
    **options: Unpack[SaveOptions],
) -> ModelInfo:
    """Write an estimator into the active run, and register it when a name is given.

    Args:
        sk_model: A fitted estimator.
        name: Its folder beneath the run's artifacts.
        artifact_path: The same by its older name.
        registered_model_name: The model to add a version to.
        **options: ``input_example`` (a few rows), ``signature`` (worked out from the example when
            not given), ``pyfunc_predict_fn`` (the method that a call asks), ``metadata``.

    Raises:
        InvalidRequest: It has no name, or cannot be pickled.
    """
    folder = models.folder_of(name, artifact_path)
    return models.log_model(
        sk_model, folder, SKLEARN, options, registered_model_name=registered_model_name
    )


def save_model(sk_model: Any, path: str | Path, **options: Unpack[SaveOptions]) -> None:
    """Write an estimator into a new folder of this machine; options as in ``log_model``."""
    models.save_model(sk_model, path, SKLEARN, options)


def load_model(model_uri: str) -> Any:
    """Load an estimator by any of its URIs, running code of whoever saved it in this process.

    Raises:
        InvalidRequest: It was saved by another flavor.
    """
    return models.load_native(model_uri, SKLEARN)
