"""Tokens in the database, and the book of them that each worker keeps in memory.

``TokenBook.find_known`` answers on the loop from memory; ``verify`` is slow and runs in a thread.
A thread of the book reads the rows again every second, so that a revoked token is refused soon;
while the database is away the last rows hold.
"""

import hmac
import logging
import secrets
import sys
import threading

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, insert, select, update

from gateway.auth.credentials import Token, find_token, format_token, keyed_digest, slow_hash
from gateway.auth.policy import Permission, Principal
from gateway.auth.schema import secret as secret_table
from gateway.auth.schema import token as token_table
from tracking import clock
from tracking.database import Database
from tracking.errors import ResourceMissing, Unavailable

REFRESH_S = 1.0
ADMIN_NAME = "admin"
_SECRET_NAME = "server"  # noqa: S105 - a row's name
_SECRET_BYTES = 32
_SALT_BYTES = 16
_ID_BYTES = 6
_LOG = logging.getLogger("stagedoor.auth")


class _Row(Struct, frozen=True):
    """A token that is not revoked, as the database has it."""

    principal: Principal
    salt: bytes
    hash: bytes


class TokenBook:
    """The tokens of one worker's callers. One per worker; safe from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = secrets.token_bytes(_SECRET_BYTES)
        self._rows: dict[str, _Row] = {}
        self._known: dict[bytes, tuple[str, _Row]] = {}
        self._verifying = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the tokens, and again every second from a thread. Never raises for the database."""
        self._refresh_if_possible()
        self._thread = threading.Thread(target=self._follow, name="token-book", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def refresh(self) -> None:
        """Read the tokens again, and forget those that are revoked.

        Raises:
            Unavailable: The database does not answer; what was read before holds.
        """
        with self._database.read() as connection:
            self._rows = _read_rows(connection)
        rows = self._rows
        self._known = {
            digest: (token_id, row)
            for digest, (token_id, row) in list(self._known.items())
            if rows.get(token_id) == row
        }

    def find_known(self, credential: str) -> Principal | None:
        """Return who holds a credential that was verified before, or ``None``. Never waits."""
        known = self._known.get(keyed_digest(credential, self._key))
        return known[1].principal if known else None

    def verify(self, credential: str) -> Principal | None:
        """Prove a credential against its row and remember it, or return ``None``. Slow."""
        token = find_token(credential)
        row = self._rows.get(token.id) if token else None
        if token is None or row is None:
            return None
        with self._verifying:  # one at a time: guessing costs the guessers, not the worker
            digest = slow_hash(token.secret, row.salt)
        if not hmac.compare_digest(digest, row.hash):
            return None
        self._known = self._known | {keyed_digest(credential, self._key): (token.id, row)}
        return row.principal

    def _follow(self) -> None:
        while not self._closed.wait(REFRESH_S):
            self._refresh_if_possible()

    def _refresh_if_possible(self) -> None:
        try:
            self.refresh()
        except Unavailable as error:
            _LOG.warning("tokens cannot be read, the last ones hold: %s", error)


def create_token(
    database: Database, name: str, permissions: frozenset[Permission], *, now_ms: int
) -> str:
    """Make a token and return it; only its hash is kept.

    Args:
        database: Where to keep it.
        name: Who will hold it.
        permissions: What they may do with it.
        now_ms: The time.
    """
    return database.write(lambda connection: _insert(connection, name, permissions, now_ms))


def revoke_token(database: Database, token_id: str, *, now_ms: int) -> None:
    """Make a token worthless; workers refuse it within two seconds.

    Raises:
        ResourceMissing: No token has that id, or it is revoked already.
    """

    def revoke(connection: Connection) -> int:
        return connection.execute(
            update(token_table)
            .where(token_table.c.id == token_id, token_table.c.revoked_at.is_(None))
            .values(revoked_at=now_ms)
        ).rowcount

    if not database.write(revoke):
        message = f"No token has the id {token_id!r}, or it is revoked already."
        raise ResourceMissing(message)


def announce_admin_token(database: Database) -> None:
    """Make the admin token if there is no token yet, and show it once on stderr."""
    made = database.write(_insert_first)
    if made is not None:
        sys.stderr.write(
            f"\nAdmin token, shown this once: {made}\n"
            "Use it as Bearer token, or as the password of any user name.\n\n"
        )
        sys.stderr.flush()


def server_secret(database: Database) -> bytes:
    """Return the secret that all workers of this database share, made at the first call."""
    with database.read() as connection:
        value = _find_secret(connection)
    return value if value is not None else database.write(_insert_secret)


def _read_rows(connection: Connection) -> dict[str, _Row]:
    columns = token_table.c
    living = select(token_table).where(columns.revoked_at.is_(None))
    return {
        row.id: _Row(
            principal=Principal(
                row.name, msgspec.json.decode(row.permissions, type=frozenset[Permission])
            ),
            salt=bytes(row.salt),
            hash=bytes(row.hash),
        )
        for row in connection.execute(living)
    }


def _insert(
    connection: Connection, name: str, permissions: frozenset[Permission], now_ms: int
) -> str:
    token = Token(secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES))
    salt = secrets.token_bytes(_SALT_BYTES)
    connection.execute(
        insert(token_table).values(
            id=token.id,
            name=name,
            salt=salt,
            hash=slow_hash(token.secret, salt),
            permissions=msgspec.json.encode(sorted(permissions)).decode(),
            created_at=now_ms,
        )
    )
    return format_token(token)


def _insert_first(connection: Connection) -> str | None:
    if connection.execute(select(token_table.c.id).limit(1)).first():
        return None
    return _insert(connection, ADMIN_NAME, frozenset(Permission), clock.now_ms())


def _find_secret(connection: Connection) -> bytes | None:
    query = select(secret_table.c.value).where(secret_table.c.name == _SECRET_NAME)
    value = connection.execute(query).scalar()
    return None if value is None else bytes(value)


def _insert_secret(connection: Connection) -> bytes:
    value = _find_secret(connection)
    if value is None:
        value = secrets.token_bytes(_SECRET_BYTES)
        connection.execute(insert(secret_table).values(name=_SECRET_NAME, value=value))
    return value
