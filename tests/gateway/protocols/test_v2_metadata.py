"""What a model says about itself, and that requests made after it are taken."""

import json
from typing import Any

import msgspec
import pytest

from gateway.protocols.v2_metadata import ServerReady, model_metadata
from gateway.protocols.v2_rest import decode
from registry.signature import ColumnSpec, Signature, TensorSpec

COLUMNS = Signature(
    inputs=(ColumnSpec("double", "a"), ColumnSpec("string", "b"), ColumnSpec("datetime", "c")),
    outputs=(ColumnSpec("long"),),
)
UNNAMED = Signature((ColumnSpec("float"), ColumnSpec("float")), (TensorSpec("float64", (-1, 3)),))
TENSOR = Signature((TensorSpec("float32", (-1, 2, 2)),), (TensorSpec("str", (-1,)),))
PAIR = Signature((TensorSpec("float64", (-1, 2), "x"), TensorSpec("int64", (-1,), "y")))

SAMPLES = {"FP64": 1.5, "FP32": 1.5, "INT64": 1, "BYTES": "2024-05-01"}


def described(signature: Signature | None) -> Any:
    return json.loads(msgspec.json.encode(model_metadata("iris", [1, 2], signature)))


def test_columns_are_described_one_by_one() -> None:
    assert described(COLUMNS) == {
        "name": "iris",
        "versions": ["1", "2"],
        "platform": "stagedoor",
        "inputs": [
            {"name": "a", "datatype": "FP64", "shape": [-1]},
            {"name": "b", "datatype": "BYTES", "shape": [-1]},
            {"name": "c", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": "output", "datatype": "INT64", "shape": [-1]}],
    }


def test_columns_without_names_are_one_input() -> None:
    body = described(UNNAMED)

    assert body["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 2]}]
    assert body["outputs"] == [{"name": "output", "datatype": "FP64", "shape": [-1, 3]}]


def test_tensors_are_described_with_their_shape() -> None:
    body = described(TENSOR)

    assert body["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 2, 2]}]
    assert body["outputs"] == [{"name": "output", "datatype": "BYTES", "shape": [-1]}]


def test_several_outputs_without_names_are_numbered() -> None:
    signature = Signature(outputs=(ColumnSpec("double"), ColumnSpec("boolean")))

    names = [(output["name"], output["datatype"]) for output in described(signature)["outputs"]]

    assert names == [("output-0", "FP64"), ("output-1", "BOOL")]


def test_without_a_signature_nothing_is_said() -> None:
    assert (described(None)["inputs"], described(None)["outputs"]) == ([], [])


@pytest.mark.parametrize("signature", [COLUMNS, UNNAMED, TENSOR, PAIR])
def test_a_request_made_after_the_description_is_taken(signature: Signature) -> None:
    inputs = []
    for described_input in described(signature)["inputs"]:
        shape = [3 if length == -1 else length for length in described_input["shape"]]
        count = 1
        for length in shape:
            count *= length
        data = [SAMPLES[described_input["datatype"]]] * count
        inputs.append({**described_input, "shape": shape, "data": data})

    request = decode(json.dumps({"inputs": inputs}).encode(), "application/json", signature)

    assert request.batch.rows == 3


def test_readiness_carries_both_keys_of_the_two_texts() -> None:
    assert json.loads(msgspec.json.encode(ServerReady(ready=True, live=True))) == {
        "ready": True,
        "live": True,
    }
