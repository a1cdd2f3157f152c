"""Real parts for all tests: fresh databases, in SQLite and on PostgreSQL, and an S3 server."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.object_store import S3Server, s3_server
from tests.postgres import PostgresServer, postgres_server
from tracking.database import open_database

if TYPE_CHECKING:
    from tests.contracts.tracking_server import TrackingServer

_LONG = frozenset({"demo", "interop", "journeys"})
"""Folders of files whose tests are few and long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long files begin first: a worker left alone with one at the end holds up the whole."""
    items.sort(key=lambda item: _LONG.isdisjoint(item.nodeid.partition("::")[0].split("/")))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test process."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def empty_postgres_uri(postgres: PostgresServer) -> Iterator[str]:
    """The URI of a new database without a schema."""
    with postgres.empty_database() as uri:
        yield uri


@pytest.fixture
def postgres_uri(postgres: PostgresServer) -> Iterator[str]:
    """The URI of a database at the newest schema, with what a new one holds."""
    with postgres.database() as uri:
        yield uri


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest schema, to be copied."""
    path: Path = tmp_path_factory.mktemp("sqlite") / "template.db"
    open_database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_uri(sqlite_template: Path, tmp_path: Path) -> str:
    """The URI of a new SQLite file at the newest schema."""
    return _copied(sqlite_template, tmp_path)


@pytest.fixture(scope="session")
def fresh_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], AbstractContextManager[str]]:
    """Give the URI of a new database at the newest schema, by its kind, for a block."""

    @contextmanager
    def fresh(kind: str) -> Iterator[str]:
        if kind == "postgresql":
            with request.getfixturevalue("postgres").database() as uri:
                yield uri
        else:
            folder = tmp_path_factory.mktemp("fresh")
            yield _copied(request.getfixturevalue("sqlite_template"), folder)

    return fresh


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server of this test process."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket_url(object_store: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new prefix; whoever is started by the test may use it too."""
    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    return object_store.new_url()


@pytest.fixture(scope="session")
def tracking_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["TrackingServer"]:
    """A server of our tracking handlers; who uses it gives it a store."""
    from tests.contracts.tracking_server import TrackingServer  # noqa: PLC0415 - heavy

    with TrackingServer(tmp_path_factory.mktemp("artifacts")) as server:
        yield server


def _copied(template: Path, folder: Path) -> str:
    path = folder / "stagedoor.db"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"
