import asyncio
import logging
import uuid
from typing import Any

import msgspec
import pytest

from gateway.auth.door import Door
from gateway.auth.hosts import host_policy
from gateway.auth.policy import LOCAL, Permission, Principal
from gateway.dispatch import Dispatch, is_predict_path, rewrite

LOCALHOST = [(b"host", b"localhost")]


class App:
    """An application that reads the body, answers with its name, and keeps what it saw."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scope: dict[str, Any] = {}
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        if scope["type"] == "lifespan":
            return
        while True:
            message = await receive()
            self.body += message["body"]
            if not message["more_body"]:
                break
        if b"fail" in self.body:
            raise KeyError(self.body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if b"break" in self.body:
            raise KeyError(self.body)
        await send({"type": "http.response.body", "body": self.name.encode()})


class Nobody:
    """Knows no credential."""

    def find_known(self, credential: str) -> Principal | None:
        del credential
        return None

    def verify(self, credential: str) -> Principal | None:
        del credential
        return None


class Server:
    """A dispatch with two applications behind it, called without a socket."""

    def __init__(self, *, auth: bool = False, prefix: str = "") -> None:
        self.predict, self.control = App("predict"), App("control")
        hosts = host_policy("127.0.0.1", ())
        door = Door(hosts, Nobody() if auth else None, max_body_bytes=10, max_upload_bytes=20)
        self.dispatch = Dispatch(
            self.predict,
            self.control,
            door,
            permission_of=lambda _method, path: (
                Permission.OPEN if path == "/health" else Permission.READ
            ),
            worker_id="w-1",
            static_prefix=prefix,
        )

    def ask(
        self,
        path: str,
        *parts: bytes,
        method: str = "POST",
        headers: list[tuple[bytes, bytes]] = LOCALHOST,
        query: bytes = b"",
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": headers,
            "state": {},
        }
        coming = [
            {"type": "http.request", "body": part, "more_body": at < len(parts)}
            for at, part in enumerate(parts or (b"",), 1)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return coming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.dispatch(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/models/iris/invocations", b"predict"),
        ("/v2", b"predict"),
        ("/v2/models/iris/infer", b"predict"),
        ("/v1/models/iris:predict", b"predict"),
        ("/endpoints/e/invocations", b"predict"),
        ("/invocations", b"predict"),
        ("/ping", b"predict"),
        ("/", b"control"),
        ("/models", b"control"),
        ("/v2x", b"control"),
        ("/invocations/", b"control"),
        ("/api/2.0/mlflow/runs/get", b"control"),
        ("/%6dodels/iris/invocations", b"control"),
    ],
)
def test_a_path_goes_one_of_two_ways(path: str, expected: bytes) -> None:
    assert Server().ask(path)[2] == expected


def test_both_ways_get_an_id_and_a_principal() -> None:
    server = Server()

    server.ask("/v2")
    server.ask("/api")

    states = [app.scope["state"] for app in (server.predict, server.control)]
    assert [state["principal"] for state in states] == [LOCAL, LOCAL]
    assert states[0]["request_id"] != states[1]["request_id"]


@pytest.mark.parametrize(("path", "query"), [("/api/a\x00", b""), ("/api", b"a=b%00c")])
def test_nul_in_a_path_or_a_query_of_the_control_plane_is_refused(path: str, query: bytes) -> None:
    status, _, body = Server().ask(path, query=query)

    assert status == 400
    assert b"NUL character" in body


def test_a_control_answer_tells_its_id_and_its_worker() -> None:
    server = Server()

    _, headers, _ = server.ask("/api")

    assert headers[b"stagedoor-worker"] == b"w-1"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"
    request_id = server.control.scope["state"]["request_id"]
    assert headers[b"stagedoor-request-id"] == request_id.encode()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health", 200), ("/ping", 200), ("/v2/health/live", 200), ("/v2/health/ready", 200)]
    + [(path, 401) for path in ("/api", "/v2", "/models/a/invocations", "/metrics", "/nothing")],
)
def test_with_auth_only_health_is_open(path: str, status: int) -> None:
    assert Server(auth=True).ask(path, method="GET")[0] == status


@pytest.mark.parametrize("path", ["/api", "/models/a/invocations"])
def test_a_refusal_names_its_code_its_id_and_what_to_do(path: str) -> None:
    server = Server(auth=True)

    status, headers, body = server.ask(path)

    assert (status, msgspec.json.decode(body)["error_code"]) == (401, "UNAUTHENTICATED")
    assert headers[b"www-authenticate"].startswith(b"Basic ")
    assert uuid.UUID(headers[b"stagedoor-request-id"].decode()).version == 7
    assert headers[b"stagedoor-worker"] == b"w-1"
    assert server.control.scope == server.predict.scope == {}


def test_a_refusal_under_v2_has_the_shape_of_that_protocol() -> None:
    status, headers, body = Server().ask("/v2/models/a/infer", headers=[(b"host", b"evil.example")])

    told = msgspec.json.decode(body)
    assert (status, told["code"]) == (403, "PERMISSION_DENIED")
    assert "evil.example" in told["error"]
    assert told["request_id"] == headers[b"stagedoor-request-id"].decode()


@pytest.mark.parametrize("path", ["/api", "/models/a/invocations"])
def test_a_body_that_will_be_too_large_is_refused_before_it_is_read(path: str) -> None:
    server = Server()

    status, _, body = server.ask(path, b"x" * 11, headers=[*LOCALHOST, (b"content-length", b"11")])

    assert (status, msgspec.json.decode(body)["error_code"]) == (413, "REQUEST_TOO_LARGE")
    assert server.control.scope == server.predict.scope == {}


@pytest.mark.parametrize("path", ["/api", "/models/a/invocations"])
def test_a_body_of_unknown_length_is_cut_at_the_limit(path: str) -> None:
    status, _, _ = Server().ask(path, b"x" * 6, b"x" * 5)

    assert status == 413


def test_a_body_of_unknown_length_below_the_limit_arrives_whole() -> None:
    server = Server()

    status, _, _ = server.ask("/api", b"x" * 5, b"y" * 5)

    assert (status, server.control.body) == (200, b"xxxxxyyyyy")


@pytest.mark.parametrize("path", ["/api", "/models/a/invocations"])
def test_what_an_application_lets_through_is_told_by_request_id_alone(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, headers, body = Server().ask(path, b"fail")

    assert status == 500
    assert b"fail" not in body
    assert headers[b"stagedoor-request-id"] in body
    assert "KeyError" in caplog.text


def test_what_fails_after_the_answer_began_is_left_to_the_server() -> None:
    with pytest.raises(KeyError):
        Server().ask("/api", b"break")


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/ajax-api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/ajax-api/2.0/preview/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/api/2.0/preview/mlflow/runs/get", "/api/2.0/mlflow/runs/get"),
        ("/ajax-apix", "/ajax-apix"),
        ("/api/2.0/mlflow/preview/", "/api/2.0/mlflow/preview/"),
    ],
)
def test_another_name_of_a_path_is_rewritten(path: str, seen: str) -> None:
    server = Server()

    server.ask(path)

    assert server.control.scope["path"] == seen
    assert server.control.scope["raw_path"] == seen.encode()


def test_an_encoded_name_is_not_rewritten() -> None:
    scope = {"path": "/ajax-api/x", "raw_path": b"/ajax%2Dapi/x"}

    rewrite(scope, (("/ajax-api/", "/api/"),))

    assert scope == {"path": "/ajax-api/x", "raw_path": b"/ajax%2Dapi/x"}


def test_a_prefix_that_a_proxy_leaves_on_is_taken_off() -> None:
    server = Server(prefix="/mlops/")

    answers = [server.ask(path)[2] for path in ("/mlops/v2", "/mlops/ajax-api/x", "/v2")]

    assert answers == [b"predict", b"control", b"predict"]
    assert server.control.scope["path"] == "/api/x"


def test_the_lifespan_is_the_control_planes() -> None:
    server = Server()

    asyncio.run(server.dispatch({"type": "lifespan"}, None, None))  # type: ignore[arg-type]

    assert server.control.scope == {"type": "lifespan"}
    assert server.predict.scope == {}


def test_a_control_request_is_logged_with_its_status(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="stagedoor.requests"):
        Server().ask("/api")
        Server().ask("/health")

    assert [record.getMessage() for record in caplog.records] == ["POST /api 200"]


def test_predict_paths_are_known_by_their_bytes() -> None:
    assert is_predict_path(b"/models/\xff")
    assert not is_predict_path(b"/MODELS/a")
