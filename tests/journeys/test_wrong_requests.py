"""Whatever a caller sends wrongly is a 4xx in one sentence, in the shape of the protocol."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from registry.signature import ColumnSpec, Signature
from tests.journeys.models import Marked, register
from tests.journeys.server import Reply, Server, running

JSON = {"Content-Type": "application/json"}
GOOD_ROWS: dict[str, Any] = {"inputs": [[1.0, 2.0, 3.0]]}
COLUMNS = Signature(
    inputs=tuple(ColumnSpec("double", name=name) for name in ("width", "height", "depth")),
    outputs=(),
)
PATHS = {
    "mlflow": "/models/Table/invocations",
    "v1": "/v1/models/Table:predict",
    "v2": "/v2/models/Table/infer",
}
MAX_BODY_BYTES = 100_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a model of named columns in Production."""
    settings = {"serving": {"max_body_bytes": MAX_BODY_BYTES}}
    folder = tmp_path_factory.mktemp("wrong")
    with running(Server(folder / "server", settings=settings)) as server:
        register(server, "Table", Marked(1), signature=COLUMNS, input_example=None)
        assert server.promote("Table", 1).status == 200
        assert server.post(PATHS["mlflow"], frame(["width", "height", "depth"])).status == 200
        yield server


def frame(columns: list[str], *rows: list[object]) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": rows or [[1.0, 2.0, 3.0]]}}


def assert_refused(reply: Reply, status: int, *named: str, code: str = "") -> None:
    """Assert that a refusal has its status and one clear sentence, and nothing from inside."""
    told = reply.json()
    message = told.get("message") or told["error"]
    assert (reply.status, told.get("code", told.get("error_code"))) == (
        status,
        code or told.get("code", told.get("error_code")),
    ), reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["stagedoor-request-id"]
    for name in named:
        assert name in message, message
    for inner in ("Traceback", 'File "', "sqlite", "SELECT", "\n"):
        assert inner not in message, message


FULL = ["width", "height", "depth"]
WRONG_BODIES: dict[str, tuple[str | bytes, int, list[str]]] = {
    "no JSON": ("{", 400, []),
    "an empty body": ("", 400, []),
    "a bare list": ("[[1,2,3]]", 400, ["dataframe_split"]),
    "no format": ("{}", 400, ["dataframe_split"]),
    "two formats": (json.dumps({**GOOD_ROWS, "instances": [[1, 2, 3]]}), 400, ["inputs"]),
    "ragged rows": (json.dumps(frame(FULL, [1, 2, 3], [1, 2])), 400, ["Row 1"]),
    "a wrong column": (json.dumps(frame(["width", "height", "weight"])), 400, ["depth"]),
    "a missing column": (json.dumps(frame(["width", "height"], [1, 2])), 400, ["depth"]),
    "text for a number": (json.dumps(frame(FULL, [1, "secret", 3])), 400, ["height"]),
    "a truth for a number": (json.dumps(frame(FULL, [1, True, 3])), 400, ["height"]),
    "NaN": (json.dumps(frame(FULL, [1, float("nan"), 3])), 400, []),
    "Infinity": (json.dumps(frame(FULL, [1, float("inf"), 3])), 400, []),
    "invalid UTF-8": (b'{"inputs": [["\xff"]]}', 400, []),
    "deep JSON": ("[" * 5_000 + "]" * 5_000, 400, []),
    "deep in a format": ('{"inputs": ' + "[" * 90 + "1" + "]" * 90 + "}", 400, []),
    "a huge number": ('{"inputs": [[' + "9" * 5_000 + ",1,2]]}", 400, []),
    "too large": ('{"inputs": [[' + " " * MAX_BODY_BYTES + "1]]}", 413, [str(MAX_BODY_BYTES)]),
}


