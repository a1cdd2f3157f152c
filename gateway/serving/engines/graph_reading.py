"""What an ONNX file asks for, read from its bytes: is it a graph that a worker may run? Pure.

A worker runs graphs whose every step does work in proportion to its rows. Loops, branches, parts of
other files and steps whose result is as large as a value says stay in the model's own process.
"""

from collections.abc import Iterator

from gateway.serving.engines.description import BadEngine

_STEPS = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "ArrayFeatureExtractor", "AveragePool",
        "BatchNormalization", "Binarizer", "Cast", "Clip", "Concat", "Constant", "Conv", "Div",
        "Dropout", "Elu", "Equal", "Erf", "Exp", "FeatureVectorizer", "Flatten", "FusedMatMul",
        "GRU", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "Greater", "GreaterOrEqual",
        "HardSigmoid", "Identity", "Imputer", "InstanceNormalization", "IsInf", "IsNaN", "LSTM",
        "LabelEncoder", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual",
        "LinearClassifier", "LinearRegressor", "Log", "LogSoftmax", "MatMul", "Max", "MaxPool",
        "Mean", "Min", "Mul", "Neg", "Normalizer", "Not", "Or", "PRelu", "Pow", "RNN", "Reciprocal",
        "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
        "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round", "SVMClassifier",
        "SVMRegressor", "Scaler", "Selu", "Shape", "Sigmoid", "Sign", "Slice", "Softmax",
        "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "TopK", "Transpose",
        "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", "Unsqueeze", "Where",
        "Xor", "ZipMap",
    }
)  # fmt: skip
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

# Numbers of fields in onnx.proto.
_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_TENSOR = 1, 5
_NODE_STEP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_TENSOR_ELSEWHERE = 13

_MAX_VARINT_BYTES = 10
_CONTINUES = 0x80


def check_graph(data: bytes) -> None:
    """Refuse a graph that a worker may not run.

    Raises:
        BadEngine: It asks for something else, or is none.
    """
    view = memoryview(data)
    graphs = 0
    for field, value in _fields(view):
        if field == _MODEL_FUNCTIONS:
            raise BadEngine("It has functions of its own.")
        if field == _MODEL_GRAPH:
            graphs += 1
            _check_nodes(value)
    if graphs != 1:
        raise BadEngine("It has no graph, or several.")


def _check_nodes(graph: memoryview) -> None:
    for field, value in _fields(graph):
        if field == _GRAPH_NODE:
            _check_node(value)
        elif field == _GRAPH_TENSOR and any(f == _TENSOR_ELSEWHERE for f, _ in _fields(value)):
            raise BadEngine("A part of it lies in another file.")


def _check_node(node: memoryview) -> None:
    step, domain = "", ""
    for field, value in _fields(node):
        if field == _NODE_STEP:
            step = bytes(value).decode(errors="replace")
        elif field == _NODE_DOMAIN:
            domain = bytes(value).decode(errors="replace")
        elif field == _NODE_ATTRIBUTE and any(
            inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS) for inner, _ in _fields(value)
        ):
            raise BadEngine("It has graphs within its graph.")
    if step not in _STEPS or domain not in _DOMAINS:
        raise BadEngine(f"It has the step {step[:40]!r}, which is not run in a worker.")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes of each field of a protobuf message; numbers have none."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        match key & 7:
            case 0:
                _, at = _varint(message, at)
                yield key >> 3, message[at:at]
                continue
            case 1:
                size = 8
            case 2:
                size, at = _varint(message, at)
            case 5:
                size = 4
            case _:
                raise BadEngine("It is no message.")
        if size > len(message) - at:
            raise BadEngine("It ends in the middle.")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if at >= len(message):
            raise BadEngine("It ends in the middle.")
        byte = message[at]
        at += 1
        value |= (byte & ~_CONTINUES) << 7 * place
        if byte < _CONTINUES:
            return value, at
    raise BadEngine("It is no message.")
