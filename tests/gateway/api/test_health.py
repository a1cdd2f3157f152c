from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import pytest
from litestar import Litestar
from litestar.di import Provide
from litestar.testing import TestClient

from gateway.api.health import HANDLERS, Readiness
from gateway.api.permissions import declared
from gateway.auth.policy import Permission
from gateway.settings import ServerSettings, Settings

READY = Readiness(is_ready=True)


def application(readiness: Readiness = READY, settings: Settings | None = None) -> Litestar:
    return Litestar(
        HANDLERS,
        dependencies={
            "settings": Provide(lambda: settings or Settings(), sync_to_thread=False),
            "readiness": Provide(lambda: lambda: readiness, sync_to_thread=False),
        },
        openapi_config=None,
        logging_config=None,
    )


@contextmanager
def client(
    readiness: Readiness = READY, settings: Settings | None = None
) -> Iterator[TestClient[Any]]:
    with TestClient(application(readiness, settings)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"), [("/health", "OK"), ("/version", "3.17.2"), ("/health/live", '{"live":true}')]
)
def test_a_live_server_says_so(path: str, body: str) -> None:
    with client() as http:
        answer = http.get(path)

    assert (answer.status_code, answer.text) == (200, body)


def test_a_server_of_one_model_says_it_as_mlflow_does() -> None:
    settings = Settings(server=ServerSettings(default_model="models:/iris/1"))
    with client(settings=settings) as http:
        assert http.get("/health").text == "\n"


def test_a_ready_server_answers_200_with_both_words_and_our_version() -> None:
    with client() as http:
        answer = http.get("/health/ready")

    expected = {"live": True, "ready": True, "version": version("stagedoor")}
    assert (answer.status_code, answer.json()) == (200, expected)


def test_a_server_that_is_not_ready_answers_503_with_the_reason() -> None:
    with client(Readiness(is_ready=False, reason="draining")) as http:
        answer = http.get("/health/ready")

    assert answer.status_code == 503
    assert (answer.json()["ready"], answer.json()["reason"]) == (False, "draining")


def test_health_and_version_are_open() -> None:
    permissions = {path: permission for _, path, permission in declared(application())}

    assert permissions == {
        "/health": Permission.OPEN,
        "/health/live": Permission.OPEN,
        "/health/ready": Permission.OPEN,
        "/version": Permission.OPEN,
    }
