from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

import stagedoor
from registry.loading import load_folder
from registry.tensors import Batch
from tracking.errors import InvalidRequest

CELLS = np.random.default_rng(0).normal(size=(80, 3))
ROWS = pd.DataFrame(CELLS, columns=["a", "b", "c"])
LABELS = (CELLS[:, 0] > 0).astype(int)
QUIET = {"verbose": -1, "min_data_in_leaf": 2, "num_threads": 1}
BATCH = Batch(("a", "b", "c"), (CELLS[:5],), is_matrix=True)
TURNED = Batch(("c", "b", "a"), (CELLS[:5, ::-1],), is_matrix=True)


def booster() -> Any:
    return lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(ROWS, LABELS), 3)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_an_estimator_answers_as_before(method: str, tmp_path: Path) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=3, **QUIET).fit(ROWS, LABELS)
    stagedoor.lightgbm.save_model(model, tmp_path / "m", input_example=ROWS.head(2))

    loaded = load_folder(tmp_path / "m")

    answers = [
        loaded.predict_batch(batch, {"predict_method": method}).arrays[0]
        for batch in (BATCH, TURNED)
    ]
    expected = getattr(model, method)(ROWS.head(5))
    assert all(np.array_equal(answer, expected) for answer in answers)
    assert loaded.flavor == "lightgbm"


def test_a_booster_answers_as_before(tmp_path: Path) -> None:
    model = booster()
    stagedoor.lightgbm.save_model(model, tmp_path / "m", input_example=ROWS.head(2))

    loaded = load_folder(tmp_path / "m")

    expected = model.predict(CELLS[:5])
    for batch in (BATCH, TURNED, Batch((), BATCH.arrays, is_matrix=True)):
        assert np.array_equal(loaded.predict_batch(batch, {}).arrays[0], expected)
    assert np.array_equal(loaded.predict(ROWS.head(5)), expected)


def test_a_broken_file_says_so(tmp_path: Path) -> None:
    stagedoor.lightgbm.save_model(booster(), tmp_path / "m")
    (tmp_path / "m" / "model.lgb").write_text("tree\nbroken")

    with pytest.raises(InvalidRequest, match=r"'model.lgb' cannot be loaded"):
        load_folder(tmp_path / "m")


def test_another_librarys_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'dict' is no model of LightGBM"):
        stagedoor.lightgbm.save_model({}, tmp_path / "m")
