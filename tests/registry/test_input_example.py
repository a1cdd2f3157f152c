import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from registry.input_example import UnreadableExample, read_input_example, write_input_example
from registry.model_folder import ModelConfig
from registry.observed import infer_signature
from registry.signature import ColumnSpec, Nested, Signature
from registry.tensors import Batch
from tracking.errors import InvalidRequest

MIXED = pd.DataFrame(
    {
        "n": [1, 2],
        "x": [1.5, None],
        "t": ["a", None],
        "b": [True, False],
        "raw": [b"\x00", b"\x01"],
        "at": pd.to_datetime(["2020-01-01", "2020-01-02"]),
    }
)


def round_trip(folder: Path, example: Any, signature: Signature | None) -> Batch | None:
    info = write_input_example(folder, example)
    config = ModelConfig(flavors={}, signature=signature, saved_input_example_info=info)
    return read_input_example(folder, config)


def test_a_numeric_frame_becomes_a_matrix_with_names(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})

    batch = round_trip(tmp_path, frame, infer_signature(frame))

    assert batch is not None
    assert batch.names == ("a", "b")
    assert batch.is_matrix
    np.testing.assert_array_equal(batch.arrays[0], [[1.0, 3.0], [2.0, 4.0]])


def test_a_mixed_frame_becomes_columns_of_their_types(tmp_path: Path) -> None:
    batch = round_trip(tmp_path, MIXED, infer_signature(MIXED))

    assert batch is not None
    assert not batch.is_matrix
    assert [array.dtype.kind for array in batch.arrays] == ["i", "f", "O", "b", "O", "M"]
    assert np.isnan(batch.arrays[1][1])
    assert batch.arrays[2].tolist() == ["a", None]
    assert batch.arrays[4].tolist() == [b"\x00", b"\x01"]
    assert batch.arrays[5][0] == np.datetime64("2020-01-01")


def test_an_array_keeps_its_dtype_and_shape(tmp_path: Path) -> None:
    array = np.arange(6, dtype="float32").reshape(2, 3)

    batch = round_trip(tmp_path, array, infer_signature(array))

    assert batch is not None
    assert batch.arrays[0].dtype == np.float32
    np.testing.assert_array_equal(batch.arrays[0], array)


def test_named_arrays_become_named_tensors(tmp_path: Path) -> None:
    example = {"x": np.ones((2, 3)), "ids": np.array([1, 2])}

    batch = round_trip(tmp_path, example, infer_signature(example))

    assert batch is not None
    assert batch.names == ("x", "ids")
    assert [array.shape for array in batch.arrays] == [(2, 3), (2,)]


def test_rows_as_dicts_are_a_table(tmp_path: Path) -> None:
    rows = [{"a": 1, "t": "x"}, {"a": 2}]

    batch = round_trip(tmp_path, rows, infer_signature(rows))

    assert batch is not None
    assert [array.tolist() for array in batch.arrays] == [[1, 2], ["x", None]]


def test_without_a_signature_types_come_from_the_values(tmp_path: Path) -> None:
    batch = round_trip(tmp_path, pd.DataFrame({"a": [1], "t": ["x"]}), None)

    assert batch is not None
    assert [array.dtype.kind for array in batch.arrays] == ["i", "O"]


def test_the_serving_example_is_the_body_of_a_call(tmp_path: Path) -> None:
    write_input_example(tmp_path, pd.DataFrame({"a": [1.5]}))

    body = json.loads((tmp_path / "serving_input_example.json").read_text())
    assert body == {"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}


def test_missing_values_and_times_have_json(tmp_path: Path) -> None:
    moment = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    write_input_example(tmp_path, [{"x": float("nan"), "t": pd.NaT, "at": moment}])

    body = json.loads((tmp_path / "input_example.json").read_text())
    assert body["data"] == [[None, None, "2020-01-01T00:00:00+00:00"]]


def test_what_has_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot hold a 'object'"):
        write_input_example(tmp_path, [{"a": object()}])


def test_a_model_without_an_example_has_none(tmp_path: Path) -> None:
    assert read_input_example(tmp_path, ModelConfig(flavors={})) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("7", "does not fit"),
        ('{"data": [[1, 2], [3]], "columns": ["a", "b"]}', "does not fit"),
        ('{"data": [["x"]], "columns": ["a"]}', "does not fit"),
        ('{"columns": ["a"]}', "does not fit"),
        ('{"data": []}', "does not fit"),
    ],
)
def test_an_example_that_does_not_fit_is_a_clear_refusal(
    tmp_path: Path, body: str, reason: str
) -> None:
    frame = pd.DataFrame({"a": [1.0]})
    info = {"artifact_path": "input_example.json", "type": "dataframe"}
    config = ModelConfig(
        flavors={}, signature=infer_signature(frame), saved_input_example_info=info
    )
    (tmp_path / "input_example.json").write_text(body)

    with pytest.raises(InvalidRequest, match=reason):
        read_input_example(tmp_path, config)


@pytest.mark.parametrize("body", [None, b"[[", b"\xff", b"[" * 100_000, b" " * ((16 << 20) + 1)])
def test_an_example_that_cannot_be_read_is_none_and_said(
    tmp_path: Path, body: bytes | None
) -> None:
    info = {"artifact_path": "input_example.json", "type": "dataframe"}
    config = ModelConfig(flavors={}, saved_input_example_info=info)
    if body is not None:
        (tmp_path / "input_example.json").write_bytes(body)

    with pytest.warns(UnreadableExample, match="'input_example.json' cannot be read") as told:
        assert read_input_example(tmp_path, config) is None

    assert str(tmp_path) not in str(told[0].message)


@pytest.mark.parametrize("is_signed", [True, False])
def test_a_missing_value_as_mlflow_writes_it_is_one(tmp_path: Path, *, is_signed: bool) -> None:
    """MLflow writes its examples with Python's JSON, which has a word for NaN."""
    frame = pd.DataFrame({"x": [1.5, np.nan], "t": ["a", "b"]})
    info = {"artifact_path": "input_example.json", "type": "dataframe"}
    signature = infer_signature(frame) if is_signed else None
    config = ModelConfig(flavors={}, signature=signature, saved_input_example_info=info)
    text = '{"columns": ["x", "t"], "data": [[1.5, "a"], [NaN, NaN], [Infinity, null]]}'
    (tmp_path / "input_example.json").write_text(text)

    batch = read_input_example(tmp_path, config)

    assert batch is not None
    np.testing.assert_array_equal(batch.arrays[0], [1.5, np.nan, np.inf])
    assert batch.arrays[1].tolist() == ["a", None, None]


@pytest.mark.parametrize("is_signed", [True, False])
def test_lists_and_objects_are_cells(tmp_path: Path, *, is_signed: bool) -> None:
    nested = Nested("array", items=Nested("long"))
    inputs = (ColumnSpec("array", "a", nested=nested), ColumnSpec("any", "o", required=False))
    rows = [{"a": [1, 2], "o": {"x": 1}}, {"a": [3, 4]}]

    batch = round_trip(tmp_path, rows, Signature(inputs) if is_signed else None)

    assert batch is not None
    assert [array.tolist() for array in batch.arrays] == [[[1, 2], [3, 4]], [{"x": 1}, None]]
