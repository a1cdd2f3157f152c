import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import yaml

import stagedoor
from registry.flavors.python_model import PythonModel
from registry.loading import LoadedModel, load_folder
from registry.param_specs import ParamSpec
from registry.signature import ColumnSpec, Signature, TensorSpec
from registry.tensors import DOCUMENT, Batch
from tracking.errors import InvalidRequest, NotImplementedHere, ResourceMissing, StagedoorError

ROWS = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
TABLE = Batch(("a", "b"), (ROWS.to_numpy(),), is_matrix=True)


class Sloped(PythonModel):
    """Reads its slope from a file, and takes a factor as a param."""

    def load_context(self, context: Any) -> None:
        self.slope = float(Path(context.artifacts["slope"]).read_text())
        self.unpicklable = (n for n in range(3))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        offset = context.model_config.get("offset", 0.0)
        return model_input["a"] * self.slope * (params or {}).get("factor", 1.0) + offset


class Kind:
    """Not derived from anything; says what it was handed."""

    def predict(self, model_input: Any) -> Any:
        return [type(model_input).__name__] * len(model_input)


def total(rows: Any) -> Any:
    return rows.sum(axis=1)


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def saved(folder: Path, model: Any, **said: Any) -> LoadedModel:
    stagedoor.pyfunc.save_model(folder, python_model=model, **said)
    return load_folder(folder)


@pytest.fixture
def slope(tmp_path: Path) -> str:
    path = tmp_path / "slope.txt"
    path.write_text("2.5")
    return str(path)


def test_a_model_of_ones_own_finds_artifacts_and_configuration(tmp_path: Path, slope: str) -> None:
    folder = tmp_path / "model"
    model = saved(
        folder,
        Sloped(),
        artifacts={"slope": slope},
        model_config={"offset": 0.5},
        input_example=ROWS,
    )
    Path(slope).unlink()

    answer = model.predict_batch(TABLE, {})

    assert answer.arrays[0].tolist() == [3.0, 5.5]
    assert model.flavor == "python_function"
    assert (folder / "artifacts" / "slope.txt").read_text() == "2.5"


def test_params_of_the_signature_reach_it_in_their_types(tmp_path: Path, slope: str) -> None:
    signature = Signature(
        inputs=(ColumnSpec("double", "a"),), params=(ParamSpec("factor", "double", 2.0),)
    )
    model = saved(tmp_path / "m", Sloped(), artifacts={"slope": slope}, signature=signature)
    batch = Batch(("a",), (np.array([[1.0]]),), is_matrix=True)

    given = [{}, {"factor": 4, "other": "x"}]
    answers = [model.predict_batch(batch, params).arrays[0].tolist() for params in given]

    assert answers == [[5.0], [10.0]]
    with pytest.raises(InvalidRequest, match="'factor' must be double"):
        model.predict_batch(batch, {"factor": "4"})


def test_a_function_is_a_model(tmp_path: Path) -> None:
    model = saved(tmp_path / "m", total, input_example=ROWS)

    assert model.predict_batch(TABLE, {}).arrays[0].tolist() == [4.0, 6.0]
    assert model.predict(ROWS).tolist() == [4.0, 6.0]


@pytest.mark.parametrize(
    ("inputs", "batch", "expected"),
    [
        ((ColumnSpec("double", "a"), ColumnSpec("double", "b")), TABLE, "DataFrame"),
        ((ColumnSpec("double"),), Batch((), (np.ones((2, 1)),), is_matrix=True), "DataFrame"),
        ((TensorSpec("float64", (-1, 2)),), Batch((), TABLE.arrays, is_matrix=True), "ndarray"),
        ((), TABLE, "DataFrame"),
        ((), Batch((), TABLE.arrays, is_matrix=True), "ndarray"),
    ],
)
def test_rows_come_in_the_form_that_the_signature_speaks_of(
    inputs: Any, batch: Batch, expected: str, tmp_path: Path
) -> None:
    model = saved(tmp_path / "m", Kind(), signature=Signature(inputs=inputs))

    assert model.predict_batch(batch, {}).arrays[0].tolist() == [expected] * 2


