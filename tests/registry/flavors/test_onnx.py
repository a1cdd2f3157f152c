from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import stagedoor
from registry.loading import LoadedModel, load_folder
from registry.tensors import Batch
from tests.registry.flavors import graphs
from tracking.errors import InvalidRequest, ModelFailed

CELLS = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]])
BATCH = Batch((), (CELLS,), is_matrix=True)


def saved(folder: Path, model: Any, **said: Any) -> LoadedModel:
    stagedoor.onnx.save_model(model, folder, **said)
    return load_folder(folder)


def test_a_graph_answers_with_its_outputs_by_name(tmp_path: Path) -> None:
    model = saved(tmp_path / "m", graphs.affine(), input_example=CELLS)

    answer = model.predict_batch(BATCH, {})

    scores = CELLS.astype(np.float32) @ graphs.COEF
    assert answer.names == ("scores", "label")
    np.testing.assert_allclose(answer.arrays[0], scores, rtol=1e-6)
    assert answer.arrays[1].tolist() == scores.argmax(axis=1).tolist()
    assert model.flavor == "onnx"
    assert model.signature is not None
    assert [spec.name for spec in model.signature.outputs] == ["scores", "label"]


def test_several_inputs_come_by_name(tmp_path: Path) -> None:
    model = saved(tmp_path / "m", graphs.sum_of_two().SerializeToString())
    columns, names = (CELLS[:, 0], CELLS[:, 1]), ("left", "right")
    matrix = Batch(names, (np.column_stack(columns),), is_matrix=True)

    for batch in (matrix, Batch(names, columns, is_matrix=False)):
        assert model.predict_batch(batch, {}).arrays[0].tolist() == [[3.0], [-1.0]]
    frame = pd.DataFrame({"right": columns[1], "left": columns[0]})
    assert model.predict(frame)["total"].tolist() == [[3.0], [-1.0]]


def test_wrong_rows_and_questions_are_refused(tmp_path: Path) -> None:
    model = saved(tmp_path / "m", graphs.affine())
    two = saved(tmp_path / "n", graphs.sum_of_two())

    with pytest.raises(ModelFailed, match="raised InvalidArgument in 'predict' on these 2 rows"):
        model.predict_batch(Batch((), (CELLS[:, :2],), is_matrix=True), {})
    with pytest.raises(InvalidRequest, match="takes an input 'right', which is missing"):
        two.predict_batch(Batch(("left",), (CELLS[:, 0],), is_matrix=False), {})
    with pytest.raises(InvalidRequest, match="no method 'predict_proba'"):
        model.predict_batch(BATCH, {"predict_method": "predict_proba"})


@pytest.mark.parametrize("data", [b"no graph", b"\x08"])
def test_a_broken_graph_says_so(data: bytes, tmp_path: Path) -> None:
    stagedoor.onnx.save_model(data, tmp_path / "m")

    with pytest.raises(InvalidRequest, match="graph cannot be loaded"):
        load_folder(tmp_path / "m")


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="'list' is no ONNX model"):
        stagedoor.onnx.save_model([], tmp_path / "m")
