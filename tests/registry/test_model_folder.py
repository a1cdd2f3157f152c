import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.model_folder import ModelConfig, parse_mlmodel, read_model_folder, write_model_folder
from registry.signature import ColumnSpec, Signature, TensorSpec
from tracking.errors import InvalidRequest, ResourceMissing, StagedoorError

SAVED_BY_MLFLOW = """\
artifact_path: mlflow-artifacts:/1/models/m-1/artifacts
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.7
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.9.1
    skops_trusted_types: null
is_signature_from_type_hint: false
mlflow_version: 3.17.2
model_id: null
model_size_bytes: 10950
model_uuid: 5facd75b525e46fb99df25245504105b
prompts: null
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
signature:
  inputs: '[{"type": "double", "name": "sepal length (cm)", "required": true}, {"type":
    "long", "name": "n", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
type_hint_from_example: false
utc_time_created: '2026-11-23 18:28:38.697646'
"""


def test_a_file_written_by_mlflow_is_read() -> None:
    config = parse_mlmodel(SAVED_BY_MLFLOW.encode())

    assert config.flavors["sklearn"]["pickled_model"] == "model.pkl"
    assert config.signature == Signature(
        inputs=(
            ColumnSpec("double", name="sepal length (cm)"),
            ColumnSpec("long", name="n", required=False),
        ),
        outputs=(TensorSpec("int64", shape=(-1,)),),
    )
    assert config.model_uuid == "5facd75b525e46fb99df25245504105b"
    assert config.utc_time_created == "2026-11-23 18:28:38.697646"
    assert config.saved_input_example_info is not None
    assert config.saved_input_example_info["type"] == "dataframe"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = ModelConfig(
        flavors={"sklearn": {"pickled_model": "model.pkl", "code": None}},
        signature=Signature(inputs=(ColumnSpec("double", name="größe"),)),
        saved_input_example_info={"artifact_path": "input_example.json", "type": "ndarray"},
        model_uuid="a" * 32,
        utc_time_created="2026-01-31 12:00:00.000000",
        run_id="b" * 32,
        artifact_path="model",
        mlflow_version="3.17.2",
        metadata={"owner": "me", "parts": [1, 2.5]},
    )

    write_model_folder(tmp_path, config)

    assert read_model_folder(tmp_path) == config


def test_an_unquoted_time_of_an_old_file_is_read_as_text() -> None:
    config = parse_mlmodel(b"flavors: {}\nutc_time_created: 2020-01-02 03:04:05.000006\n")

    assert config.utc_time_created == str(dt.datetime(2020, 1, 2, 3, 4, 5, 6))  # noqa: DTZ001


def test_a_folder_without_the_file_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ResourceMissing, match="no MLmodel file"):
        read_model_folder(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"flavors: [1]",
        b"flavors: {a: 1}",
        b"{",
        b"\xff\xfe\xfd",
        b"!!python/object/apply:os.system ['true']",
        b"run_id: 7\nflavors: {}",
        b"[" * 50_000,
    ],
)
def test_what_is_no_mlmodel_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        parse_mlmodel(data)


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="larger than"):
        parse_mlmodel(b"#" * ((1 << 20) + 1))


@given(st.binary(max_size=60) | st.text("fl:{}[]- a\n'\"&*!|>", max_size=60).map(str.encode))
def test_no_bytes_lead_to_another_error(data: bytes) -> None:
    try:
        parse_mlmodel(data)
    except StagedoorError:
        return
