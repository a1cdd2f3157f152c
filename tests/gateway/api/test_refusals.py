from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath, JSONBody
from litestar.testing import TestClient
from msgspec import Struct

from gateway.api.refusals import EXCEPTION_HANDLERS
from tracking.errors import ModelNotReady, ResourceConflict


class Order(Struct):
    """What a caller sends."""

    count: int


@get("/ours/{name:str}", sync_to_thread=False)
def ours(name: FromPath[str]) -> None:
    raise {"sealed": ResourceConflict, "loading": ModelNotReady}[name](f"It is {name}.")


@post("/order", sync_to_thread=False)
def order(data: JSONBody[Order]) -> int:
    return 1 // data.count


@get("/teapot", sync_to_thread=False)
def teapot() -> None:
    raise HTTPException(status_code=418, detail="short and stout")


@get("/burst", sync_to_thread=False)
def burst() -> None:
    raise HTTPException(status_code=502, detail="/etc/passwd")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient[Any]]:
    app = Litestar(
        [ours, order, teapot, burst],
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        logging_config=None,
    )
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/ours/sealed", 409, "RESOURCE_CONFLICT"),
        ("GET", "/ours/loading", 503, "MODEL_NOT_READY"),
        ("GET", "/nothing", 404, "ENDPOINT_NOT_FOUND"),
        ("DELETE", "/order", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/teapot", 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "/burst", 500, "INTERNAL_ERROR"),
    ],
)
def test_every_refusal_has_one_shape(
    client: TestClient[Any], method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert answer.json().keys() - {"retryable"} == {"error_code", "message"}
    assert answer.json().get("retryable", False) is (status == 503)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"count": "many"}', b"\xff"])
def test_a_body_that_does_not_fit_is_the_callers_fault(
    client: TestClient[Any], body: bytes
) -> None:
    answer = client.post("/order", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400


def test_a_bug_says_nothing_of_itself(client: TestClient[Any]) -> None:
    answer = client.post("/order", json={"count": 0})

    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "zero" not in answer.text
    assert "/etc/passwd" not in client.get("/burst").text


def test_a_caller_who_may_try_again_is_told_when(client: TestClient[Any]) -> None:
    assert client.get("/ours/loading").headers["retry-after"] == "1"
