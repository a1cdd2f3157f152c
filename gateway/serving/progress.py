"""How a load in its own thread tells how far it is, and learns that it is no longer wanted."""

from collections.abc import Callable

from gateway.serving.failure import LoadCancelled
from gateway.serving.states import State


def _ignore(_state: State) -> None:
    pass


class Progress:
    """The thread of one load writes states; any thread may call it off.

    Args:
        on_state: Called in the thread of the load.
        of: The load of which this one is a part, and with which it is called off.
    """

    def __init__(
        self, on_state: Callable[[State], None] = _ignore, *, of: "Progress | None" = None
    ) -> None:
        self._on_state = on_state
        self._of = of
        self._is_cancelled = False

    def cancel(self) -> None:
        """Call the load off; it ends at its next check."""
        self._is_cancelled = True

    def check(self) -> None:
        """Go on, unless the load was called off.

        Raises:
            LoadCancelled: It was.
        """
        if self._of is not None:
            self._of.check()
        if self._is_cancelled:
            raise LoadCancelled("The load was called off: nothing asks for this version any more.")

    def enter(self, state: State) -> None:
        """Say that the load has come to another state.

        Raises:
            LoadCancelled: It was called off.
        """
        self.check()
        self._on_state(state)
