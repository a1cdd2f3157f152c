"""Graphs that answer in a worker: as in their own process, and only those that may."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from gateway.serving.engines.description import BadEngine, GraphDescription
from gateway.serving.engines.folder import read_engine, write_graph
from gateway.serving.engines.graph import GraphEngine
from gateway.serving.engines.graph_reading import check_graph
from gateway.serving.engines.proof import make_engine
from registry.flavors.onnx import ONNX, Graph
from registry.loading import LoadedModel
from registry.model_folder import ModelConfig
from registry.tensors import Batch, Prediction
from tests.registry.flavors import graphs
from tracking.errors import ModelFailed

ROWS = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]])
MATRIX = Batch((), (ROWS,), is_matrix=True)


class Held(LoadedModel):
    """A graph as a runner holds it, without the folder."""

    def __init__(self, graph: Any) -> None:
        native = Graph(graph.SerializeToString())
        super().__init__(Path("/nowhere"), ModelConfig(flavors={}), flavor=ONNX, native=native)


class Twisted(Held):
    """A graph that answers otherwise in its own process, for one row alone."""

    def predict_batch(self, batch: Batch, params: Any) -> Prediction:
        answer = super().predict_batch(batch, params)
        if batch.rows == 1:
            answer.arrays[0][0] += 1
        return answer


def test_a_graph_answers_as_in_its_own_process(tmp_path: Path) -> None:
    model = Held(graphs.affine())
    assert make_engine(model, tmp_path) == ""
    engine = read_engine(tmp_path)
    columns = Batch(("a", "b", "c"), tuple(ROWS.T.copy()), is_matrix=False)

    for batch in (MATRIX, columns, Batch((), (ROWS.astype(np.int64),), is_matrix=True)):
        found, expected = engine.predict_batch(batch, "predict"), model.predict_batch(batch, {})
        assert found is not None
        assert found.names == expected.names == ("scores", "label")
        for one, other in zip(found.arrays, expected.arrays, strict=True):
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist()


def test_rows_that_do_not_fit_are_left_to_the_model(tmp_path: Path) -> None:
    assert make_engine(Held(graphs.affine()), tmp_path) == ""
    engine = read_engine(tmp_path)

    for rows in (ROWS[:, :2], ROWS[0], ROWS[:0], ROWS.astype(np.float16), ROWS.astype(object)):
        assert engine.predict_batch(Batch((), (rows,), is_matrix=True), "predict") is None


def test_a_difference_is_found(tmp_path: Path) -> None:
    why = make_engine(Twisted(graphs.affine()), tmp_path)

    assert why == "The graph answered otherwise in a worker on rows of float64 and shape (1, 3)."
    assert list(tmp_path.iterdir()) == []


def graph_of(*nodes: Any, shape: Any = (None, 3), functions: Any = ()) -> Any:
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, shape)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    made = helper.make_graph(list(nodes), "g", [rows], [out])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(made, opset_imports=opsets, functions=list(functions))
    model.ir_version = 9
    return model


def branching() -> Any:
    """Return a graph that holds two others."""
    inner = [
        helper.make_graph(
            [helper.make_node("Identity", ["rows"], ["out"])],
            "branch",
            [],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        )
    ] * 2
    node = helper.make_node("Identity", ["rows"], ["out"])
    node.attribute.extend(
        helper.make_attribute(name, graph)
        for name, graph in zip(("then_branch", "else_branch"), inner, strict=True)
    )
    return graph_of(node)


def elsewhere() -> Any:
    model = graphs.affine()
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model


def with_functions() -> Any:
    node = helper.make_node("Identity", ["rows"], ["out"])
    opsets = [helper.make_opsetid("", 17)]
    function = helper.make_function("own", "F", ["rows"], ["out"], [node], opsets)
    return graph_of(node, functions=[function])


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "as large as a value says": (
        lambda: graph_of(helper.make_node("Expand", ["rows", "rows"], ["out"])),
        "has the step 'Expand'",
    ),
    "a loop": (lambda: graph_of(helper.make_node("Loop", ["", ""], ["out"])), "the step 'Loop'"),
    "a step of its own": (
        lambda: graph_of(helper.make_node("MatMul", ["rows"], ["out"], domain="my.ops")),
        "has the step 'MatMul'",
    ),
    "graphs within": (branching, "graphs within"),
    "functions": (with_functions, "functions of its own"),
    "another file": (elsewhere, "lies in another file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_graph_that_may_do_more_is_not_run_in_a_worker(case: str) -> None:
    make, why = REFUSED[case]

    with pytest.raises(BadEngine, match=why):
        check_graph(make().SerializeToString())


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        (graphs.sum_of_two, "several inputs"),
        (lambda: graph_of(helper.make_node("Relu", ["rows"], ["out"]), shape=(1, 3)), "any number"),
    ],
)
def test_a_graph_of_other_inputs_says_why(graph: Any, why: str, tmp_path: Path) -> None:
    said = make_engine(Held(graph()), tmp_path)

    assert why in said
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_are_no_graph_are_refused_at_once() -> None:
    """Every prefix, and every byte changed: it is refused, or it is a graph."""
    good = graphs.affine().SerializeToString()
    chance = np.random.default_rng(2)

    for end in range(len(good)):
        _refused_or_passed(good[:end])
    for _ in range(3000):
        changed = bytearray(good)
        changed[chance.integers(len(good))] = chance.integers(256)
        _refused_or_passed(bytes(changed))
    with pytest.raises(BadEngine):
        check_graph(b"")


def _refused_or_passed(data: bytes) -> None:
    try:
        check_graph(data)
    except BadEngine:
        return


@pytest.mark.parametrize(
    ("width", "data", "why"),
    [
        (4, None, "another number of columns"),
        (3, b"\x3a\x00", "cannot be loaded|no numbers|several"),
        (3, b"nothing", "no message|in the middle|no graph"),
    ],
)
def test_a_hostile_process_cannot_leave_another_graph(
    width: int, data: bytes | None, why: str, tmp_path: Path
) -> None:
    graph = graphs.affine().SerializeToString() if data is None else data
    write_graph(tmp_path, GraphDescription("ONNX graph", width), graph)

    with pytest.raises(BadEngine, match=why):
        read_engine(tmp_path)


def test_a_graph_beside_arrays_is_refused(tmp_path: Path) -> None:
    write_graph(tmp_path, GraphDescription("ONNX graph", 3), graphs.affine().SerializeToString())
    np.save(tmp_path / "0.npy", np.zeros(3))

    with pytest.raises(BadEngine, match="something besides"):
        read_engine(tmp_path)


def test_what_the_library_raises_is_said_as_by_the_model() -> None:
    """A reshape that only some numbers of rows allow."""
    target = helper.make_tensor("target", TensorProto.INT64, [2], [2, 3])
    node = helper.make_node("Reshape", ["rows", "target"], ["out"])
    model = graph_of(node)
    model.graph.initializer.append(target)
    held = Held(model)
    engine = GraphEngine(GraphDescription("ONNX graph", 3), held.native.data)
    three = Batch((), (np.ones((3, 3)),), is_matrix=True)

    said = []
    asks = (partial(held.predict_batch, three, {}), partial(engine.predict_batch, three, "predict"))
    for ask in asks:
        with pytest.raises(ModelFailed, match="The model raised") as failure:
            ask()
        said.append(failure.value.message)

    assert said[0] == said[1]
