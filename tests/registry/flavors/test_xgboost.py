from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml

import stagedoor
from registry.loading import LoadedModel, load_folder
from registry.tensors import Batch
from tracking.errors import InvalidRequest, NotImplementedHere, StagedoorError

CELLS = np.random.default_rng(0).normal(size=(60, 3))
ROWS = pd.DataFrame(CELLS, columns=["a", "b", "c"])
LABELS = (CELLS[:, 0] > 0).astype(int)
BATCH = Batch(("a", "b", "c"), (CELLS[:5],), is_matrix=True)
TURNED = Batch(("c", "b", "a"), (CELLS[:5, ::-1],), is_matrix=True)


def saved(folder: Path, model: Any, **said: Any) -> LoadedModel:
    stagedoor.xgboost.save_model(model, folder, **said)
    return load_folder(folder)


def booster(rows: Any) -> Any:
    return xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, label=LABELS), 3)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_an_estimator_answers_as_before(method: str, tmp_path: Path) -> None:
    model = xgboost.XGBClassifier(n_estimators=3).fit(ROWS, LABELS)

    loaded = saved(tmp_path / "m", model, input_example=ROWS.head(2))

    answers = [
        loaded.predict_batch(batch, {"predict_method": method}).arrays[0]
        for batch in (BATCH, TURNED)
    ]
    expected = getattr(model, method)(ROWS.head(5))
    assert all(np.array_equal(answer, expected) for answer in answers)
    assert loaded.flavor == "xgboost"


def test_a_booster_answers_as_before(tmp_path: Path) -> None:
    named, plain = booster(ROWS), booster(CELLS)

    by_name = saved(tmp_path / "m", named, input_example=ROWS.head(2))
    by_place = saved(tmp_path / "n", plain)

    expected = plain.predict(xgboost.DMatrix(CELLS[:5]))
    unnamed = Batch((), BATCH.arrays, is_matrix=True)
    for model, batch in ((by_name, BATCH), (by_name, TURNED), (by_name, unnamed)):
        assert np.array_equal(model.predict_batch(batch, {}).arrays[0], expected)
    assert np.array_equal(by_place.predict_batch(unnamed, {}).arrays[0], expected)
    assert np.array_equal(by_name.predict(ROWS.head(5)), expected)


def edited(folder: Path, **entry: Any) -> Path:
    path = folder / "MLmodel"
    content = yaml.safe_load(path.read_text())
    content["flavors"]["xgboost"] |= entry
    path.write_text(yaml.safe_dump(content))
    return folder


@pytest.mark.parametrize(
    ("entry", "error", "reason"),
    [
        ({"model_class": "os.system"}, NotImplementedHere, "'system' is none of XGBoost's own"),
        ({"model_class": "xgboost.core.DMatrix"}, NotImplementedHere, "'DMatrix' is none"),
        ({"data": "broken.ubj"}, InvalidRequest, "'broken.ubj' cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    entry: dict[str, Any], error: type[StagedoorError], reason: str, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    stagedoor.xgboost.save_model(booster(CELLS), folder)
    (folder / "broken.ubj").write_bytes(b"{not a model")

    with pytest.raises(error, match=reason):
        load_folder(edited(folder, **entry))


def test_another_librarys_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'dict' is no model of XGBoost"):
        stagedoor.xgboost.save_model({}, tmp_path / "m")
