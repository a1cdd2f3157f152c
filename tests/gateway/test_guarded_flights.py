"""Requests with a token, answered outside of ASGI: never longer than the door would let them in."""

import base64
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.auth.credentials import find_token
from gateway.auth.door import Callers
from gateway.auth.policy import Permission, Principal
from gateway.auth.tokens import TokenBook, create_token, revoke_token
from tests.gateway.test_flights import PATH, Worker, read_answer, request
from tracking.database import open_database

PREDICT = frozenset({Permission.PREDICT})
READ = frozenset({Permission.READ})


class Guarded:
    """A worker, and one connection to it that stays."""

    def __init__(self, callers: Callers, *, is_limited: bool = False) -> None:
        self.worker = Worker(is_limited=is_limited, callers=callers)
        self.connection = socket.create_connection(self.worker.address, timeout=20)
        self.file = self.connection.makefile("rb")

    def ask(self, authorization: str = "", *headers: str, host: str = "127.0.0.1") -> int:
        """Ask once, and return the status."""
        named = (f"Authorization: {authorization}",) if authorization else ()
        sent = request({"inputs": [[2.0]]}, PATH, *named, *headers)
        self.connection.sendall(sent.replace(b"Host: 127.0.0.1", f"Host: {host}".encode()))
        return read_answer(self.file)[0]

    @property
    def calls(self) -> int:
        """How many requests went the usual way."""
        return self.worker.app.calls

    def close(self) -> None:
        self.connection.close()
        self.worker.close()


class Tokens:
    """A real book of tokens, which is read again when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder}/tokens.db")
        self.book = TokenBook(self.database)

    def make(self, name: str, permissions: frozenset[Permission] = PREDICT) -> str:
        made = create_token(self.database, name, permissions, now_ms=1)
        self.book.refresh()
        return f"Bearer {made}"

    def revoke(self, bearer: str) -> None:
        token = find_token(bearer.removeprefix("Bearer "))
        assert token is not None
        revoke_token(self.database, token.id, now_ms=2)
        self.book.refresh()

    def grant(self, permissions: str) -> None:
        change = text("UPDATE token SET permissions = :p")
        self.database.write(lambda c: c.execute(change, {"p": permissions}) and None)
        self.book.refresh()


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[Tokens]:
    made = Tokens(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def guard() -> Iterator[Callable[..., Guarded]]:
    made: list[Guarded] = []

    def start(callers: Callers, *, is_limited: bool = False) -> Guarded:
        made.append(Guarded(callers, is_limited=is_limited))
        return made[-1]

    yield start
    for guarded in made:
        guarded.close()


def test_a_token_is_proved_the_usual_way_and_then_known_at_once(
    tokens: Tokens, guard: Callable[..., Guarded]
) -> None:
    guarded = guard(tokens.book)
    bearer = tokens.make("ann")
    basic = base64.b64encode(b"me:" + bearer.removeprefix("Bearer ").encode()).decode()

    statuses = [guarded.ask(told) for told in (bearer, bearer, bearer, f"Basic {basic}")]

    assert statuses == [200] * 4
    assert guarded.calls == 1


def test_a_revoked_token_is_refused_by_the_next_request(
    tokens: Tokens, guard: Callable[..., Guarded]
) -> None:
    guarded = guard(tokens.book)
    revoked, other = tokens.make("ann"), tokens.make("bob")
    before = [guarded.ask(revoked), guarded.ask(revoked), guarded.ask(other)]

    tokens.revoke(revoked)

    after = [guarded.ask(revoked), guarded.ask(revoked), guarded.ask(other)]
    assert (before, after) == ([200] * 3, [401, 401, 200])


class Lapsing:
    """Knows one caller, until the time is up."""

    is_over = False

    def find_known(self, credential: str) -> Principal | None:
        return Principal(credential, PREDICT) if not self.is_over else None

    def verify(self, credential: str) -> Principal | None:
        return self.find_known(credential)


def test_a_credential_that_lapses_is_refused_by_the_next_request(
    guard: Callable[..., Guarded],
) -> None:
    callers = Lapsing()
    guarded = guard(callers)
    before = [guarded.ask("Bearer x"), guarded.ask("Bearer x")]
    calls = guarded.calls

    callers.is_over = True

    assert (before, calls) == ([200, 200], 0)
    assert guarded.ask("Bearer x") == 401


def test_a_changed_permission_holds_from_the_next_request_on(
    tokens: Tokens, guard: Callable[..., Guarded]
) -> None:
    """And a connection that may again is answered at once again."""
    guarded = guard(tokens.book)
    bearer = tokens.make("ann")
    statuses = [guarded.ask(bearer), guarded.ask(bearer)]

    for permissions in ('["read"]', '["predict", "read"]'):
        tokens.grant(permissions)
        statuses += [guarded.ask(bearer), guarded.ask(bearer)]

    assert statuses == [200, 200, 403, 403, 200, 200]
    assert guarded.calls == 1 + 2 + 1


def test_a_good_head_says_nothing_of_another_one(
    tokens: Tokens, guard: Callable[..., Guarded]
) -> None:
    guarded = guard(tokens.book)
    good, reader = tokens.make("ann"), tokens.make("bob", READ)
    last = "A" if good[-1] != "A" else "B"

    statuses = {
        "proved": guarded.ask(good),
        "known": guarded.ask(good),
        "none": guarded.ask(),
        "as it was": guarded.ask(good),
        "another": guarded.ask(reader),
        "almost the same": guarded.ask(good[:-1] + last),
        "no longer the last": guarded.ask(good, f"Authorization: {reader}"),
        "another host": guarded.ask(good, host="evil.example"),
        "at last": guarded.ask(good),
    }

    assert statuses == {
        "proved": 200, "known": 200, "none": 401, "as it was": 200, "another": 403,
        "almost the same": 401, "no longer the last": 403, "another host": 403, "at last": 200,
    }  # fmt: skip


def test_a_caller_has_one_quota_whichever_way_and_whatever_key(
    tokens: Tokens, guard: Callable[..., Guarded]
) -> None:
    guarded = guard(tokens.book, is_limited=True)
    ann, bob = tokens.make("ann"), tokens.make("bob")

    statuses = [guarded.ask(ann) for _ in range(4)]
    keyed = guarded.ask(ann, "Stagedoor-Key: another")
    calls = guarded.calls
    others = [guarded.ask(bob) for _ in range(4)]

    assert (statuses, keyed) == ([200, 200, 200, 429], 429)
    assert calls == 1 + 2
    assert others == [200, 200, 200, 429]
