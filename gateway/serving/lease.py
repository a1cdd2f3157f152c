"""The promise that a Servable is not freed while somebody uses it. Event loop only."""

import time
from collections.abc import Callable
from types import TracebackType

from gateway.serving.loader import Loaded
from gateway.serving.servable import Servable


class Holder:
    """One Servable and how many requests hold it.

    Args:
        servable: Loaded.
        on_idle: Called with this holder when it is retired and nobody holds it any more.
        size_bytes: What the Servable took when it was weighed last.
    """

    def __init__(
        self, servable: Loaded, on_idle: Callable[["Holder"], None], *, size_bytes: int = 0
    ) -> None:
        self.servable = servable
        self.size_bytes = size_bytes
        self.used_at_s = time.monotonic()
        self.leases = 0
        self.death: str | None = None
        self._on_idle = on_idle
        self._is_retired = False

    def retire(self) -> None:
        """Ask to be told when nobody holds it."""
        self._is_retired = True
        self._tell_if_idle()

    def revive(self) -> None:
        """Take ``retire`` back."""
        self._is_retired = False

    def take(self) -> None:
        """Count one more request."""
        self.leases += 1

    def give_back(self) -> None:
        """Count one request less."""
        self.leases -= 1
        self.used_at_s = time.monotonic()
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if self._is_retired and self.leases == 0:
            self._on_idle(self)


class Lease:
    """One request's use of a Servable: from entering the block to leaving it."""

    __slots__ = ("_holder",)

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    def __enter__(self) -> Servable:
        """Return the Servable; it stays until the end of the block."""
        self._holder.take()
        return self._holder.servable

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""
        self._holder.give_back()