@pytest.mark.parametrize("case", WRONG_BODIES)
def test_a_wrong_body_is_refused_in_the_shape_of_mlflow(shared: Server, case: str) -> None:
    body, status, named = WRONG_BODIES[case]

    reply = shared.call("POST", PATHS["mlflow"], body, JSON)

    assert_refused(reply, status, *named)
    assert set(reply.json()) == {"error_code", "message"}
    assert b"secret" not in reply.body


TENSOR = {"name": "width", "shape": [1], "datatype": "FP64", "data": [1.0]}


def tensors(**changed: object) -> dict[str, Any]:
    return {
        "inputs": [
            {**TENSOR, **changed},
            {**TENSOR, "name": "height"},
            {**TENSOR, "name": "depth"},
        ]
    }


WRONG_INFERENCES = {
    "no JSON": ("{", 400, []),
    "no inputs": ("{}", 400, ["inputs"]),
    "an unknown type": (json.dumps(tensors(datatype="FP12")), 400, ["FP12"]),
    "a wrong count": (json.dumps(tensors(shape=[2])), 400, ["width"]),
    "a negative shape": (json.dumps(tensors(shape=[-1])), 400, ["width"]),
    "an unknown tensor": (json.dumps(tensors(name="weight")), 400, ["width"]),
    "text for a number": (json.dumps(tensors(data=["x"])), 400, ["width"]),
    "too large": ('{"inputs": [' + " " * MAX_BODY_BYTES + "]}", 413, [str(MAX_BODY_BYTES)]),
}


@pytest.mark.parametrize("case", WRONG_INFERENCES)
def test_a_wrong_body_is_refused_in_the_shape_of_v2(shared: Server, case: str) -> None:
    body, status, named = WRONG_INFERENCES[case]

    reply = shared.call("POST", PATHS["v2"], body, JSON)

    assert_refused(reply, status, *named)
    assert set(reply.json()) == {"error", "code", "request_id", "retryable"}
    assert reply.json()["request_id"] == reply.headers["stagedoor-request-id"]


