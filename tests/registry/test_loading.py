import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression, LogisticRegression

from registry.flavors.sklearn import SKLEARN
from registry.loading import load_folder
from registry.saving import Packing, save_folder
from registry.tensors import Batch
from tracking.errors import (
    InvalidRequest,
    ModelFailed,
    NotImplementedHere,
    ResourceMissing,
    StagedoorError,
)

ROWS = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
LABELS = np.array([0, 0, 1, 1])


class Rude:
    """An estimator that quotes the caller's rows when it fails."""

    def predict(self, rows: Any) -> Any:
        raise ValueError(f"secret {rows}")


def save(folder: Path, model: Any, **said: Any) -> Path:
    save_folder(model, folder, SKLEARN, Packing(created="2026-01-31 12:00:00.000000", **said))
    return folder


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """The folder of a classifier that was fitted with column names."""
    model = LogisticRegression().fit(ROWS, LABELS)
    return save(tmp_path / "named", model, input_example=ROWS.head(2))


def test_a_saved_model_answers_like_the_original(named: Path) -> None:
    loaded = load_folder(named)

    example = loaded.input_example()
    assert example is not None
    answer = loaded.predict_batch(example, {})
    expected = LogisticRegression().fit(ROWS, LABELS).predict(ROWS.head(2))
    assert answer.names == ("output",)
    np.testing.assert_array_equal(answer.arrays[0], expected)


def test_columns_in_another_order_are_put_right(named: Path) -> None:
    loaded = load_folder(named)
    straight = Batch(names=("a", "b"), arrays=(ROWS.to_numpy(),), is_matrix=True)
    turned = Batch(names=("b", "a"), arrays=(ROWS[["b", "a"]].to_numpy(),), is_matrix=True)
    params = {"predict_method": "decision_function"}

    one, other = (loaded.predict_batch(batch, params) for batch in (straight, turned))

    np.testing.assert_array_equal(one.arrays[0], other.arrays[0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("names", [(), ("a", "b")])
def test_every_layout_gives_the_same_answer(named: Path, names: tuple[str, ...]) -> None:
    loaded = load_folder(named)
    matrix = Batch(names=names, arrays=(ROWS.to_numpy(),), is_matrix=True)
    columns = Batch(
        names=("a", "b"), arrays=(ROWS["a"].to_numpy(), ROWS["b"].to_numpy()), is_matrix=False
    )

    one, other = (loaded.predict_batch(batch, {}) for batch in (matrix, columns))

    np.testing.assert_array_equal(one.arrays[0], other.arrays[0])


@pytest.mark.filterwarnings("error")
def test_a_model_without_column_names_gets_plain_arrays(tmp_path: Path) -> None:
    model = LinearRegression().fit(ROWS.to_numpy(), LABELS)
    loaded = load_folder(save(tmp_path / "plain", model))
    columns = Batch(
        names=("a", "b"), arrays=(ROWS["a"].to_numpy(), ROWS["b"].to_numpy()), is_matrix=False
    )

    answer = loaded.predict_batch(columns, {})

    np.testing.assert_array_equal(answer.arrays[0], model.predict(ROWS.to_numpy()))
    assert loaded.signature is None
    assert loaded.input_example() is None


@pytest.mark.parametrize(
    ("method", "shape"), [("predict", (4,)), ("predict_proba", (4, 2)), ("decision_function", (4,))]
)
def test_a_call_may_name_the_method(named: Path, method: str, shape: tuple[int, ...]) -> None:
    batch = Batch(names=("a", "b"), arrays=(ROWS.to_numpy(),), is_matrix=True)

    answer = load_folder(named).predict_batch(batch, {"predict_method": method})

    assert answer.arrays[0].shape == shape


def test_the_method_chosen_at_saving_is_the_default(tmp_path: Path) -> None:
    model = LogisticRegression().fit(ROWS, LABELS)
    loaded = load_folder(save(tmp_path / "proba", model, predict_method="predict_proba"))

    assert loaded.predict(ROWS).shape == (4, 2)


@pytest.mark.parametrize(
    ("method", "reason"),
    [("transform", "no method 'transform'"), ("__class__", "no method"), (7, "must be a text")],
)
def test_a_method_it_has_not_is_a_clear_refusal(named: Path, method: Any, reason: str) -> None:
    batch = Batch(names=("a", "b"), arrays=(ROWS.to_numpy(),), is_matrix=True)

    with pytest.raises(InvalidRequest, match=reason):
        load_folder(named).predict_batch(batch, {"predict_method": method})


def test_a_failing_model_is_named_without_its_rows(tmp_path: Path) -> None:
    loaded = load_folder(save(tmp_path / "rude", Rude()))
    batch = Batch(names=(), arrays=(np.ones((2, 1)),), is_matrix=True)

    with pytest.raises(ModelFailed) as failure:
        loaded.predict_batch(batch, {})

    assert failure.value.message == "The model raised ValueError in 'predict' on these 2 rows."


@pytest.mark.parametrize(
    "data", [ROWS, ROWS.to_numpy(), ROWS.to_numpy().tolist(), ROWS.to_dict("records"),
             {"a": ROWS["a"], "b": ROWS["b"]}]
)  # fmt: skip
def test_a_user_may_give_rows_in_any_form(named: Path, data: Any) -> None:
    loaded = load_folder(named)

    np.testing.assert_array_equal(loaded.predict(data), loaded.native.predict(ROWS))


def edit(folder: Path, **entries: Any) -> None:
    path = folder / "MLmodel"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | entries))


