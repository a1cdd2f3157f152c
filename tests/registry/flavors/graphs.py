"""Small ONNX graphs."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COEF = np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 3.0]], np.float32)


def affine() -> Any:
    """Return a graph of three columns: two scores, and the larger one's place."""
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    nodes = [
        helper.make_node("MatMul", ["rows", "coef"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    weights = [numpy_helper.from_array(COEF, "coef")]
    return _model(helper.make_graph(nodes, "affine", [rows], [scores, label], weights))


def sum_of_two() -> Any:
    """Return a graph of two named inputs."""
    kind, column = TensorProto.DOUBLE, [None, 1]
    left, right, total = (
        helper.make_tensor_value_info(name, kind, column) for name in ("left", "right", "total")
    )
    node = helper.make_node("Add", ["left", "right"], ["total"])
    return _model(helper.make_graph([node], "sum", [left, right], [total]))


def _model(graph: Any) -> Any:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model
