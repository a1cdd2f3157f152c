"""What KServe's and MLServer's clients send, recorded from them: their packages are too large here.

Recorded from ``kserve`` 0.21.0 (``InferenceRESTClient``) and the codecs of ``mlserver`` 1.7.1; both
were also tried by hand against a server of ours, KServe's over gRPC too, and answered.
"""

from typing import Any

import pytest

from gateway.protocols.call import ProtocolName, parse_call
from gateway.protocols.wires import BodyHead, decode
from registry.signature import ColumnSpec, Signature, TensorSpec

JSON, OCTETS = "application/json", "application/octet-stream"
MATRIX = Signature((TensorSpec("float64", (-1, 3)),))
TEXT = Signature((ColumnSpec("string", "text"),))
RENT = Signature(
    (ColumnSpec("double", "price"), ColumnSpec("string", "city"), ColumnSpec("long", "rooms"))
)
Case = tuple[str, str | None, Signature, list[Any], bytes]
KSERVE: dict[str, Case] = {
    "numbers": (
        JSON, None, MATRIX, [[[1.0, 2.0, 3.0]]],
        (b'{"id":"r1","model_name":"m","inputs":[{"name":"input","shape":[1,3],"datatype":"FP64",'
        b'"data":[1.0,2.0,3.0]}]}'),
    ),
    "text": (
        JSON, None, TEXT, [["a", "ü"]],
        (b'{"id":"r1","model_name":"m","inputs":[{"name":"text","shape":[2],"datatype":"BYTES",'
        b'"data":["a","\xc3\xbc"]}]}'),
    ),
    "raw numbers": (
        OCTETS, "125", MATRIX, [[[1.0, 2.0, 3.0]]],
        (b'{"id":"r1","model_name":"m","inputs":[{"name":"input","shape":[1,3],"datatype":"FP64",'
        b'"parameters":{"binary_data_size":24}}]}\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00'
        b"\x00\x00@\x00\x00\x00\x00\x00\x00\x08@"),
    ),
    "raw text": (
        OCTETS, "123", TEXT, [["a", "ü"]],
        (b'{"id":"r1","model_name":"m","inputs":[{"name":"text","shape":[2],"datatype":"BYTES",'
        b'"parameters":{"binary_data_size":11}}]}\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xbc'),
    ),
}  # fmt: skip
MLSERVER: dict[str, Case] = {
    "text that is numbered": (
        JSON, None, TEXT, [["a", "ü"]],
        (b'{"id":null,"parameters":{"content_type":"str","headers":null},"inputs":[{"name":'
        b'"input-1","shape":[2,1],"datatype":"BYTES","parameters":{"content_type":"str","headers":'
        b'null},"data":["a","\xc3\xbc"]}],"outputs":null}'),
    ),
    "a table of pandas": (
        JSON, None, RENT, [[1.0, 2.0], ["Bern", "Basel"], [2, 3]],
        (b'{"id":null,"parameters":{"content_type":"pd","headers":null},"inputs":[{"name":"price",'
        b'"shape":[2,1],"datatype":"FP64","parameters":null,"data":[1.0,2.0]},{"name":"city",'
        b'"shape":[2,1],"datatype":"BYTES","parameters":{"content_type":"str","headers":null},'
        b'"data":["Bern","Basel"]},{"name":"rooms","shape":[2,1],"datatype":"INT64","parameters":'
        b'null,"data":[2,3]}],"outputs":null}'),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", (KSERVE | MLSERVER).values(), ids=(KSERVE | MLSERVER))
def test_what_other_clients_send_is_read(
    case: Case,
) -> None:
    content_type, head_length, signature, expected, body = case

    request = decode(ProtocolName.V2, body, BodyHead(content_type, head_length), signature)

    assert [array.tolist() for array in request.batch.arrays] == expected
    assert not set(request.params) - {"content_type"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/v2/health/live"),
        ("GET", b"/v2/health/ready"),
        ("GET", b"/v2/models/sum/ready"),
        ("GET", b"/v1/models/sum"),
        ("POST", b"/v1/models/sum:predict"),
        ("POST", b"/v2/models/sum/infer"),
    ],
)
def test_kserves_paths_are_ours(method: str, path: bytes) -> None:
    assert parse_call(method, path)
