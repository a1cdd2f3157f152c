"""With auth on, nobody comes in without a token; with auth off, nobody from outside."""

import base64
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.protocols.call import PREDICT_ROUTES
from tests.journeys.models import Marked, register
from tests.journeys.server import STAGEDOOR, Reply, Server, running

OPEN = [
    "/health",
    "/health/live",
    "/health/ready",
    "/ping",
    "/v2/health/live",
    "/v2/health/ready",
    "/version",
]
CLOSED = [
    ("GET", "/metrics"),
    ("GET", "/schema"),
    ("GET", "/api/2.0/mlflow/experiments/search?max_results=1"),
    ("POST", "/api/2.0/mlflow/runs/create"),
    ("GET", "/ajax-api/2.0/mlflow/registered-models/search"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts"),
    ("GET", "/admin/models/Guarded"),
    ("POST", "/admin/models/Guarded/promote"),
    ("PUT", "/admin/models/Guarded/traffic"),
    ("POST", "/models/Guarded/invocations"),
    ("GET", "/v2"),
    ("GET", "/nothing/at/all"),
    ("DELETE", "/api/2.0/mlflow/registered-models/delete"),
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(Server(tmp_path_factory.mktemp("door") / "server", "--auth")) as server:
        yield server


@pytest.fixture
def token(guarded: Server) -> str:
    return admin_token(guarded)


def admin_token(server: Server) -> str:
    shown = re.findall(r"^Admin token, shown this once: (\S+)$", server.log, re.MULTILINE)
    assert len(shown) == 1
    return str(shown[0])


def with_token(server: Server, path: str, authorization: str) -> Reply:
    return server.call("GET", path, headers={"Authorization": authorization})


@pytest.mark.parametrize("path", OPEN)
def test_health_takes_no_token(guarded: Server, path: str) -> None:
    assert guarded.get(path).status == 200


def head_of(server: Server, path: str) -> tuple[str, bytes]:
    """Ask by HEAD, and return the head of the answer and all that comes after it."""
    asked = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-1\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as probe:
        probe.sendall(f"{asked}Connection: close\r\n\r\n".encode())
        head, _, rest = probe.makefile("rb").read().partition(b"\r\n\r\n")
    return head.decode().lower(), rest


@pytest.mark.parametrize("path", OPEN)
def test_a_probe_by_head_gets_the_head_of_the_answer_and_no_body(
    guarded: Server, path: str
) -> None:
    head, rest = head_of(guarded, path)

    assert head.startswith("http/1.1 200 ")
    assert f"content-length: {guarded.get(path).headers['content-length']}" in head
    assert rest == b""


def test_a_file_is_asked_for_by_head_without_its_bytes(shared: Server, guarded: Server) -> None:
    path = "/api/2.0/mlflow-artifacts/artifacts/asked/by/head.txt"
    assert shared.call("PUT", path, b"hello").status == 200

    head, rest = head_of(shared, path.replace("/api/", "/ajax-api/"))
    missing, _ = head_of(shared, f"{path}.not")
    closed, _ = head_of(guarded, path)

    assert head.startswith("http/1.1 200 ")
    assert "content-length: 5" in head
    assert rest == b""
    assert missing.startswith("http/1.1 404 ")
    assert closed.startswith("http/1.1 401 ")


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_everything_else_is_401_without_a_token(guarded: Server, method: str, path: str) -> None:
    reply = guarded.call(method, path, "{}", {"Content-Type": "application/json"})

    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Basic")
    assert b"UNAUTHENTICATED" in reply.body


@pytest.mark.parametrize("route", PREDICT_ROUTES, ids=lambda route: str(route.pattern))
def test_no_predict_route_is_open_but_health(guarded: Server, route: object) -> None:
    pattern = str(getattr(route, "pattern", ""))
    path = pattern.format(model="Guarded", ref="1", alias="champion")

    replies = [guarded.call(m, path, "{}") for m in getattr(route, "methods", ())]

    assert {reply.status for reply in replies} == ({200} if path in OPEN else {401})


def test_bearer_and_basic_come_in(guarded: Server, token: str) -> None:
    basic = base64.b64encode(f"anybody:{token}".encode()).decode()

    assert with_token(guarded, "/metrics", f"Bearer {token}").status == 200
    assert with_token(guarded, "/metrics", f"Basic {basic}").status == 200


@pytest.mark.parametrize("told", ["Bearer wrong", "Bearer ", "Basic !!!", "Digest x", "Basic eDp5"])
def test_a_wrong_credential_is_401(guarded: Server, told: str) -> None:
    assert with_token(guarded, "/metrics", told).status == 401


def test_a_token_that_is_almost_right_is_401(guarded: Server, token: str) -> None:
    last = "A" if token[-1] != "A" else "B"

    assert with_token(guarded, "/metrics", f"Bearer {token[:-1]}{last}").status == 401


@pytest.mark.parametrize("prefix", ["STAGEDOOR", "MLFLOW"])
@pytest.mark.parametrize("kind", ["token", "password"])
def test_the_client_comes_in_by_its_variables(
    guarded: Server, token: str, monkeypatch: pytest.MonkeyPatch, prefix: str, kind: str
) -> None:
    if kind == "token":
        monkeypatch.setenv(f"{prefix}_TRACKING_TOKEN", token)
    else:
        monkeypatch.setenv(f"{prefix}_TRACKING_USERNAME", "me")
        monkeypatch.setenv(f"{prefix}_TRACKING_PASSWORD", token)
    name = f"By{prefix}{kind}"

    assert register(guarded, name, Marked(1)) == 1


def test_the_token_is_shown_once_and_kept_hashed(tmp_path: Path) -> None:
    with running(Server(tmp_path / "server", "--auth")) as server:
        shown = admin_token(server)
        server.restart()
        again = "Admin token" in server.log
        reply = with_token(server, "/metrics", f"Bearer {shown}")

    kept = b"".join(
        path.read_bytes() for path in server.folder.glob("stagedoor.db*") if path.is_file()
    )
    assert not again
    assert reply.status == 200
    assert shown.split("_", 2)[2].encode() not in kept  # a secret may hold underscores itself
    assert shown.encode() not in kept


def test_listening_wide_without_auth_is_refused(tmp_path: Path) -> None:
    told = subprocess.run(
        [STAGEDOOR, "server", "--host", "0.0.0.0", "--port", "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert told.returncode != 0
    assert "--auth" in told.stderr
    assert "Traceback" not in told.stderr
    assert list(tmp_path.glob("*.db")) == []


HOSTS = [
    ("evil.example", 403),
    ("localhost", 200),
    ("127.0.0.1", 200),
    ("[::1]", 200),
    ("192.0.2.1", 200),
    ("localhost.evil.example", 403),
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_a_host_name_that_is_not_ours_is_refused(shared: Server, host: str, status: int) -> None:
    reply = shared.call("GET", "/version", headers={"Host": host})

    assert reply.status == status, reply.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/admin/models/X/promote", "/models/X/invocations"])
def test_a_page_of_another_origin_changes_nothing(shared: Server, method: str, path: str) -> None:
    told = {"Origin": "http://evil.example", "Content-Type": "application/json"}

    assert shared.call(method, path, "{}", told).status == 403


def test_a_page_of_our_own_origin_may(shared: Server) -> None:
    told = {"Origin": shared.url, "Content-Type": "application/json"}
    made = shared.call("POST", "/api/2.0/mlflow/registered-models/create", '{"name": "own"}', told)

    assert made.status == 200, made.body
