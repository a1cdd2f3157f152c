from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from registry.flavors.sklearn import SKLEARN
from registry.model_folder import read_model_folder
from registry.saving import Packing, save_folder
from registry.signature import ColumnSpec, Signature, TensorSpec
from tracking.errors import InvalidRequest, ResourceExists

ROWS = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
CREATED = "2026-01-31 12:00:00.000000"


def fit() -> Any:
    return LinearRegression().fit(ROWS, [0.0, 1.0])


def test_a_folder_holds_what_other_tools_look_for(tmp_path: Path) -> None:
    save_folder(fit(), tmp_path, SKLEARN, Packing(created=CREATED, input_example=ROWS))

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "MLmodel",
        "conda.yaml",
        "input_example.json",
        "model.pkl",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    ]
    assert "scikit-learn==" in (tmp_path / "requirements.txt").read_text()


def test_the_signature_comes_from_the_example_and_its_answer(tmp_path: Path) -> None:
    config = save_folder(fit(), tmp_path, SKLEARN, Packing(created=CREATED, input_example=ROWS))

    assert config.signature == Signature(
        inputs=(ColumnSpec("double", name="a"), ColumnSpec("double", name="b")),
        outputs=(TensorSpec("float64", shape=(-1,)),),
    )
    assert read_model_folder(tmp_path).signature == config.signature


def test_a_signature_that_is_given_wins(tmp_path: Path) -> None:
    given = Signature(inputs=(TensorSpec("float64", shape=(-1, 2)),))
    packing = Packing(created=CREATED, input_example=ROWS, signature=given)

    assert save_folder(fit(), tmp_path, SKLEARN, packing).signature == given


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")

    with pytest.raises(ResourceExists, match="is not empty"):
        save_folder(fit(), tmp_path, SKLEARN, Packing(created=CREATED))

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_cannot_be_pickled_is_a_clear_refusal(tmp_path: Path) -> None:
    model = fit()
    model.handle = (tmp_path / "open").open("w")

    with model.handle, pytest.raises(InvalidRequest, match="cannot be pickled"):
        save_folder(model, tmp_path / "model", SKLEARN, Packing(created=CREATED))


def test_what_has_no_such_method_is_refused(tmp_path: Path) -> None:
    packing = Packing(created=CREATED, predict_method="predict_proba")

    with pytest.raises(InvalidRequest, match="it has predict"):
        save_folder(fit(), tmp_path / "model", SKLEARN, packing)


def test_two_savings_have_two_ids(tmp_path: Path) -> None:
    packing = Packing(created=CREATED, input_example=np.zeros((1, 2)))

    one = save_folder(fit(), tmp_path / "one", SKLEARN, packing)
    other = save_folder(fit(), tmp_path / "other", SKLEARN, packing)

    assert one.model_uuid != other.model_uuid
