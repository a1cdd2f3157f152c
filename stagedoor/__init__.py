"""What a user imports: track runs, register models, load them.

Names are resolved when first used, so that ``import stagedoor`` costs nothing.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.observed import infer_signature
    from stagedoor import artifacts, client, lightgbm, onnx, pyfunc, sklearn, xgboost
    from stagedoor.artifacts import (
        download_artifacts,
        list_artifacts,
        log_artifact,
        log_artifacts,
        log_dict,
        log_figure,
        log_text,
    )
    from stagedoor.client import StagedoorClient
    from stagedoor.experiments import (
        create_experiment,
        get_experiment,
        get_experiment_by_name,
        search_experiments,
        set_experiment,
    )
    from stagedoor.models import load_model, register_model
    from stagedoor.run_data import log_metric, log_metrics, log_param, log_params, set_tag, set_tags
    from stagedoor.runs import (
        ActiveRun,
        active_run,
        delete_run,
        end_run,
        get_run,
        search_runs,
        start_run,
    )
    from stagedoor.session import get_tracking_uri, set_tracking_uri

__version__ = "0.1.0"

_MODULES = {
    "registry.observed": ("infer_signature",),
    "stagedoor.artifacts": (
        "download_artifacts",
        "list_artifacts",
        "log_artifact",
        "log_artifacts",
        "log_dict",
        "log_figure",
        "log_text",
    ),
    "stagedoor.client": ("StagedoorClient",),
    "stagedoor.experiments": (
        "create_experiment",
        "get_experiment",
        "get_experiment_by_name",
        "search_experiments",
        "set_experiment",
    ),
    "stagedoor.models": ("load_model", "register_model"),
    "stagedoor.run_data": (
        "log_metric",
        "log_metrics",
        "log_param",
        "log_params",
        "set_tag",
        "set_tags",
    ),
    "stagedoor.runs": (
        "ActiveRun",
        "active_run",
        "delete_run",
        "end_run",
        "get_run",
        "search_runs",
        "start_run",
    ),
    "stagedoor.session": ("get_tracking_uri", "set_tracking_uri"),
}
_SUBMODULES = ("artifacts", "client", "lightgbm", "onnx", "pyfunc", "sklearn", "xgboost")
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "ActiveRun",
    "StagedoorClient",
    "active_run",
    "artifacts",
    "client",
    "create_experiment",
    "delete_run",
    "download_artifacts",
    "end_run",
    "get_experiment",
    "get_experiment_by_name",
    "get_run",
    "get_tracking_uri",
    "infer_signature",
    "lightgbm",
    "list_artifacts",
    "load_model",
    "log_artifact",
    "log_artifacts",
    "log_dict",
    "log_figure",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_text",
    "onnx",
    "pyfunc",
    "register_model",
    "search_experiments",
    "search_runs",
    "set_experiment",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "sklearn",
    "start_run",
    "xgboost",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return _submodule(name)
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stagedoor' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _submodule(name: str) -> ModuleType:
    return import_module(f"stagedoor.{name}")
