"""Calls to a server: errors by code, retries, credentials. The server is a real, scripted one."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tracking.errors import (
    DeadlineExceeded,
    EndpointMissing,
    InvalidRequest,
    PermissionDenied,
    ResourceMissing,
    StagedoorError,
    Unauthenticated,
    Unavailable,
    error_classes,
)
from tracking.http import Credential, HttpApi
from tracking.wire import CreateExperiment, ExperimentCreated, Nothing, SearchRuns

CREATED = (200, {"experiment_id": "7"})


class Scripted(BaseHTTPRequestHandler):
    """Answers with what the test wrote down, and remembers what it was asked."""

    answers: ClassVar[list[tuple[int, Any]]] = []
    asked: ClassVar[list[tuple[str, str, dict[str, str], bytes]]] = []

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked.append((self.command, self.path, headers, body))
        status, content = self.answers.pop(0)
        if status == 0:
            self.close_connection = True
            return
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def script() -> list[tuple[int, Any]]:
    Scripted.answers.clear()
    Scripted.asked.clear()
    return Scripted.answers


def create(api: HttpApi) -> ExperimentCreated:
    body = CreateExperiment(name="a")
    return api.call("POST", "experiments/create", ExperimentCreated, body=body)


def test_an_answer_becomes_a_struct_and_what_is_unset_is_not_sent(
    address: str, script: list[tuple[int, Any]]
) -> None:
    script.append(CREATED)

    answer = create(HttpApi(address))

    method, path, headers, body = Scripted.asked[0]
    assert answer == ExperimentCreated(experiment_id="7")
    assert (method, path) == ("POST", "/api/2.0/mlflow/experiments/create")
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {"name": "a"}


def test_our_defaults_are_sent_as_another_server_may_have_none(
    address: str, script: list[tuple[int, Any]]
) -> None:
    script.append((200, {}))

    HttpApi(address).call("POST", "runs/search", Nothing, body=SearchRuns())

    assert json.loads(Scripted.asked[0][3]) == {
        "filter": "",
        "run_view_type": "ACTIVE_ONLY",
        "max_results": 1000,
    }


@pytest.mark.parametrize("code", [code for code in error_classes() if code != "INTERNAL_ERROR"])
def test_a_code_becomes_its_class(address: str, script: list[tuple[int, Any]], code: str) -> None:
    script.append((400, {"error_code": code, "message": "why"}))

    with pytest.raises(error_classes()[code], match="why"):
        create(HttpApi(address, retry_for_s=0))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Unauthenticated),
        (403, PermissionDenied),
        (404, EndpointMissing),
        (418, InvalidRequest),
        (429, Unavailable),
        (500, StagedoorError),
        (503, Unavailable),
        (504, DeadlineExceeded),
    ],
)
def test_an_answer_without_a_code_is_told_by_its_status(
    address: str, script: list[tuple[int, Any]], status: int, error: type[StagedoorError]
) -> None:
    script.append((status, b"<html>nothing of ours</html>"))

    with pytest.raises(error, match=str(status)):
        create(HttpApi(address, retry_for_s=0))


def test_a_busy_server_is_asked_again(address: str, script: list[tuple[int, Any]]) -> None:
    busy = {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "busy"}
    script.extend([(503, busy), (429, {}), CREATED])

    assert create(HttpApi(address)).experiment_id == "7"


def test_a_connection_that_breaks_is_tried_again(
    address: str, script: list[tuple[int, Any]]
) -> None:
    script.extend([(0, None), (502, {}), (200, {})])

    HttpApi(address).call("POST", "runs/log-batch", Nothing)

    assert len(Scripted.asked) == 3


def test_a_create_that_may_have_been_done_is_not_sent_again(
    address: str, script: list[tuple[int, Any]]
) -> None:
    script.extend([(0, None), CREATED])

    with pytest.raises(Unavailable):
        create(HttpApi(address))

    assert len(Scripted.asked) == 1


def test_a_server_that_is_not_there_is_unavailable_and_secrets_are_not_told() -> None:
    api = HttpApi("http://user:hidden@127.0.0.1:1", retry_for_s=0)

    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1") as refusal:
        create(api)

    assert "hidden" not in refusal.value.message


@pytest.mark.parametrize(
    ("credential", "header"),
    [
        (Credential(token="t"), "Bearer t"),
        (Credential(username="u", password="p"), "Basic " + base64.b64encode(b"u:p").decode()),
        (Credential(username="u"), "Basic " + base64.b64encode(b"u:").decode()),
        (Credential(), None),
        (None, None),
    ],
)
def test_a_credential_is_shown(
    address: str,
    script: list[tuple[int, Any]],
    credential: Credential | None,
    header: str | None,
) -> None:
    script.append(CREATED)

    create(HttpApi(address, credential))

    assert Scripted.asked[0][2].get("authorization") == header
    assert "p" not in repr(credential).removeprefix("Credential")


def test_a_path_prefix_is_kept(address: str, script: list[tuple[int, Any]]) -> None:
    script.append(CREATED)

    create(HttpApi(f"{address}/mlops/"))

    assert Scripted.asked[0][1] == "/mlops/api/2.0/mlflow/experiments/create"


def test_an_answer_that_is_no_struct_is_an_error(
    address: str, script: list[tuple[int, Any]]
) -> None:
    script.append((200, b"<html>"))

    with pytest.raises(StagedoorError, match="Is it a tracking server"):
        create(HttpApi(address))


def test_a_file_is_sent_whole_again(
    address: str, script: list[tuple[int, Any]], tmp_path: Path
) -> None:
    source = tmp_path / "a"
    source.write_bytes(b"x" * 100)
    script.extend([(503, {}), (200, {})])

    HttpApi(address).request("PUT", "/x", content=source)

    assert len(Scripted.asked) == 2


def test_a_stream_that_is_refused_raises(address: str, script: list[tuple[int, Any]]) -> None:
    script.append((404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"}))

    with (
        pytest.raises(ResourceMissing, match="gone"),
        HttpApi(address).stream("GET", "/x") as content,
    ):
        next(content)


@pytest.mark.parametrize("uri", ["", "ftp://h", "http://", "h:5000"])
def test_a_uri_of_no_server_is_refused(uri: str) -> None:
    with pytest.raises(InvalidRequest, match="http://host:5000"):
        HttpApi(uri)