def test_named_tensors_come_by_name(tmp_path: Path) -> None:
    specs = (TensorSpec("float64", (-1,), "x"), TensorSpec("float64", (-1,), "y"))
    model = saved(tmp_path / "m", Kind(), signature=Signature(inputs=specs))
    batch = Batch(("x", "y"), (np.ones(2), np.ones(2)), is_matrix=False)

    assert model.predict_batch(batch, {}).arrays[0].tolist() == ["dict"] * 2


class Chatting(PythonModel):
    """Takes a document, and says what came."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        del context, params
        last = model_input["messages"][-1]
        return {"choices": [{"text": f"{type(model_input).__name__}: {last}"}]}


def test_documents_are_answered_one_by_one(tmp_path: Path) -> None:
    """Those of several callers may come together."""
    model = saved(tmp_path / "m", Chatting())
    messages = np.fromiter([["hi"], ["ho", "he"]], dtype=object, count=2)

    answer = model.predict_batch(
        Batch(("messages",), (messages,), is_matrix=False), {DOCUMENT: True}
    )

    assert answer.is_whole
    assert answer.arrays[0].tolist() == [
        {"choices": [{"text": "dict: hi"}]},
        {"choices": [{"text": "dict: he"}]},
    ]


class Talker(PythonModel):
    """Gives its answer in pieces, to rows or to a document."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        del context, params
        return {"said": model_input["prompt"]}

    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Any:
        del context
        yield from ([word, (params or {}).get("n")] for word in model_input["prompt"].split())


@pytest.mark.parametrize("answer", [{"rows": 2, "done": True}, 0.5, "well", None])
def test_one_answer_to_all_rows_is_saved_and_given(tmp_path: Path, answer: Any) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])

    class Whole(PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            del context, model_input, params
            return answer

    if answer is None:
        model = saved(tmp_path / "m", Whole(), input_example=rows)
    else:
        with pytest.warns(UserWarning, match="says nothing of the model's answer"):
            model = saved(tmp_path / "m", Whole(), input_example=rows)
    told = model.predict_batch(Batch((), (rows,), is_matrix=True), {})

    assert model.signature == Signature(inputs=(TensorSpec("float64", (-1, 2)),))
    assert told.is_whole
    assert [array.tolist() for array in told.arrays] == [
        [value] for value in (answer.values() if isinstance(answer, dict) else (answer,))
    ]


def test_a_model_that_streams_talks(tmp_path: Path) -> None:
    model = saved(tmp_path / "m", Talker())

    pieces = list(model.talk({"prompt": "so it is"}, {"n": 1}, is_stream=True))
    whole = list(model.talk({"prompt": "so"}, {}, is_stream=False))

    assert model.can_talk
    assert model.takes_documents
    assert pieces == [["so", 1], ["it", 1], ["is", 1]]
    assert whole == [{"said": "so"}]
    assert not saved(tmp_path / "other", Kind()).can_talk


class Poet(Talker):
    """Says that it gives no whole answers, as models do that have to have a ``predict``."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        raise NotImplementedError


def test_a_model_that_only_talks_says_how_it_is_asked(tmp_path: Path) -> None:
    model = saved(tmp_path / "m", Poet())
    rows = Batch((), (np.ones((1, 1)),), is_matrix=True)

    for ask in (
        lambda: model.predict_batch(rows, {}),
        lambda: list(model.talk({"prompt": "so"}, {}, is_stream=False)),
    ):
        with pytest.raises(InvalidRequest, match="ModelStreamInfer"):
            ask()


def test_another_method_is_a_clear_refusal(tmp_path: Path) -> None:
    model = saved(tmp_path / "m", total)

    with pytest.raises(InvalidRequest, match="no method 'predict_proba'"):
        model.predict_batch(TABLE, {"predict_method": "predict_proba"})


LOADER = """
class Times:
    def __init__(self, path):
        self.by = float(open(path).read())

    def predict(self, rows):
        return rows["a"].to_numpy() * self.by


def _load_pyfunc(path):
    return Times(path)
"""


def by_hand(folder: Path, entry: dict[str, Any], files: dict[str, str]) -> Path:
    """Write a folder with an MLmodel file of its own."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": entry}}))
    return folder


