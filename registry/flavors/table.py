"""The flavors there are, and which one of them reads a given MLmodel file."""

from collections.abc import Mapping
from typing import Any

from registry.flavors.flavor import Flavor, Options
from registry.flavors.lightgbm import LIGHTGBM
from registry.flavors.onnx import ONNX
from registry.flavors.pyfunc import PYFUNC
from registry.flavors.sklearn import SKLEARN
from registry.flavors.xgboost import XGBOOST
from tracking.errors import NotImplementedHere

FLAVORS = {flavor.name: flavor for flavor in (SKLEARN, XGBOOST, LIGHTGBM, ONNX, PYFUNC)}
"""In order of preference, where a folder has several."""

PYTHON_FUNCTION = PYFUNC.name

_LOADER_MODULES = {f"mlflow.{flavor.name}": flavor for flavor in FLAVORS.values()}
"""Loaders of the ``python_function`` flavor that one of ours stands in for."""


def choose_flavor(flavors: Mapping[str, Mapping[str, Any]]) -> tuple[Flavor, Options]:
    """Return the flavor that loads a folder, and its options.

    Raises:
        NotImplementedHere: None of the folder's flavors is one of ours.
    """
    for name, flavor in FLAVORS.items():
        if name in flavors and flavor is not PYFUNC:
            return flavor, flavors[name]
    generic = flavors.get(PYTHON_FUNCTION)
    if generic is None:
        raise NotImplementedHere(
            f"The model has the flavors {', '.join(sorted(flavors)) or 'none'}; "
            f"the ones that load here are {', '.join(FLAVORS)}."
        )
    return _LOADER_MODULES.get(str(generic.get("loader_module")), PYFUNC), generic
