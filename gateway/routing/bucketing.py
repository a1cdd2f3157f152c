"""Sticky buckets: a 64-bit hash of salt and key, compared with a weight. Pure.

Called by ``routing/table.py`` on the event loop; ``tests/gateway/routing/vectors.json`` pins the
hash for every other language.
"""

from hashlib import sha256
from struct import Struct

from registry.route import TOTAL_BP
from tracking.errors import InvalidRequest

MAX_KEY_BYTES = 512
"""The longest sticky key there may be."""

_SEPARATOR = b"\x1f"
_FIRST_8_BYTES = Struct(">Q")


def bucket(salt: str, key: bytes) -> int:
    """Hash a key under a salt to an integer in [0, 2^64).

    The first 8 bytes, big-endian, of SHA-256 over salt, 0x1F, key.

    Args:
        salt: Makes the buckets of one split independent of those of another.
        key: Exactly as received: no trimming, no case folding.
    """
    digest = sha256(salt.encode() + _SEPARATOR + key).digest()
    hashed: int = _FIRST_8_BYTES.unpack_from(digest)[0]
    return hashed


def is_below(hashed: int, weight_bp: int) -> bool:
    """Say whether a hash falls into a share; growing the share never drops a hash.

    Args:
        hashed: What ``bucket`` gave.
        weight_bp: The share, 0 to 10,000 basis points.
    """
    return hashed < (weight_bp << 64) // TOTAL_BP


def split_salt(split_id: str) -> str:
    """Return the salt of a plain split; it stays while only weights change."""
    return f"model:{split_id}"


def exposure_salt(salt: str) -> str:
    """Return the salt that decides whether a unit is in."""
    return f"{salt}/expose"


def variant_salt(salt: str) -> str:
    """Return the salt that decides which variant a unit gets once it is in."""
    return f"{salt}/variant"


def check_key(key: bytes | None) -> bytes | None:
    """Return the key, or ``None`` if it is missing or empty.

    Raises:
        InvalidRequest: It is longer than ``MAX_KEY_BYTES``.
    """
    if not key:
        return None
    if len(key) > MAX_KEY_BYTES:
        message = (
            f"The sticky key has {len(key)} bytes and may have at most {MAX_KEY_BYTES}: "
            "send a shorter one, such as a user id."
        )
        raise InvalidRequest(message)
    return key
