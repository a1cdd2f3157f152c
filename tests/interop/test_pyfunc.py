"""Models of one's own, saved by the real mlflow, answer here, where mlflow is not installed."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

import stagedoor
from registry.loading import load_folder
from registry.param_specs import ParamSpec
from registry.tensors import Batch
from tests.interop.client import run_script

CELLS = np.array([[1.0, 3.0], [2.0, 4.0]])
TABLE = Batch(("a", "b"), (CELLS,), is_matrix=True)
TEXTS = Batch((), (np.array([["ab"], ["c"]], dtype=object),), is_matrix=True)


class Ours(stagedoor.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        del params
        return model_input["a"] * context.model_config["by"]


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_folders_are_understood_in_both_directions(tmp_path: Path) -> None:
    stagedoor.pyfunc.save_model(tmp_path / "ours", python_model=Ours(), model_config={"by": 10})
    told = run_script("pyfunc_models.py", url="file:mlruns", folder=tmp_path)

    models = {name: load_folder(tmp_path / name) for name in ("class", "function", "source")}
    texts = load_folder(tmp_path / "texts")

    assert find_spec("mlflow") is None
    signature = models["class"].signature
    assert signature is not None
    assert signature.params == (ParamSpec("factor", "double", 2.0),)
    assert told["ours"] == [10.0, 20.0]
    assert told["class"] == models["class"].predict_batch(TABLE, {"factor": 3.0}).arrays[0].tolist()
    assert models["class"].predict_batch(TABLE, {}).arrays[0].tolist() == [5.0, 10.0]
    assert told["function"] == models["function"].predict_batch(TABLE, {}).arrays[0].tolist()
    assert models["source"].predict_batch(TABLE, {}).arrays[0].tolist() == [2.0, 3.0]
    assert texts.predict_batch(TEXTS, {}).arrays[0].tolist() == ["AB", "C"]
