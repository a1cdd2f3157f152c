"""The unmodified ``tritonclient``, over HTTP and over gRPC, against a real server of ours."""

from pathlib import Path
from typing import Any

import pytest

from tests.interop.client import free_port, run_script
from tests.interop.models import register_zoo
from tests.journeys.server import Server, running

SUMS = ["float64", [2], [0.5, 1e300]]
SHOUTS = ["object", [3], ["GRÜEZI", "", "NAÏVE"]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each of the two clients was told by one server."""
    folder: Path = tmp_path_factory.mktemp("triton")
    port = free_port()
    server = Server(folder / "server", "--workers", "1", "--grpc-port", str(port))
    urls = {"triton_calls.py": "", "triton_grpc_calls.py": f"127.0.0.1:{port}"}
    with running(server):
        register_zoo(server)
        return {
            name: run_script(name, url=url or server.url, folder=folder, client="triton")
            for name, url in urls.items()
        }


@pytest.fixture
def told(answers: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answers["triton_calls.py"]
    return found


@pytest.fixture
def told_by_grpc(answers: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answers["triton_grpc_calls.py"]
    return found


def test_tensors_go_both_ways_raw_and_in_json(told: dict[str, Any]) -> None:
    ways = [f"raw={sent}/{wanted}" for sent in (True, False) for wanted in (True, False)]

    answers = told["infer"]

    assert {way: answers[f"sum {way}"] for way in ways} == dict.fromkeys(ways, SUMS)
    assert {way: answers[f"shout {way}"] for way in ways} == dict.fromkeys(ways, SHOUTS)


def test_every_kind_of_number_survives(told: dict[str, Any]) -> None:
    answers = told["infer"]

    assert answers["flags"] == ["bool", [2, 2], [False, True, True, True]]
    assert answers["halves"] == ["float16", [2, 2], [1.5, -1.0, 65504.0, 1.25]]
    assert answers["longs"] == ["int64", [3, 1], [2**53 + 2, -(2**63) + 1, 2**63 - 1]]
    assert answers["infinite"] == ["float64", [1], [float("inf")]]
    assert answers["id"] == "r2"


def test_several_inputs_and_outputs_each_as_it_is_wanted(told: dict[str, Any]) -> None:
    assert told["columns"] == {
        "label": ["object", [2], ["Bern/2", "Chur/3"]],
        "total": ["float64", [2], [21.0, 60.0]],
    }


def test_many_at_once_over_asyncio_and_without_a_head(told: dict[str, Any]) -> None:
    assert told["async"] == [3.0 * number for number in range(20)]
    assert told["aio"] == [3.0, 3.0]
    assert told["headless"] == ["float64", [2], [6.0, 15.0]]


def test_server_and_models_say_what_they_are(told: dict[str, Any]) -> None:
    looked = told["looked"]

    assert (looked["live"], looked["ready"], looked["models"]) == (True, True, [True, False])
    assert looked["server"] == ["binary_tensor_data", "model_repository", "generate"]
    assert looked["sum"] == {
        "name": "sum",
        "versions": ["1", "2"],
        "platform": "stagedoor",
        "inputs": [{"name": "input", "datatype": "FP64", "shape": [-1, 3]}],
        "outputs": [{"name": "output", "datatype": "FP64", "shape": [-1]}],
    }
    assert [[i["name"], i["datatype"], i["shape"]] for i in looked["rent"]["inputs"]] == [
        ["price", "FP64", [-1]],
        ["city", "BYTES", [-1]],
        ["rooms", "INT64", [-1]],
    ]


def test_a_version_outside_routes_is_loaded_and_unloaded(told: dict[str, Any]) -> None:
    assert told["before"] == [["1", "READY"], ["2", "UNAVAILABLE"]]
    assert (told["loaded"], told["second"]) == ([["1", "READY"], ["2", "READY"]], True)
    assert told["unloaded"] == told["before"]


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ("model", "404", "No registered model 'nobody' is served here"),
        ("version", "404", "has no version 9"),
        ("shape", "400", "expected shape [-1, 3], got shape [1, 2]"),
        ("datatype", "400", "expected FP64 (float64), got BOOL"),
        ("names", "400", "missing 'city', 'rooms'; not expected 'town'"),
        ("output", "400", "The model has no output 'nothing': it has 'output'."),
        ("classes", "400", "'classification' is not served here"),
        ("bytes", "400", "6 values of FP64 are not 24 bytes"),
        ("wide", "400", "expected integers up to 2^53 in JSON"),
        ("unload", "409", "its route needs it"),
        ("config", "400", "register a version instead"),
    ],
)
def test_what_cannot_be_answered_raises_in_the_client(
    told: dict[str, Any], asked: str, status: str, sentence: str
) -> None:
    found = told["refused"][asked]

    assert found[0] == status
    assert sentence in found[1]


def test_every_kind_of_tensor_goes_over_grpc(told_by_grpc: dict[str, Any]) -> None:
    assert told_by_grpc["infer"] == {
        "sum": SUMS,
        "halves": ["float16", [1, 2], [1.5, -1.0]],
        "flags": ["bool", [1, 2], [False, True]],
        "longs": ["int64", [2, 1], [2**53 + 2, -(2**63) + 1]],
        "shout": ["object", [2], ["GRÜEZI", ""]],
        "typed": [3.0],
        "typed long": [2**53 + 2],
        "columns": ["float64", [1], [21.0]],
        "label": True,
        "id": "r1",
    }


def test_many_at_once_and_a_stream_go_over_grpc(told_by_grpc: dict[str, Any]) -> None:
    first, refused, last = told_by_grpc["stream"]

    assert told_by_grpc["async"] == [3.0 * number for number in range(20)]
    assert (first, last) == (3.0, 3.0)
    assert "No registered model 'nobody' is served here" in refused


def test_a_model_that_talks_does_so_over_a_stream(told_by_grpc: dict[str, Any]) -> None:
    """Also after the client has left a talk that would have gone on for ever."""
    told = told_by_grpc["talk"]

    assert told["ended"] == [[["so"], False], [["it"], False], [["is"], False], [True]]
    assert told["plain"] == [[["so"], False], [["it"], False], [["is"], True]]
    assert told["failed"] == [[["so"], False]]
    assert told["late"] == [["forever"], False]
    assert told["whole"] == [[[3.0], True]]
    assert sorted(told["errors"]) == [
        "The model had not told everything when the time for this request was over.",
        "The model raised ValueError on this.",
    ]
    assert told_by_grpc["talk aio"] == [[["to"], False], [["be"], True]]


def test_server_and_models_say_what_they_are_over_grpc(told_by_grpc: dict[str, Any]) -> None:
    looked = told_by_grpc["looked"]

    assert (looked["live"], looked["ready"], looked["models"]) == (True, True, [True, False])
    assert looked["server"] == ["binary_tensor_data", "model_repository", "generate"]
    assert looked["inputs"] == [{"name": "input", "datatype": "FP64", "shape": ["-1", "3"]}]
    assert looked["versions"] == ["1", "2"]
    assert told_by_grpc["loaded"] == [["1", "READY"], ["2", "READY"]]


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ("model", "NOT_FOUND", "No registered model 'nobody' is served here"),
        ("version", "NOT_FOUND", "has no version 9"),
        ("shape", "INVALID_ARGUMENT", "expected shape [-1, 3], got shape [1, 2]"),
        ("bytes", "INVALID_ARGUMENT", "6 values of FP64 are not 24 bytes"),
        ("nothing", "INVALID_ARGUMENT", "Got 0 values"),
        ("unload", "FAILED_PRECONDITION", "its route needs it"),
        ("config", "INVALID_ARGUMENT", "register a version instead"),
        ("whole", "INVALID_ARGUMENT", "ModelStreamInfer with the parameter 'stream': true"),
        ("statistics", "UNIMPLEMENTED", ""),
    ],
)
def test_what_cannot_be_answered_has_its_status_over_grpc(
    told_by_grpc: dict[str, Any], asked: str, status: str, sentence: str
) -> None:
    found = told_by_grpc["refused"][asked]

    assert found[0] == f"StatusCode.{status}"
    assert sentence in found[1]
