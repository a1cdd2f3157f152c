"""XGBoost models: log, save, load."""

from pathlib import Path
from typing import Any, Unpack

from registry.flavors.xgboost import XGBOOST
from stagedoor import models
from stagedoor.models import ModelInfo, SaveOptions


def log_model(
    xgb_model: Any,
    name: str | None = None,
    *,
    artifact_path: str | None = None,
    registered_model_name: str | None = None,
    **options: Unpack[SaveOptions],
) -> ModelInfo:
    """Write a model into the active run, and register it when a name is given.

    Args:
        xgb_model: A Booster, or a fitted estimator of the library.
        name: Its folder beneath the run's artifacts.
        artifact_path: The same by its older name.
        registered_model_name: The model to add a version to.
        **options: As of ``stagedoor.sklearn.log_model``.

    Raises:
        InvalidRequest: It has no name, or is no model of XGBoost.
    """
    folder = models.folder_of(name, artifact_path)
    return models.log_model(
        xgb_model, folder, XGBOOST, options, registered_model_name=registered_model_name
    )


def save_model(xgb_model: Any, path: str | Path, **options: Unpack[SaveOptions]) -> None:
    """Write a model into a new folder of this machine; options as in ``log_model``."""
    models.save_model(xgb_model, path, XGBOOST, options)


def load_model(model_uri: str) -> Any:
    """Load a model by any of its URIs.

    Raises:
        InvalidRequest: It was saved by another flavor.
    """
    return models.load_native(model_uri, XGBOOST)