def raw_tensor(content: bytes, **changed: object) -> tuple[bytes, dict[str, str]]:
    """Return a body with one raw tensor, and its headers."""
    tensor = {
        "name": "rows",
        "datatype": "FP64",
        "shape": [1, 3],
        "parameters": {"binary_data_size": len(content)},
        **changed,
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    return head + content, {"Inference-Header-Content-Length": str(len(head))}


WRONG_RAW_TENSORS = {
    "cut off": (*raw_tensor(b"1234567"), "rows"),
    "too many": (raw_tensor(bytes(24))[0] + b"x", raw_tensor(bytes(24))[1], "24 bytes, but 25"),
    "longer than the body": (b"{}", {"Inference-Header-Content-Length": "9"}, "9 bytes"),
    "no length": (b"{}", {"Inference-Header-Content-Length": "two"}, "number of bytes"),
    "without a head": (b"12345678", {"Inference-Header-Content-Length": "0"}, "send a head"),
    "another name": (*raw_tensor(bytes(8), shape=[1], name="weight"), "weight"),
}


@pytest.mark.parametrize("case", WRONG_RAW_TENSORS)
def test_wrong_raw_tensors_are_refused_in_the_shape_of_v2(shared: Server, case: str) -> None:
    body, headers, named = WRONG_RAW_TENSORS[case]

    reply = shared.call("POST", PATHS["v2"], body, headers)

    assert_refused(reply, 400, named)
    assert set(reply.json()) == {"error", "code", "request_id", "retryable"}


def test_a_good_raw_tensor_is_answered(shared: Server) -> None:
    reply = shared.call("POST", PATHS["v2"], *raw_tensor(struct.pack("<3d", 1, 1, 1)))

    assert reply.json()["outputs"][0]["data"] == [1003.0]


def test_a_good_body_of_v2_is_answered(shared: Server) -> None:
    reply = shared.post(PATHS["v2"], {"id": "mine", **tensors()})

    assert reply.status == 200, reply.body
    assert reply.json()["id"] == "mine"
    assert reply.json()["model_name"] == "Table"
    assert reply.json()["model_version"] == "1"
    assert reply.json()["outputs"][0]["data"] == [1003.0]


WRONG_ADDRESSES = [
    ("/models/Nobody/invocations", "Nobody"),
    ("/models/Table/7/invocations", "7"),
    ("/models/Table/Staging/invocations", "Staging"),
    ("/models/Table@nobody/invocations", "nobody"),
    ("/models/Table/@nobody/invocations", "nobody"),
    ("/v2/models/Nobody/infer", "Nobody"),
    ("/v2/models/Table/versions/7/infer", "7"),
    ("/v2/models/Table/versions/Staging/infer", "Staging"),
    ("/v2/models/Table/versions/@nobody/infer", "nobody"),
]


@pytest.mark.parametrize(("path", "named"), WRONG_ADDRESSES)
def test_what_is_not_there_is_a_404_that_names_it(shared: Server, path: str, named: str) -> None:
    assert_refused(shared.post(path, GOOD_ROWS), 404, named, code="RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("path", ["/models/Table", "/models/Table/1/2/invocations", "/v2/nothing"])
def test_a_path_that_is_none_is_a_404(shared: Server, path: str) -> None:
    assert_refused(shared.post(path, GOOD_ROWS), 404, code="ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize("path", ["/models/Ta%00ble/invocations", "/models/%ff/invocations"])
def test_a_name_that_can_be_none_is_refused(shared: Server, path: str) -> None:
    assert_refused(shared.post(path, GOOD_ROWS), 400)


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused(shared: Server, method: str, path: str) -> None:
    assert_refused(shared.call(method, path, "{}", JSON), 405, method, code="METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("path", PATHS.values())
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json; charset=latin-1"]
)
def test_another_content_type_is_refused(shared: Server, path: str, content_type: str) -> None:
    reply = shared.call("POST", path, json.dumps(GOOD_ROWS), {"Content-Type": content_type})

    assert_refused(reply, 415, code="UNSUPPORTED_MEDIA_TYPE")


def test_a_compressed_body_is_refused(shared: Server) -> None:
    told = {**JSON, "Content-Encoding": "gzip"}

    assert_refused(shared.call("POST", PATHS["mlflow"], b"\x1f\x8b", told), 415)


WRONG_ADMINISTRATION: list[tuple[str, dict[str, Any], int]] = [
    ("/admin/models/Nobody/promote", {}, 404),
    ("/admin/models/Table/promote", {"version": 7}, 404),
    ("/admin/models/Table/promote", {"version": "seven"}, 400),
    ("/admin/models/Table/promote", {"version": 1, "to": "None"}, 400),
    ("/admin/models/Table/promote", {"version": 1, "to": "Heaven"}, 400),
    ("/admin/models/Table/promote", {"version": 1, "unknown": True}, 400),
    ("/admin/models/Table/promote", {"version": [1]}, 400),
    ("/admin/models/Table/promote", {}, 404),
    ("/admin/models/Table/rollback", {}, 409),
    ("/admin/models/Nobody/rollback", {}, 404),
    ("/admin/models/Nobody/traffic", {"weight_bp": 1}, 405),
]


@pytest.mark.parametrize(("path", "request_"), [(p, (b, s)) for p, b, s in WRONG_ADMINISTRATION])
def test_administration_refuses_what_cannot_be(
    shared: Server, path: str, request_: tuple[dict[str, Any], int]
) -> None:
    body, status = request_

    assert_refused(shared.post(path, body), status)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"version": 1'])
def test_administration_refuses_what_is_no_json(shared: Server, body: bytes) -> None:
    assert_refused(shared.call("POST", "/admin/models/Table/promote", body, JSON), 400)


def test_nothing_was_lost_by_all_this(shared: Server) -> None:
    reply = shared.post(PATHS["mlflow"], frame(FULL))

    assert reply.status == 200
    assert reply.predictions == [1006.0]
