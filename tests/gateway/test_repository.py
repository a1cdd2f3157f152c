"""The model repository of one worker: what it lists, and what it lets go."""

import json
from typing import Any

import pytest

from gateway.protocols.call import parse_call
from gateway.repository import Repository
from gateway.routing.table import Assignment, ModelRoute, Reason, RouteTable
from gateway.serving.failure import Failure
from gateway.serving.inventory import Seen
from gateway.serving.states import State
from registry.route import Route, VersionKey, VersionRecord
from tracking.errors import InvalidRequest, MalformedBody, ResourceConflict

KEYS = {number: VersionKey("iris", number, f"d{number}") for number in range(1, 6)}
RECORDS = {number: VersionRecord(key, "x", "None") for number, key in KEYS.items()}
ROUTE = Route(production=1, aliases={"old": 2})
TABLE = RouteTable().with_model(ModelRoute("iris", 1, ROUTE, RECORDS))
FAILURE = Failure(stage=State.LOADING, reason="no such module", attempt=1, retry_at_s=None)
VIEW = {
    KEYS[1]: Seen(State.ACTIVE),
    KEYS[2]: Seen(State.WARMING),
    KEYS[3]: Seen(State.FAILED, FAILURE),
    KEYS[4]: Seen(State.DRAINING),
}


def shelf(dropped: list[VersionKey] | None = None) -> Repository:
    told = [] if dropped is None else dropped
    return Repository(lambda: TABLE, lambda: VIEW, told.append)


def listed(body: bytes = b"") -> list[Any]:
    entries: list[Any] = json.loads(shelf().index(body))
    return [[entry["name"], entry["version"], entry["state"], entry["reason"]] for entry in entries]


def version(number: int) -> Assignment:
    return Assignment("iris", KEYS[number], "None", "", Reason.PINNED, 1)


def test_every_version_is_listed_with_its_state() -> None:
    assert listed() == [
        ["iris", "1", "READY", ""],
        ["iris", "2", "LOADING", ""],
        ["iris", "3", "UNAVAILABLE", "no such module"],
        ["iris", "4", "UNLOADING", ""],
        ["iris", "5", "UNAVAILABLE", ""],
    ]


def test_only_ready_ones_are_listed_if_that_was_asked() -> None:
    assert listed(b'{"ready": true}') == [["iris", "1", "READY", ""]]


@pytest.mark.parametrize("body", [b"[", b"[]", b'{"ready": 1}', b"\xff", b"[" * 100_000])
def test_an_index_request_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="neither empty nor a JSON object"):
        shelf().index(body)


@pytest.mark.parametrize("number", [1, 2])
def test_what_a_route_needs_is_not_unloaded(number: int) -> None:
    dropped: list[VersionKey] = []

    with pytest.raises(ResourceConflict, match="its route needs it"):
        shelf(dropped).unload(version(number), b"")

    assert dropped == []


def test_what_no_route_needs_is_dropped() -> None:
    dropped: list[VersionKey] = []

    shelf(dropped).unload(version(3), b'{"parameters": {"unload_dependents": false}}')

    assert dropped == [KEYS[3]]


@pytest.mark.parametrize("name", ["config", "file:1/model.onnx"])
def test_a_model_is_not_brought_by_parameters(name: str) -> None:
    body = json.dumps({"parameters": {name: "x"}}).encode()

    with pytest.raises(InvalidRequest, match="register a version instead"):
        shelf().unload(version(3), body)


def test_a_document_has_the_example_of_the_version_that_was_asked_for() -> None:
    examples = {"d2": b'{"inputs": [[2.5]]}'}
    repository = Repository(lambda: TABLE, lambda: VIEW, print, example=examples.get, prefix="/ml")
    call = parse_call("GET", b"/models/iris/2/openapi.json")

    told = json.loads(repository.describe(call, version(2), None))

    scoring = told["paths"]["/models/iris/2/invocations"]["post"]["requestBody"]["content"]
    assert (told["info"]["version"], told["servers"]) == ("2", [{"url": "/ml"}])
    assert scoring["application/json"]["examples"]["inputs"] == {"value": {"inputs": [[2.5]]}}