def test_a_loader_that_comes_with_the_model_is_asked(tmp_path: Path) -> None:
    name = f"loader_{tmp_path.name.replace('-', '_')}"
    entry = {"code": "code", "data": "data/by.txt", "loader_module": name}
    files = {f"code/{name}.py": LOADER, "data/by.txt": "3"}

    model = load_folder(by_hand(tmp_path, entry, files))

    assert model.predict_batch(TABLE, {}).arrays[0].tolist() == [3.0, 6.0]


SOURCE = """
import mlflow
from mlflow.models import ModelConfig, set_model
from mlflow.pyfunc import PythonModel


class Plus(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["a"] + ModelConfig(development_config={"by": 1}).get("by")


set_model(Plus())
"""


def test_a_model_saved_as_source_names_itself(tmp_path: Path) -> None:
    """And leaves no module of the name behind that is not installed."""
    entry = {
        "config": {"by": 10},
        "loader_module": "mlflow.pyfunc.loaders.code_model",
        "model_code_path": "/somewhere/else/source.py",
    }

    model = load_folder(by_hand(tmp_path, entry, {"source.py": SOURCE}))

    assert model.predict_batch(TABLE, {}).arrays[0].tolist() == [11.0, 12.0]
    assert not [name for name in sys.modules if name.partition(".")[0] == "mlflow"]


BY_SOURCE = {
    "loader_module": "mlflow.pyfunc.loaders.code_model",
    "model_code_path": "source.py",
}
BY_CLASS = {"loader_module": "mlflow.pyfunc.model", "python_model": "python_model.pkl"}


@pytest.mark.parametrize(
    ("entry", "files", "error", "reason"),
    [
        ({"loader_module": "mlflow.pytorch"}, {}, NotImplementedHere, "the package 'mlflow'"),
        ({"loader_module": "os"}, {}, NotImplementedHere, "'os', which cannot"),
        ({"loader_module": "json", "data": "../x"}, {}, InvalidRequest, "outside the folder"),
        (BY_CLASS, {}, ResourceMissing, "python_model.pkl"),
        (BY_CLASS, {"python_model.pkl": "x"}, InvalidRequest, "UnpicklingError"),
        (
            BY_CLASS,
            {"python_model.pkl": "cmlflow.pyfunc.model\nResponsesAgent\n."},
            InvalidRequest,
            "mlflow.pyfunc.model.ResponsesAgent: install the package 'mlflow'",
        ),
        (
            BY_CLASS,
            {"python_model.pkl": "cabsent_package.models\nThing\n."},
            InvalidRequest,
            "No module named 'absent_package'; install the package 'absent_package'",
        ),
        (
            {**BY_CLASS, "model_compression": "gzip"},
            {"python_model.pkl": "x"},
            NotImplementedHere,
            "compressed",
        ),
        (
            {**BY_CLASS, "artifacts": {"w": {"path": "artifacts/gone"}}},
            {"python_model.pkl": "N."},
            ResourceMissing,
            "'gone'",
        ),
        (BY_CLASS, {"python_model.pkl": "N."}, InvalidRequest, "no method 'predict'"),
        (BY_SOURCE, {"source.py": "x = 1"}, InvalidRequest, "names no model"),
        (BY_SOURCE, {"source.py": "1 / 0"}, InvalidRequest, "ZeroDivisionError"),
        (
            BY_SOURCE,
            {"source.py": "from mlflow.tracking import MlflowClient"},
            InvalidRequest,
            "install the package 'mlflow'",
        ),
    ],
)
def test_what_cannot_be_loaded_says_why(
    entry: dict[str, Any],
    files: dict[str, str],
    error: type[StagedoorError],
    reason: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=reason):
        load_folder(by_hand(tmp_path, entry, files))

    assert not [name for name in sys.modules if name.partition(".")[0] == "mlflow"]


def test_what_cannot_be_saved_says_why(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no method 'predict'"):
        saved(tmp_path / "m", {"no": "model"})
