"""A look at a file tells a server's database from everything else, and makes nothing."""

import sqlite3
from pathlib import Path

import pytest

from registry.quick_look import is_prepared
from registry.transitions import set_single_production
from tracking.database import open_database


@pytest.fixture
def made(tmp_path: Path) -> str:
    uri = f"sqlite:///{tmp_path / 'made.db'}"
    open_database(uri).close()
    return uri


def test_a_file_at_the_head_needs_nothing(made: str) -> None:
    assert is_prepared(made, single_production=True)


def test_a_rule_that_is_to_change_needs_a_server(made: str) -> None:
    before = is_prepared(made, single_production=False)
    database = open_database(made)
    database.write(lambda connection: set_single_production(connection, single=False))
    database.close()

    assert not before
    assert is_prepared(made, single_production=False)


def test_an_older_schema_is_seen(made: str) -> None:
    with sqlite3.connect(made.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()

    assert not is_prepared(made, single_production=True)


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_what_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.db"
    if content is not None:
        path.write_bytes(content)

    found = is_prepared(f"sqlite:///{path}", single_production=True)

    assert not found
    assert (path.read_bytes() if path.exists() else None) == content


@pytest.mark.parametrize("uri", ["postgresql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_what_is_no_file_is_not_prepared(uri: str) -> None:
    assert not is_prepared(uri, single_production=True)
