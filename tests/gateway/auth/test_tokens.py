from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.auth.credentials import find_token
from gateway.auth.policy import Permission, Principal
from gateway.auth.schema import token as token_table
from gateway.auth.tokens import (
    TokenBook,
    announce_admin_token,
    create_token,
    revoke_token,
    server_secret,
)
from tracking.database import Database, open_database
from tracking.errors import ResourceMissing

READ = frozenset({Permission.READ})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path}/tokens.db")
    yield database
    database.close()


def book_of(database: Database) -> TokenBook:
    book = TokenBook(database)
    book.refresh()
    return book


def id_of(credential: str) -> str:
    token = find_token(credential)
    assert token is not None
    return token.id


def test_a_token_proves_its_holder(database: Database) -> None:
    credential = create_token(database, "reader", READ, now_ms=1)

    principal = book_of(database).verify(credential)

    assert principal == Principal("reader", READ)


def test_a_credential_is_known_from_memory_once_it_was_proved(database: Database) -> None:
    credential = create_token(database, "reader", READ, now_ms=1)
    book = book_of(database)

    before = book.find_known(credential)
    book.verify(credential)

    assert before is None
    assert book.find_known(credential) == Principal("reader", READ)


def test_a_wrong_secret_an_unknown_id_and_a_password_prove_nothing(database: Database) -> None:
    credential = create_token(database, "reader", READ, now_ms=1)
    book = book_of(database)

    for wrong in (credential + "x", credential[:-1], "sdt_none_x", "password", ""):
        assert book.verify(wrong) is None
        assert book.find_known(wrong) is None


def test_the_secret_of_a_token_is_not_in_the_database(database: Database, tmp_path: Path) -> None:
    credential = create_token(database, "reader", READ, now_ms=1)
    secret = credential.rpartition("_")[2]
    database.close()

    kept = b"".join(file.read_bytes() for file in tmp_path.glob("tokens.db*"))

    assert secret.encode() not in kept


def test_a_revoked_token_is_forgotten_at_the_next_look(database: Database) -> None:
    credential = create_token(database, "reader", READ, now_ms=1)
    book = book_of(database)
    book.verify(credential)

    revoke_token(database, id_of(credential), now_ms=2)
    book.refresh()

    assert book.find_known(credential) is None
    assert book.verify(credential) is None


def test_a_token_can_be_revoked_once(database: Database) -> None:
    credential = create_token(database, "reader", READ, now_ms=1)
    revoke_token(database, id_of(credential), now_ms=2)

    with pytest.raises(ResourceMissing):
        revoke_token(database, id_of(credential), now_ms=3)


def test_the_admin_token_is_shown_at_the_first_start_only(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    announce_admin_token(database)
    first = capsys.readouterr().err
    announce_admin_token(database)
    second = capsys.readouterr().err

    credential = next(word for word in first.split() if word.startswith("sdt_"))
    assert book_of(database).verify(credential) == Principal("admin", frozenset(Permission))
    assert second == ""
    with database.read() as connection:
        assert len(connection.execute(select(token_table)).all()) == 1


def test_a_book_that_was_started_follows_the_database(database: Database) -> None:
    book = TokenBook(database)
    book.start()
    book.close()

    credential = create_token(database, "reader", READ, now_ms=1)
    book.refresh()

    assert book.verify(credential) is not None


def test_all_callers_get_the_same_server_secret(database: Database) -> None:
    first = server_secret(database)

    assert len(first) == 32
    assert server_secret(database) == first
