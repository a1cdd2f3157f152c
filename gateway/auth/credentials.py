"""How a credential looks on the wire, and how it is hashed. Pure.

A token is ``sdt_<id>_<secret>``: the id finds its row, the secret is proved against the row's hash.
"""

import base64
import binascii
import hashlib

from msgspec import Struct

PREFIX = "sdt"
_MAX_BYTES = 1024
_PARTS = 3

# scrypt at 16 MiB and some tens of milliseconds: paid once per token and worker.
_COST = 2**14
_BLOCK_SIZE = 8
_DIGEST_BYTES = 32


class Token(Struct, frozen=True):
    """A token taken apart.

    Args:
        id: Which one it is; no secret.
        secret: What proves it.
    """

    id: str
    secret: str


def format_token(token: Token) -> str:
    """Write a token the way its holder keeps it."""
    return f"{PREFIX}_{token.id}_{token.secret}"


def find_token(text: str) -> Token | None:
    """Take a token apart, or return ``None`` when it has another shape."""
    parts = text.split("_", _PARTS - 1)
    if len(parts) != _PARTS or parts[0] != PREFIX or not parts[1] or not parts[2]:
        return None
    return Token(id=parts[1], secret=parts[2])


def find_credential(authorization: bytes) -> str | None:
    """Return the token in an ``Authorization`` header: Bearer, or Basic with it as the password."""
    if len(authorization) > _MAX_BYTES:
        return None
    scheme, _, rest = authorization.partition(b" ")
    rest = rest.strip()
    match scheme.lower():
        case b"bearer":
            return rest.decode("latin-1") or None
        case b"basic":
            return _password(rest)
        case _:
            return None


def slow_hash(secret: str, salt: bytes) -> bytes:
    """Hash a token's secret for the database.

    Args:
        secret: What to hash.
        salt: 16 random bytes of its own.
    """
    return hashlib.scrypt(secret.encode(), salt=salt, n=_COST, r=_BLOCK_SIZE, p=1, dklen=32)


def keyed_digest(credential: str, key: bytes) -> bytes:
    """Digest a credential that was proved once, to know it again quickly.

    Every request with a token pays for it: BLAKE2b, keyed as it is meant to be, takes a quarter of
    the time of an HMAC by OpenSSL.

    Args:
        credential: What was sent.
        key: A secret of at most 64 bytes.
    """
    told = credential.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(told, key=key, digest_size=_DIGEST_BYTES).digest()


def _password(encoded: bytes) -> str | None:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    _, colon, password = decoded.partition(b":")
    return password.decode("latin-1") if colon and password else None