def test_a_folder_of_python_function_alone_loads_by_its_loader(named: Path) -> None:
    flavors = yaml.safe_load((named / "MLmodel").read_text())["flavors"]
    edit(named, flavors={"python_function": flavors["python_function"]})

    assert load_folder(named).flavor == "sklearn"


@pytest.mark.parametrize(
    ("flavors", "error", "reason"),
    [
        ({"keras": {}}, NotImplementedHere, "flavors keras"),
        ({}, NotImplementedHere, "flavors none"),
        ({"python_function": {"loader_module": "os"}}, NotImplementedHere, "python_function"),
        ({"sklearn": {"pickled_model": "gone.pkl"}}, ResourceMissing, "'gone.pkl'"),
        ({"sklearn": {"pickled_model": "../../x"}}, InvalidRequest, "outside the folder"),
        ({"sklearn": {"serialization_format": "onnx"}}, NotImplementedHere, "format 'onnx'"),
    ],
)
def test_a_folder_that_says_odd_things_is_refused(
    named: Path, flavors: dict[str, Any], error: type[StagedoorError], reason: str
) -> None:
    edit(named, flavors=flavors)

    with pytest.raises(error, match=reason):
        load_folder(named)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "EOFError"),
        (b"not a pickle", "UnpicklingError"),
        (pickle.dumps(np.zeros(100))[:50], "UnpicklingError|EOFError"),
        (b"cabsent_module\nThing\n.", "absent_module"),
    ],
)
def test_a_broken_pickle_says_what_is_wrong(named: Path, data: bytes, reason: str) -> None:
    (named / "model.pkl").write_bytes(data)

    with pytest.raises(InvalidRequest, match=f"'model.pkl' cannot be loaded: .*({reason})"):
        load_folder(named)


def test_modules_saved_beside_the_model_are_importable(
    named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(named / "nowhere"))
    flavors = yaml.safe_load((named / "MLmodel").read_text())["flavors"]
    flavors["python_function"]["code"] = "code"
    edit(named, flavors=flavors)
    (named / "code").mkdir()
    (named / "code" / "beside_the_model.py").write_text("class Thing:\n    answer = 7\n")
    (named / "model.pkl").write_bytes(b"cbeside_the_model\nThing\n.")

    assert load_folder(named).native.answer == 7
