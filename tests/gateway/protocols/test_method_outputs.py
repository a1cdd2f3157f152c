"""Outputs of v2 that are named after a method ask for it, over each of its wires."""

import json
from typing import Any

import numpy as np
import pytest

from gateway.protocols import v2_binary, v2_grpc, v2_rest
from gateway.protocols.v2_messages import message
from registry.route import VersionKey
from registry.signature import Signature, TensorSpec
from registry.tensors import InferRequest, Prediction
from tracking.errors import InvalidRequest

KEY = VersionKey("iris", 7, "digest")
SHARES = np.array([[0.25, 0.75]])
RAW: dict[str, Any] = {"name": "x", "datatype": "FP64", "shape": [1, 2]}
ROWS = {**RAW, "data": [1, 2]}
OWN = Signature((TensorSpec("float64", (-1, 2)),), (TensorSpec("float64", (-1,), "transform"),))


def read(*outputs: str, signature: Signature | None = None, **params: Any) -> InferRequest:
    body = {
        "inputs": [ROWS],
        "outputs": [{"name": name} for name in outputs],
        "parameters": params,
    }
    return v2_rest.decode(json.dumps(body).encode(), None, signature)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "transform"])
def test_an_output_named_after_a_method_asks_for_it(method: str) -> None:
    request = read(method, factor=2)

    answer = json.loads(v2_rest.encode(Prediction(("output",), (SHARES,)), request, KEY))

    assert request.params == {"predict_method": method, "factor": 2}
    assert [output["name"] for output in answer["outputs"]] == [method]


def test_raw_tensors_and_grpc_ask_likewise() -> None:
    head = json.dumps(
        {
            "inputs": [{**RAW, "parameters": {"binary_data_size": 16}}],
            "outputs": [{"name": "predict_proba", "parameters": {"binary_data": True}}],
        }
    ).encode()
    tail = np.array([1.0, 2.0]).tobytes()
    raw = v2_binary.decode(head + tail, "application/json", str(len(head)), None)
    call = message("ModelInferRequest")()
    call.inputs.add(name="x", datatype="FP64", shape=[1, 2]).contents.fp64_contents.extend([1, 2])
    call.outputs.add(name="predict_proba")
    grpc = v2_grpc.decode(call.SerializeToString(), None, None)

    answer = message("ModelInferResponse")()
    answer.ParseFromString(v2_grpc.encode(Prediction(("output",), (SHARES,)), grpc, KEY))

    assert raw.params == grpc.params == {"predict_method": "predict_proba"}
    assert [output.name for output in answer.outputs] == ["predict_proba"]


def test_an_output_that_the_model_has_is_no_method() -> None:
    assert read("transform", signature=OWN).params == {}


def test_several_arrays_keep_their_names() -> None:
    request = read("predict_proba")

    answer = v2_rest.encode(Prediction(("output_0", "output_1"), (SHARES, SHARES)), request, KEY)

    names = [output["name"] for output in json.loads(answer)["outputs"]]
    assert names == ["output_0", "output_1"]


@pytest.mark.parametrize(
    ("outputs", "params"),
    [
        (("predict", "predict_proba"), {}),
        (("output", "predict_proba"), {}),
        (("predict",), {"predict_method": "predict_proba"}),
    ],
)
def test_two_methods_are_two_requests(outputs: tuple[str, ...], params: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="One request asks one method"):
        read(*outputs, **params)
