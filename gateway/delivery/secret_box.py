"""What a webhook is signed with, as it is kept: encrypted, and opened only to sign.

The keys of ``webhooks.encryption_keys`` come first. After them comes one made of the secret that
all workers share in the database: without a setting it is the only one, and with one it still opens
what was closed before.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from tracking.errors import GateUnmet

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_PURPOSE = b"webhooks"


class SecretBox:
    """Encrypts and opens secrets. Safe from any thread.

    Args:
        keys: Fernet keys; the first one encrypts, all of them open.
        read_shared: Reads the secret of all workers, at the first use.
    """

    def __init__(self, keys: tuple[str, ...], read_shared: Callable[[], bytes]) -> None:
        self._keys = keys
        self._read_shared = read_shared

    def close(self, secret: str) -> str:
        """Encrypt a secret."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, closed: str) -> str:
        """Return a secret.

        Raises:
            GateUnmet: No key of ours opens it.
        """
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - only who signs pays for it

        try:
            return self._fernet.decrypt(closed).decode()
        except InvalidToken:
            raise GateUnmet(
                "The secret of this webhook was encrypted with another key. Set the secret anew, "
                "or add that key to webhooks.encryption_keys."
            ) from None

    @cached_property
    def _fernet(self) -> "MultiFernet":
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

        shared = hashlib.blake2b(self._read_shared(), digest_size=32, person=_PURPOSE).digest()
        keys = [*self._keys, base64.urlsafe_b64encode(shared).decode()]
        return MultiFernet([Fernet(key) for key in keys])
